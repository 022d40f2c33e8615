/** The transport through a sourced ROS 2: it needs the environment of one, so what uses it runs in processes of its own. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Module } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ros2 } from '../../nodes'
import { whyNotRclnodejs } from '../../nodes/ros2/lib/usable'
import { native } from '../../nodes/shared/native'
import { ros2Suite } from './rig'

const DOMAIN = 130
const sourced = process.env.MILLRACE_ROS2_SOURCED
/** And what of them another transport than our own cannot do, by the end of its name. */
const SPECS: Record<string, string[]> = {
  'peers.test.ts': [
    // The package tells of no refusals.
    'says which policy it is where ROS 2 has no word for it',
    // The ROS 2 of these tests does not have them.
    'gives back transforms',
    // The package tells of no numbers.
    'numbers its messages, and we tell',
  ],
  'peers.services.test.ts': [
    // That is a setting of our own DDS.
    'gets answers from us that have to be sent again, and answers what we send again',
    // ROS 2 over Fast DDS and over Cyclone DDS do not understand each other's services.
    'answers our calls, and gets answers from us',
  ],
  // It has the types of its ROS 2 alone.
  'services.test.ts': ['own definitions are understood'],
  'parameters.test.ts': [],
  'synchronizer.test.ts': [],
  'rclnodejs.sourced.ts': [],
}

describe('ros2 over rclnodejs', function () {
  this.timeout(180_000)

  before(function () {
    if (sourced) return
    console.log('SKIPPED ros2 over rclnodejs: MILLRACE_ROS2_SOURCED has no environment of a ROS 2 with rclnodejs')
    this.skip()
  })

  for (const [spec, cannot] of Object.entries(SPECS)) {
    it(`passes ${spec}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-rclnodejs-'))
      const report = join(folder, 'report.json')
      const mocha = join(dirname(require.resolve('mocha/package.json')), 'bin/mocha.js')
      const options = ['--no-package', '--forbid-only', '--exit', '-r', 'tsx', '--timeout', '20000']
      const told = ['--reporter', 'json', '--reporter-option', `output=${report}`]
      const env = { ...process.env, ...JSON.parse(sourced ?? '{}'), MILLRACE_ROS2_TRANSPORT: 'rclnodejs' }
      const child = spawn(process.execPath, [mocha, ...options, ...told, join(__dirname, spec)], {
        env,
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const [code, signal] = await once(child, 'exit')
      const { stats, failures, pending } = JSON.parse(readFileSync(report, 'utf8'))
      assert.deepEqual(
        failures.map(({ fullTitle, err }: { fullTitle: string; err: object }) => ({ fullTitle, err })),
        [],
      )
      assert.ok(stats.passes > 0)
      const skipped = pending.map(({ title }: { title: string }) => title)
      assert.deepEqual([skipped, code, signal], [cannot, 0, null])
      rmSync(folder, { recursive: true })
    })
  }
})

describe('ros2 transport', () => {
  const before = { ...process.env }
  let folder: string
  let imported: number

  /** A package that says so when it is imported. Its files are these, by name. */
  function install(files: Record<string, string>): void {
    const all = { 'package.json': '{"name": "rclnodejs"}', 'index.js': 'globalThis.millraceImported()', ...files }
    for (const [name, text] of Object.entries(all)) {
      const file = join(folder, 'rclnodejs', name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
  }

  /** The variables, and where packages are looked for. */
  function surround(variables: Record<string, string | undefined>): void {
    for (const [name, value] of Object.entries({ ...variables, NODE_PATH: folder })) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
    ;(Module as unknown as { _initPaths(): void })._initPaths()
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-rclnodejs-'))
    imported = 0
    Object.assign(globalThis, { millraceImported: () => (imported += 1) })
  })

  afterEach(() => {
    surround({ ROS_DISTRO: before.ROS_DISTRO, AMENT_PREFIX_PATH: before.AMENT_PREFIX_PATH, RCLNODEJS_FORCE_BUILD: '' })
    rmSync(folder, { recursive: true })
  })

  const ros = { ROS_DISTRO: 'jazzy', AMENT_PREFIX_PATH: '/opt/ros/jazzy' }
  const binary = { 'build/Release/rclnodejs.node': 'no binary' }
  const messages = { 'generated/generator.json': '{"version": "1"}', 'rosidl_gen/generator.json': '{"version": "1"}' }
  const older = { ...messages, 'generated/generator.json': '{"version": "0"}' }
  const reasons: [string, object, Record<string, string> | null, ros2.ContextOptions, ros2.WhyNot][] = [
    ['no ROS 2 is sourced', { ROS_DISTRO: undefined }, { ...binary, ...messages }, {}, 'not-sourced'],
    ['half of ROS 2 is sourced', { AMENT_PREFIX_PATH: '' }, { ...binary, ...messages }, {}, 'not-sourced'],
    ['the package is not there', {}, null, {}, 'not-installed'],
    ['the package is not built', {}, messages, {}, 'not-built'],
    ['it would be built anew', { RCLNODEJS_FORCE_BUILD: '1' }, { ...binary, ...messages }, {}, 'not-built'],
    ['it has no messages', {}, binary, {}, 'no-messages'],
    ['its messages are those of another version', {}, { ...binary, ...older }, {}, 'no-messages'],
    ['its binary does not load', {}, { ...binary, ...messages }, {}, 'not-loadable'],
    [
      'an interface is asked for',
      {},
      { ...binary, ...messages },
      { interface: '127.0.0.1', discovery: 'subnet' },
      'options',
    ],
  ]

  ros2Suite('chosen', () => {
    for (const [title, variables, files, options, reason] of reasons) {
      it(`is native where ${title}, and nothing is imported`, async () => {
        if (files) install(files)
        surround({ ...ros, ...variables })
        const listeners = process.listeners('SIGINT')
        const all = { domain: DOMAIN, discovery: 'localhost', ...options } as const
        const context = await ros2.Context.open(all)
        assert.deepEqual(context.transport, { name: 'native', whyNot: { rclnodejs: reason } })
        await context.close()
        await assert.rejects(ros2.Context.open({ ...all, transport: 'rclnodejs' }), { code: 'UNAVAILABLE' })
        assert.equal(imported, 0)
        assert.deepEqual(process.listeners('SIGINT'), listeners)
      })
    }

    it('is native where that is wanted, whatever else there is', async () => {
      surround(ros)
      const context = await ros2.Context.open({ domain: DOMAIN, discovery: 'localhost', transport: 'native' })
      assert.deepEqual(context.transport, { name: 'native' })
      await context.close()
    })
  })

  it('says of both why they are not there', async () => {
    surround({ ROS_DISTRO: undefined })
    const binding = native() as { Ros2Context?: unknown }
    const { Ros2Context } = binding
    binding.Ros2Context = undefined
    try {
      await assert.rejects(ros2.Context.open(), (error: Error & { code: string }) => {
        assert.equal(error.code, 'UNAVAILABLE')
        return /cmake/.test(error.message) && /sourced/.test(error.message)
      })
    } finally {
      binding.Ros2Context = Ros2Context
    }
  })

  it('refuses one that does not exist', async () => {
    await assert.rejects(ros2.Context.open({ transport: 'dds' as never }), { code: 'INVALID_OPTION' })
  })

  it('needs the main thread', async () => {
    const code = `require('tsx/cjs')
      const { whyNotRclnodejs } = require(${JSON.stringify(require.resolve('../../nodes/ros2/lib/usable'))})
      require('node:worker_threads').parentPort.postMessage(whyNotRclnodejs())`
    const worker = new Worker(code, { eval: true, env: { ...process.env, ...ros } })
    assert.deepEqual(await once(worker, 'message'), ['no-main-thread'])
    surround(ros)
    assert.equal(whyNotRclnodejs(), 'not-installed')
  })
})

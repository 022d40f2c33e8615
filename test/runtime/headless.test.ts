/** The example that runs without an editor, started as its README says, with what a device may give it. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../shared/port'
import { install, moduleName, nodeProgram, nodeRed, packed, readJson, root } from './harness'

const MB = 1 << 20
const limitMb = 512
const TOKEN = 'token-of-the-environment'
/** So long the memory is looked at, in rounds of a second, after it has settled. */
const [settles, rounds] = process.env.MILLRACE_LONG ? [60, 600] : [10, 20]

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

class Device {
  readonly home = mkdtempSync(join(tmpdir(), 'millrace-device-'))
  readonly settings: string
  log = ''
  process!: ChildProcess
  port = 0

  constructor() {
    this.settings = join(install(this.home), 'examples/headless/settings.js')
  }

  /** With nothing of this environment but what is needed to run. */
  async start(given: Record<string, string>): Promise<void> {
    this.port = await freePort()
    const env = { PATH: process.env.PATH, MILLRACE_HOME: this.home, PORT: String(this.port), ...given }
    const args = ['--max-old-space-size=192', join(nodeRed, 'red.js'), '--settings', this.settings]
    this.process = spawn(nodeProgram, args, { cwd: this.home, env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on('data', (data) => (this.log += data))
    while (!this.log.includes('Started flows')) {
      if (this.process.exitCode !== null) throw new Error(this.log)
      await pause(20)
    }
  }

  complaints(): string[] {
    return this.log
      .split('\n')
      .filter((line) => /\[(warn|error)\]/.test(line) && !/Projects disabled|ncrypted credentials/.test(line))
  }

  rss(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }

  async stop(): Promise<number | null> {
    const ended = once(this.process, 'exit')
    this.process.kill('SIGINT')
    return (await ended)[0] as number | null
  }

  remove(): void {
    this.process.kill('SIGKILL')
    rmSync(this.home, { recursive: true, force: true })
  }
}

describe('the headless example', function suite() {
  this.timeout(60_000)
  let device: Device
  beforeEach(() => {
    device = new Device()
  })
  afterEach(() => device.remove())

  it('takes addresses, secrets, limits and folders from the environment, and keeps its data at home', async () => {
    const heard: { headers: IncomingMessage['headers']; body: string }[] = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const part of request) body += part
      heard.push({ headers: request.headers, body })
      response.writeHead(204).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      await device.start({
        MILLRACE_ALARM_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alarm`,
        MILLRACE_ALARM_TOKEN: TOKEN,
        MILLRACE_SITE: 'boiler-7',
        MILLRACE_LIMIT_PPM: '1100',
        MILLRACE_MEMORY: join(device.home, 'own/memory'),
        MILLRACE_TASKS: 'own/tasks',
        MILLRACE_FILES: 'own/files',
        MILLRACE_OUTBOX: 'own/outbox',
      })
      while (heard.length === 0) await pause(20)
      const [{ headers, body }] = heard as [(typeof heard)[number]]
      const alert = JSON.parse(body)
      assert.equal(headers.authorization, `Bearer ${TOKEN}`)
      assert.deepEqual([alert.type, alert.sourceNodeId, alert.data.limit], ['alert', 'boiler-7', 1100])
      const files = join(device.home, 'own/files')
      while (!existsSync(files) || !readdirSync(files).some((file) => file.endsWith('.arrow'))) await pause(50)
      for (const folder of ['memory', 'tasks', 'outbox'])
        assert.ok(existsSync(join(device.home, 'own', folder)), folder)
      const base = `http://127.0.0.1:${device.port}`
      for (const path of ['/', '/flows', '/settings']) assert.equal((await fetch(base + path)).status, 404, path)
      assert.equal(await device.stop(), 0)
      assert.deepEqual(device.complaints(), [])
      const found = spawnText('grep', ['-rl', TOKEN, device.home, '--exclude-dir=node_modules'])
      assert.deepEqual([device.log.includes(TOKEN), found], [false, ''])
    } finally {
      server.close()
    }
  })

  it('runs with nothing set, ends within the time of a process manager, and goes on after a kill', async () => {
    await device.start({})
    await pause(1000)
    device.process.kill('SIGKILL')
    await once(device.process, 'exit')
    device.log = ''
    await device.start({})
    await pause(1000)
    const begun = performance.now()
    assert.equal(await device.stop(), 0)
    assert.ok(performance.now() - begun < 10_000)
    assert.deepEqual(device.complaints(), [])
  })

  it(`runs the tour in ${limitMb} MB, and does not grow`, async function test() {
    if (process.platform !== 'linux') this.skip()
    this.timeout((settles + rounds) * 1000 + 60_000)
    await device.start({ MILLRACE_FLOW: join(device.home, 'node_modules', moduleName, 'examples/tour.json') })
    const group = limitMemory(device.process.pid as number)
    try {
      await pause(settles * 1000)
      const samples: number[] = []
      for (let round = 0; round < rounds; round += 1) {
        samples.push(device.rss() / MB)
        await pause(1000)
      }
      const part = Math.ceil(rounds / 4)
      const [first, last] = [samples.slice(0, part), samples.slice(-part)].map((some) => Math.min(...some))
      const most = Math.max(...samples)
      const how = group ? 'under a memory cgroup' : 'sampled: no memory cgroup can be made here'
      console.log(
        `      ${first?.toFixed(0)} MB at first, ${last?.toFixed(0)} MB at last, ${most.toFixed(0)} at most, ${how}`,
      )
      assert.equal(device.process.exitCode, null)
      assert.ok(most < limitMb)
      // What V8 has not collected yet is no growth: the lowest samples are compared.
      assert.ok((last as number) - (first as number) < 24, samples.map((mb) => mb.toFixed(0)).join(' '))
      assert.deepEqual(device.complaints(), [])
    } finally {
      await device.stop()
      if (group) rmdirSync(group)
    }
  })
})

describe('the documented commands', () => {
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  const files = ['Dockerfile', 'Dockerfile.alpine'].map((file) => read(`examples/headless/${file}`))
  const line = (file: string, word: string) => new RegExp(`^${word} (.*)$`, 'm').exec(file)?.[1] ?? ''

  it('are one, by hand, as a service and in containers; and what they name is there', () => {
    const [, byHand = ''] = /^MILLRACE_HOME=\$PWD ([\s\S]*?)```/m.exec(read('examples/headless/README.md')) ?? []
    const [, service = ''] = /^ExecStart=\/usr\/bin\/(.*)$/m.exec(read('docs/edge.md')) ?? []
    const wanted = service.split(' ')
    assert.deepEqual(byHand.replace('\\\n', '').trim().split(/ +/), wanted)
    for (const file of files) assert.deepEqual(JSON.parse(line(file, 'CMD')), wanted)
    const settings = wanted.at(-1)?.replace(`node_modules/${moduleName}/`, '') ?? ''
    assert.ok(existsSync(join(packed(), settings)), settings)
    assert.ok(existsSync(join(nodeRed, 'red.js')) && wanted.includes('node_modules/node-red/red.js'))
  })

  it('are installed with a Node-RED that runs on each Node.js of ours', () => {
    const pages = [read('docs/edge.md'), read('examples/headless/README.md'), ...files]
    const named = pages.map((page) => /npm install .*?\b(node-red\S*) @millrace/.exec(page)?.[1])
    const { devDependencies } = readJson(join(root, 'package.json')) as { devDependencies: Record<string, string> }
    const [major] = (devDependencies['node-red'] ?? '').split('.')
    assert.deepEqual(named, Array(4).fill(`node-red@${major}`))
  })

  it('the containers differ in their system alone, and own the folders of their volumes', () => {
    const [debian, alpine] = files.map((file) => file.replace(/^#.*\n/, '').replace(/^FROM .*$/m, ''))
    assert.equal(debian, alpine)
    for (const file of files) {
      const [, made = ''] = /mkdir -p (.*?) \\/.exec(file) ?? []
      const volumes = line(file, 'VOLUME').split(' ')
      assert.deepEqual(
        made.split(' ').map((folder) => `/data/${folder}`),
        volumes,
      )
      assert.ok(file.includes(`MILLRACE_HOME=${line(file, 'WORKDIR')} `))
      for (const volume of volumes) assert.ok(read('docs/edge.md').includes(`:${volume} `), volume)
    }
  })
})

describe('the documented unit of systemd', () => {
  it('is one, as systemd reads it', function test() {
    const page = readFileSync(join(root, 'docs/edge.md'), 'utf8')
    const [, unit = ''] = /```ini\n([\s\S]*?)```/.exec(page) ?? []
    // Node.js may lie elsewhere here.
    const here = unit.replace('ExecStart=/usr/bin/node ', `ExecStart=${process.execPath} `)
    assert.notEqual(unit, '')
    assert.ok(here.includes(`ExecStart=${process.execPath} `))
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
      console.log('\nSKIPPED the unit of systemd: there is no systemd-analyze\n')
      this.skip()
    }
    const folder = mkdtempSync(join(tmpdir(), 'millrace-unit-'))
    try {
      const file = join(folder, 'millrace.service')
      writeFileSync(file, here)
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
      // Of other units of the machine it may complain, too.
      const ours = stderr.split('\n').filter((line) => line.includes('millrace'))
      assert.deepEqual([ours, status], [[], 0])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

function spawnText(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8' })
  } catch {
    return ''
  }
}

/** Puts a process into a memory cgroup of its own, where one can be made: version 2, or 1. */
function limitMemory(pid: number): string | undefined {
  const [one, two] = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup']
  const [base, limit] = existsSync(one) ? [one, 'memory.limit_in_bytes'] : [two, 'memory.max']
  const group = join(base, `millrace-test-${pid}`)
  try {
    mkdirSync(group)
  } catch {
    return undefined
  }
  try {
    writeFileSync(join(group, limit), String(limitMb * MB))
    writeFileSync(join(group, 'cgroup.procs'), String(pid))
    return group
  } catch {
    rmdirSync(group)
    return undefined
  }
}

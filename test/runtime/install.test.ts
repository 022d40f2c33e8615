/** The packed package and its platform package, installed as the palette installs them, with no compiler in reach. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { binaries, type Json, moduleName, nodeProgram, nodeTypes, packed, Runtime, readJson, root } from './harness'

const MB = 1 << 20
/** The best of so many: others may use the machine. */
const TIMES = 5

const files = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(folder, file)).isFile())

describe('the package on its way to a user', function suite() {
  this.timeout(120_000)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-install-'))
  const home = join(folder, 'home')
  after(() => rmSync(folder, { recursive: true, force: true }))

  const npm = (args: string[], cwd: string, env = process.env) =>
    execFileSync(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { cwd, env, stdio: 'pipe', encoding: 'utf8' })
  const pack = (from: string) =>
    join(folder, npm(['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], from).trim())

  /** As a release writes it: the binary, and who may have it. */
  function platformPackage(): [name: string, tarball: string] {
    const binary = binaries()[0] as string
    const name = `${moduleName}-${basename(binary).split('.')[1]}`
    const place = join(folder, 'platform')
    mkdirSync(place)
    cpSync(join(root, 'native', binary), join(place, binary))
    const { version, engines } = readJson(join(root, 'package.json'))
    const manifest = {
      name,
      version,
      engines,
      main: binary,
      files: [binary],
      os: [process.platform],
      cpu: [process.arch],
    }
    writeFileSync(join(place, 'package.json'), JSON.stringify(manifest))
    return [name, pack(place)]
  }

  it('has what it needs and nothing else, in less than 2 MB', () => {
    const all = files(packed())
    const bytes = all.reduce((sum, file) => sum + statSync(join(packed(), file)).size, 0)
    const known =
      /^(dist|examples|dashboards)\/|^native\/(index\.js|index\.d\.ts|embedding\/NOTICE)$|^package\.json$|^[A-Z-]+(\.md)?$/
    const odd = /\.(map|node|tgz|log)$|(^|\/)(test|tests|fixtures|coverage|node_modules|target)\/|\.test\./
    const strays = all.filter((file) => !known.test(file.replaceAll('\\', '/')) || odd.test(file.replaceAll('\\', '/')))
    assert.deepEqual(strays, [])
    const tarball = pack(packed())
    console.log(`      ${(statSync(tarball).size / MB).toFixed(2)} MB packed, ${(bytes / MB).toFixed(2)} MB unpacked`)
    assert.ok(statSync(tarball).size < 2 * MB)
  })

  it('is installed by npm without a compiler, a script or a word of warning, and runs', () => {
    const [name, tarball] = platformPackage()
    // Other optional packages come from the registry: they are no part of this.
    const own = join(folder, 'own')
    cpSync(packed(), own, { recursive: true })
    const manifest = { ...readJson(join(own, 'package.json')), optionalDependencies: { [name]: `file:${tarball}` } }
    writeFileSync(join(own, 'package.json'), JSON.stringify(manifest))
    assert.equal(
      Object.keys((manifest as Json).scripts as object).some((script) => /install/.test(script)),
      false,
    )
    mkdirSync(home)
    writeFileSync(
      join(home, 'package.json'),
      JSON.stringify({ name: 'node-red-project', version: '0.0.1', private: true }),
    )
    // No cc, cargo or python in reach.
    const tools = join(folder, 'bin')
    mkdirSync(tools)
    const { PATH: _, ...env } = process.env
    const path = [dirname(process.execPath), tools].join(process.platform === 'win32' ? ';' : ':')
    const args = ['install', '--omit=dev', '--engine-strict', '--no-audit', '--no-fund', '--save', '--save-prefix=~']
    npm([...args, '--offline', pack(own)], home, { ...env, PATH: `${path}:/bin` })
    const script = `const { sync } = require('${moduleName}')
      console.log(new sync.Synchronizer(['a', 'b']).constructor.name)`
    const found = spawnSync(nodeProgram, ['-e', script], { cwd: home, encoding: 'utf8' })
    assert.deepEqual([found.stdout, found.stderr, found.status], ['Synchronizer\n', '', 0])
  })

  it('is loaded quickly, and without the binary', () => {
    // Time of the processor: what a busy machine takes besides is none of ours.
    const script = `const begun = process.cpuUsage(); require('${moduleName}')
      const { user, system } = process.cpuUsage(begun)
      const loaded = process.report.getReport().sharedObjects.filter((file) => /millrace.*\\.node$/.test(file)).length
      console.log(JSON.stringify([(user + system) / 1000, loaded]))`
    const runs = Array.from(
      { length: TIMES },
      () => JSON.parse(execFileSync(nodeProgram, ['-e', script], { cwd: home, encoding: 'utf8' })) as [number, number],
    ).sort(([a], [b]) => a - b)
    console.log(`      require: ${runs.map(([ms]) => ms.toFixed(0)).join(' ')} ms`)
    const [[best, loaded]] = runs as [[number, number]]
    // Half of it on a machine that does nothing else.
    assert.ok(best < 200, `${best} ms`)
    assert.equal(loaded, 0)
  })

  it('deploys one node of each kind', async () => {
    const runtime = await Runtime.boot()
    try {
      // Config nodes are named by the others.
      const isConfig = (file: string) =>
        readFileSync(join(root, file.replace('dist', 'nodes').replace('.js', '.editor.ts')), 'utf8').includes(
          "category: 'config'",
        )
      const configs = nodeTypes.filter(([, file]) => isConfig(file)).map(([type]) => type)
      const flows: Json[] = nodeTypes.map(([type]) =>
        configs.includes(type)
          ? { id: `one-${type}`, type, ...(type.includes('ros2') && { domain: 177, discovery: 'localhost' }) }
          : {
              ...{ id: `one-${type}`, type, z: 'tab', x: 0, y: 0, wires: [[], [], []], topic: '/t', autoStart: false },
              ...{ broker: 'one-millrace-tasks-broker', store: 'one-millrace-memory-store' },
              ...{ context: 'one-millrace-ros2-context' },
            },
      )
      const begun = await runtime.ask<number>('cpu')
      await runtime.deploy([{ id: 'tab', type: 'tab' }, ...flows])
      const took = (await runtime.ask<number>('cpu')) - begun
      console.log(`      ${flows.length} nodes deployed in ${took.toFixed(0)} ms of the processor`)
      assert.equal(runtime.process.exitCode, null)
      assert.ok(took < 1000, `${took} ms`)
    } finally {
      await runtime.remove()
    }
  })
})

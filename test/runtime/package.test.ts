import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { examples, install, moduleName, nodeProgram, nodeTypes, Runtime, readJson, root } from './harness'

const languages = ['en-US', 'fr', 'de', 'ja', 'zh-CN']

interface NodeSet {
  id: string
  module: string
  types: string[]
  enabled: boolean
  err?: string
}

describe('the packed package in Node-RED', () => {
  let runtime: Runtime
  before(async () => {
    runtime = await Runtime.boot()
  })
  after(() => runtime.remove())

  it('starts without a word of warning', () => {
    assert.deepEqual(runtime.complaints(), [])
  })

  it('registers every type of package.json in a set of its own, enabled', async () => {
    const sets = (await runtime.json<NodeSet[]>('/nodes')).filter((set) => set.module === moduleName)
    assert.deepEqual(
      sets.map(({ id, types, enabled, err }) => ({ id, types, enabled, err })),
      nodeTypes.map(([type]) => ({ id: `${moduleName}/${type}`, types: [type], enabled: true, err: undefined })),
    )
  })

  for (const [type, file] of nodeTypes) {
    for (const language of languages) {
      it(`${type} has its texts and its help in ${language}`, async () => {
        const catalogues = await runtime.json<Record<string, unknown>>(`/nodes/messages?lng=${language}`)
        const source = readJson(
          join(
            root,
            file.replace('dist', 'nodes').replace(/[^/]+$/, `locales/${language}/${basename(file, '.js')}.json`),
          ),
        )
        const served = catalogues[`${moduleName}/${type}`] as { label: object; error: object }
        assert.deepEqual(
          Object.keys(source).filter((key) => !(key in served)),
          [],
        )
        assert.ok(Object.keys(served.error).length > 0)
        const page = await (await runtime.get('/nodes', { accept: 'text/html', 'accept-language': language })).text()
        const found = [...page.matchAll(/data-help-name="([^"]+)"[^>]*>([\s\S]*?)<\/script>/g)].find(
          ([, of]) => of === type,
        )
        const help = helpOf(file, language)
        assert.equal(found?.[2]?.trim(), help)
      })
    }

    it(`${type} has its icon`, async () => {
      const icons = await runtime.json<Record<string, string[]>>('/icons')
      const word = file.split('/')[1]
      assert.ok(icons[moduleName]?.includes(`${word}.svg`))
      const response = await runtime.get(`/icons/${moduleName}/${word}.svg`)
      assert.equal(response.status, 200)
      assert.match(response.headers.get('content-type') ?? '', /svg/)
    })
  }

  it('offers every example under its module', async () => {
    assert.deepEqual((await listed('')).sort(), examples)
    for (const example of examples) {
      const served = await runtime.json(`/library/examples/flows/${moduleName}/${example}`)
      assert.deepEqual(served, readJson(join(root, `examples/${example}.json`)))
    }
  })

  /** Node-RED lists a folder's files as objects, and its folders by their names. */
  async function listed(folder: string): Promise<string[]> {
    const entries = await runtime.json<(string | { fn: string })[]>(`/library/examples/flows/${moduleName}/${folder}`)
    const lists = entries.map((entry) =>
      typeof entry === 'string' ? listed(`${folder}${entry}/`) : [folder + entry.fn.replace('.json', '')],
    )
    return (await Promise.all(lists)).flat()
  }
})

describe('the packed package by itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-library-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('is a library, which loads the binary only when an engine is made', () => {
    install(folder)
    const script = `
      const loaded = () => process.report.getReport().sharedObjects.filter((file) => /millrace.*\\.node$/.test(file)).length
      process.report.excludeNetwork = true
      const { sync } = require('${moduleName}')
      const before = loaded()
      new sync.Synchronizer(['a'])
      console.log(JSON.stringify([before, loaded()]))`
    const output = execFileSync(nodeProgram, ['-e', script], { cwd: folder, encoding: 'utf8' })
    assert.deepEqual(JSON.parse(output), [0, 1])
  })

  it('loads a word when it is asked for, and no other', () => {
    const script = `
      const library = require('${moduleName}')
      const words = () => new Set(Object.keys(require.cache).flatMap((file) => /dist.(\\w+).lib/.exec(file)?.[1] ?? []))
      const before = [...words()]
      library.sync
      console.log(JSON.stringify([before, [...words()], Object.keys(library)]))`
    const output = execFileSync(nodeProgram, ['-e', script], { cwd: folder, encoding: 'utf8' })
    const all = ['EngineError', 'action', 'arrow', 'memory', 'ros2', 'sync', 'tasks']
    assert.deepEqual(JSON.parse(output), [[], ['sync'], all])
  })

  it('has its licences, its changelog, its types, and no sources', () => {
    const installed = (file: string) => existsSync(join(folder, 'node_modules', moduleName, file))
    const needed = ['LICENSE-MIT', 'LICENSE-APACHE', 'CHANGELOG.md', 'README.md', 'dist/index.js', 'dist/index.d.ts']
    assert.deepEqual(
      needed.filter((file) => !installed(file)),
      [],
    )
    assert.deepEqual(['nodes', 'native/src', 'test', 'scripts'].filter(installed), [])
  })
})

/** What is between the script tags of a help page. */
function helpOf(file: string, language: string): string {
  const page = file.replace('dist', 'nodes').replace(/[^/]+$/, `locales/${language}/${basename(file, '.js')}.html`)
  return (/<script[^>]*>([\s\S]*?)<\/script>/.exec(readFileSync(join(root, page), 'utf8'))?.[1] ?? '').trim()
}

/**
 * Holds the collection together: names what a new node forgot. Each rule is proven to speak up, on a copy of the
 * collection with one thing broken.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engines, imports, pages, permissions } from './collection/borders'
import { docs } from './collection/docs'
import { Collection, type Rule } from './collection/files'
import { errors, identities, keys, noStrays, parts, properties, translations, vocabulary } from './collection/rules'

const root = join(__dirname, '..')
const rules: Record<string, [rule: Rule, title: string]> = {
  parts: [parts, 'every node has its files, its line in package.json, an example, a test and an icon'],
  identities: [identities, 'examples can be imported side by side'],
  translations: [translations, 'every language has every text, and the help of the same outline'],
  errors: [errors, 'the page of errors tells of every code'],
  docs: [docs, 'the page of each word says of its nodes what dialogs and help say'],
  keys: [keys, 'every text that is used exists'],
  properties: [properties, 'forms and help tell of every property'],
  vocabulary: [vocabulary, 'the dialogs have one word and one icon for each thing'],
  noStrays: [noStrays, 'every file has its purpose'],
  imports: [imports, 'rooms do not know each other'],
  permissions: [permissions, 'every admin route needs a permission'],
  engines: [engines, 'engines know neither Node.js nor each other'],
  pages: [pages, 'the built pages can be read by the scorecard'],
}

describe('the collection', () => {
  for (const [rule, title] of Object.values(rules)) {
    it(title, () => assert.deepEqual(rule(new Collection(root)), []))
  }
})

type Break = [
  rule: string,
  what: string,
  file: string,
  change: [from: string | RegExp, to: string] | null,
  named: string,
]

/** `null`: the file goes. */
const breaks: Break[] = [
  ['parts', 'a form', 'nodes/sync/sync.html', null, 'nodes/sync/sync.html'],
  ['parts', 'a runtime', 'nodes/sync/sync.ts', null, 'nodes/sync/sync.ts'],
  ['parts', 'an icon', 'icons/sync.svg', null, 'icons/sync.svg'],
  ['parts', 'a test', 'test/sync/sync.test.ts', null, 'test/sync/sync.test.ts'],
  ['parts', 'help', 'nodes/sync/locales/ja/sync.html', null, 'nodes/sync/locales/ja/sync.html'],
  ['parts', 'a catalogue', 'nodes/sync/locales/fr/sync.json', null, 'nodes/sync/locales/fr/sync.json'],
  ['parts', 'a line', 'package.json', ['"millrace-sync": "dist/sync/sync.js",', ''], 'no line for millrace-sync'],
  ['parts', 'an editor', 'nodes/sync/sync.editor.ts', null, 'package.json names millrace-sync'],
  ['parts', 'examples', 'examples/sync', null, 'no example has millrace-sync'],
  ['parts', 'the word in a type', 'nodes/sync/sync.config.ts', ["'millrace-sync'", "'sync'"], "'sync'"],
  ['parts', 'a test of a section', 'test/tasks/monitor.test.ts', null, 'test/tasks/monitor.test.ts'],
  [
    'parts',
    'the line of a section',
    'package.json',
    ['dist/tasks/monitor.js', 'x'],
    'no line for millrace-tasks-monitor',
  ],
  ['parts', 'a catalogue of a section', 'nodes/tasks/locales/ja/monitor.json', null, 'ja/monitor.json is missing'],
  ['keys', 'a key in a section', 'nodes/tasks/monitor.sidebar.ts', ['label.queues', 'label.queue_'], 'label.queue_,'],
  [
    'identities',
    'an id',
    'examples/sync/two-sensors.json',
    [/"id": "[^"]+"/, '"id": "7b1c2d3e4f5a6c01"'],
    '7b1c2d3e4f5a6c01',
  ],
  [
    'translations',
    'a text',
    'nodes/shared/locales/de/matching.json',
    ['"topics"', '"tropics"'],
    'de/matching.json has no label.topics',
  ],
  [
    'translations',
    'a placeholder',
    'nodes/shared/locales/fr/matching.json',
    ['__topics__', '__topic__'],
    'warning.stall has other',
  ],
  ['translations', 'a part of the help', 'nodes/sync/locales/zh-CN/sync.html', [/<dt>.*<\/dt>/, ''], 'zh-CN/sync.html'],
  [
    'translations',
    'a code',
    'nodes/shared/locales/ja/shared.json',
    ['"LATE"', '"LATER"'],
    'ja/shared.json has no error.LATE',
  ],
  [
    'translations',
    'a new code',
    'native/index.d.ts',
    ["'INVALID_OPTION'", "'NEW_CODE' | 'INVALID_OPTION'"],
    'error.NEW_CODE',
  ],
  ['errors', 'a code on the page', 'docs/errors.md', ['`LATE`', '`LATER`'], 'does not tell of LATE'],
  ['errors', 'a code that is none', 'docs/errors.md', ['`LATE`', '`LATE`, `LATER`'], 'tells of LATER, which'],
  ['docs', 'a page', 'docs/sync.md', null, 'docs/sync.md is missing'],
  ['docs', 'recipes', 'docs/tasks.md', ['## Recipes', '## Meals'], 'has no Recipes'],
  ['docs', 'an example that is linked', 'examples/arrow/zerobus-outage.json', null, 'docs/arrow.md leads to'],
  ['docs', 'a sentence of help', 'nodes/memory/locales/en-US/store.html', [/<p>A/, '<p>One'], 'docs/memory.md is not'],
  ['docs', 'a label', 'nodes/sync/locales/en-US/sync.json', ['"learn": "', '"learn": "X'], 'docs/sync.md is not'],
  ['docs', 'a default', 'nodes/action/delivery.config.ts', [/number\(10_000/, 'number(9_000'], 'docs/action.md is not'],
  ['keys', 'a key in the form', 'nodes/sync/sync.html', ['label.stamp', 'label.stmap'], 'label.stmap'],
  ['keys', 'a key in shared rows', 'nodes/shared/matching.html', ['label.match', 'label.mtach'], 'label.mtach'],
  ['keys', 'a key in the panel', 'nodes/sync/sync.editor.ts', ['port.groups', 'port.group'], 'port.group,'],
  ['keys', 'a key in the runtime', 'nodes/sync/session.ts', ['status.waiting', 'status.wait'], 'status.wait,'],
  [
    'keys',
    'a key of a problem',
    'nodes/shared/matching.config.ts',
    ['config.topicTwice', 'config.twice'],
    'config.twice',
  ],
  ['keys', 'keys with a value', 'nodes/sync/session.ts', [/`reason\./g, '`because.'], 'because.'],
  ['properties', 'an input', 'nodes/shared/matching.html', ['id="node-input-stallMs"', ''], 'no input for stallMs'],
  ['properties', 'a property', 'nodes/shared/matching.config.ts', [/stallMs:.*/, ''], 'an input for stallMs'],
  ['properties', 'a word of help', 'nodes/sync/locales/en-US/sync.html', [/<dt[^>]*>flush/, '<dt>wash'], 'msg.flush'],
  ['properties', 'references', 'nodes/tasks/locales/en-US/send.html', ['References', 'Links'], 'has no references'],
  ['vocabulary', 'an icon', 'nodes/tasks/send.html', ['fa-pause', 'fa-clock-o'], 'First pause has the icon clock-o'],
  ['vocabulary', 'a word', 'nodes/memory/locales/fr/embedder.json', ['"Délai"', '"Attente"'], 'fr Time limit: '],
  ['vocabulary', 'a word of old', 'nodes/ros2/locales/en-US/bag.json', ['"Operation"', '"Mode"'], 'says Mode, and not'],
  ['vocabulary', 'the test', 'nodes/tasks/broker.html', [/$/, '<label></label>'], 'has rows behind its test'],
  ['noStrays', 'a file', 'nodes/sync/spare.ts', [/^/, 'export {}'], 'nodes/sync/spare.ts'],
  ['noStrays', 'a language', 'nodes/sync/locales/xx/sync.json', [/^/, '{}'], 'nodes/sync/locales/xx/sync.json'],
  [
    'imports',
    'a room',
    'nodes/sync/session.ts',
    [/^/, "import '../tasks/x'\nexport * from '../tasks/x'\n"],
    'imports ../tasks/x',
  ],
  ['imports', 'the binary', 'nodes/sync/session.ts', [/^/, "import { x } from '#native'\n"], 'session.ts loads'],
  ['imports', 'the binary later', 'nodes/sync/session.ts', [/^/, "require('#native')\n"], 'session.ts loads'],
  ['imports', 'a route', 'nodes/sync/sync.ts', [/^/, 'RED.httpAdmin.get()\n'], 'sync.ts makes a route'],
  [
    'permissions',
    'a permission',
    'nodes/shared/admin.ts',
    [/RED\.auth\.needsPermission\(.*?\), /, ''],
    'without a permission',
  ],
  ['engines', 'a binding', 'native/src/bindings/sync.rs', null, 'native/src/bindings/sync.rs'],
  ['engines', 'napi', 'native/src/sync/options.rs', [/^/, 'use napi::Env;\n'], 'options.rs knows Node.js'],
  [
    'engines',
    'another word',
    'native/src/sync/options.rs',
    [/^/, 'use crate::tasks::Queue;\n'],
    'options.rs knows tasks',
  ],
  ['pages', 'a type', 'dist/sync/sync.html', ["registerType('millrace-sync'", 'registerType(name'], 'by a literal'],
  [
    'pages',
    'a definition',
    'dist/sync/sync.html',
    [/registerType\('millrace-sync', \{[\s\S]*?\n\}\)/, "registerType('millrace-sync', x)"],
    'no literal definition',
  ],
  [
    'pages',
    'a colour',
    'dist/sync/sync.html',
    [/(registerType[\s\S]*?color: )"[^"]+"/, '$1colour'],
    'color is no literal',
  ],
  ['pages', 'defaults', 'dist/sync/sync.html', ['windowMs: {', 'windowMs: y, z: {'], 'defaults are no literal'],
  ['pages', 'a registration', 'dist/sync/sync.html', ['RED.nodes.registerType', 'register'], 'registers 0 types'],
]

describe('the rules of the collection', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-collection-'))
    const parts = [
      'nodes',
      'dist',
      'docs',
      'examples',
      'icons',
      'test',
      'native/src',
      'native/index.d.ts',
      'native/DESIGN.md',
      'package.json',
    ]
    for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true })
    // Another word, for an engine to know.
    cpSync(join(root, 'native/src/bindings/sync.rs'), join(folder, 'native/src/bindings/tasks.rs'))
    for (const part of ['nodes/tasks/lib/index.ts', 'native/src/tasks/mod.rs']) {
      cpSync(join(root, 'icons/sync.svg'), join(folder, part))
      writeFileSync(join(folder, part), '')
    }
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('have nothing to say of a whole copy', () => {
    for (const [rule] of Object.values(rules)) assert.deepEqual(rule(new Collection(folder)), [])
  })

  for (const [rule, what, file, change, named] of breaks) {
    it(`${rule}: names ${what} that is missing or wrong`, () => {
      const path = join(folder, file)
      if (change === null) rmSync(path, { recursive: true })
      else {
        const collection = new Collection(folder)
        if (!collection.has(file)) cpSync(join(root, 'icons/sync.svg'), path)
        const before = collection.has(file) ? readFileSync(path, 'utf8') : ''
        const after = before.replace(change[0], change[1])
        assert.notEqual(after, before, 'nothing was broken')
        writeFileSync(path, after)
      }
      const problems = rules[rule]?.[0](new Collection(folder)) ?? []
      assert.ok(
        problems.some((problem) => problem.includes(named)),
        `expected ${named} in ${JSON.stringify(problems)}`,
      )
    })
  }
})

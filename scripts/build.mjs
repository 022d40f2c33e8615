/**
 * Turns `nodes/` into `dist/`: each runtime file as CommonJS beside its neighbours, and for each node
 * one `.html` of panel code, definition and form, its catalogues, and its word's icon. The sidebar and its sections
 * are pages of code alone.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import vm from 'node:vm'

const root = fileURLToPath(new URL('..', import.meta.url))
const { build } = createRequire(import.meta.url)('esbuild')
const files = walk('nodes')
const css = readFileSync(join(root, 'nodes/shared/panel.css'), 'utf8')
const sidebarCss = readFileSync(join(root, 'nodes/shared/sidebar.css'), 'utf8')
const isSidebar = /[./]sidebar\.ts$/
/** The last row of every panel. */
const examplesLink =
  '<div class="form-row"><a href="#" class="millrace-examples">' +
  '<i class="fa fa-book"></i> <span data-i18n="button.examples"></span></a></div>\n'

await main()

async function main() {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  await buildRuntime()
  loadWordsLate()
  declareLibrary()
  for (const editor of files.filter((file) => file.endsWith('.editor.ts'))) await buildPanel(editor)
  for (const page of files.filter((file) => isSidebar.test(file))) await buildSidebar(page)
  mergeCatalogues()
  copyIcons()
}

async function buildRuntime() {
  const entryPoints = files.filter((file) => file.endsWith('.ts') && !/(^|[./])(editor|sidebar)\.ts$/.test(file))
  await build({
    absWorkingDir: root,
    entryPoints,
    outbase: 'nodes',
    outdir: 'dist',
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
  })
}

/** A word of the library loads when it is asked for: who needs one need not wait for six. */
function loadWordsLate() {
  const code = readFileSync(join(root, 'dist/index.js'), 'utf8')
  const words = [...code.matchAll(/^var (\w+) = __toESM\((require\("\.\/\w+\/lib"\))\);\n/gm)]
  const late = words.reduce((code, [line, word, load]) => {
    return code.replace(line, '').replace(`${word}: () => ${word}`, `${word}: () => ${load}`)
  }, code)
  if (words.length === 0 || words.some(([, word, load]) => !late.includes(`${word}: () => ${load}`))) {
    throw new Error('dist/index.js: its words are not where they were')
  }
  write('dist/index.js', late)
}

/** The types of `require('@millrace/node-red')`. */
function declareLibrary() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const settings = '--ignoreConfig --declaration --emitDeclarationOnly --strict --skipLibCheck --stripInternal'
  const target =
    '--target es2023 --lib es2023,es2024.string,dom,dom.iterable --module node20 --types node --rootDir nodes --outDir dist'
  const args = [tsc, ...`${settings} ${target} nodes/index.ts`.split(' ')]
  execFileSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
}

/** `x.editor.ts` and `x.html` become one page with an inline literal definition. */
async function buildPanel(file) {
  const name = `millrace_${basename(dirname(file))}_${basename(file, '.editor.ts').replaceAll('-', '_')}`
  const page = join('dist', relative('nodes', file)).replace('.editor.ts', '.html')
  const source = await bundle(file, name)
  const { type, definition } = define(source, name)
  const form = formOf(file.replace('.editor.ts', '.html'))
  write(
    page,
    `<script type="text/javascript">\n${source}</script>\n` +
      `<script type="text/javascript">\nRED.nodes.registerType('${type}', ${definition})\n</script>\n\n` +
      `<script type="text/html" data-template-name="${type}">\n` +
      `<style>\n${css}</style>\n<div class="millrace-form">\n${form}${examplesLink}</div>\n</script>\n`,
  )
}

/** The sidebar, or a section of it: `x.sidebar.ts` becomes the page of `x`. */
async function buildSidebar(file) {
  const page = join('dist', relative('nodes', file)).replace(/(\.sidebar)?\.ts$/, '.html')
  const source = await bundle(file, `millrace_${basename(dirname(file))}_${basename(page, '.html')}`)
  const style = file.endsWith('/sidebar.ts') ? `<style>\n${sidebarCss}</style>\n` : ''
  write(page, `${style}<script type="text/javascript">\n${source}</script>\n`)
}

/** A page's code. Its map stays out of the package; the coverage of the pages needs it. */
async function bundle(file, name) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [file],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: name,
    target: 'es2020',
    logLevel: 'warning',
    sourcemap: 'external',
    outfile: `${name}.js`,
  })
  const [map, code] = outputFiles
  const source = `${code.text.replaceAll('</script', '<\\/script')}//# sourceURL=${name}.js\n`
  write(join('.cache/panels', `${name}.js`), `\n${source}`)
  write(join('.cache/panels', `${name}.js.map`), map.text)
  return source
}

/** A form, with the rows that several nodes of a word share. */
function formOf(file) {
  const form = readFileSync(join(root, file), 'utf8')
  return form.replace(/^<!-- include (\S+) -->\n/gm, (_, part) => formOf(join(dirname(file), part)))
}

/** The panel's code runs once here, for the literals that Node-RED and its tools want to read. */
function define(source, name) {
  const context = vm.createContext({})
  vm.runInContext(source, context)
  const editor = context[name].default
  const { config, palette } = editor
  const call = `${name}.default`
  const defaults = Object.entries(config.fields).map(
    ([field, { value, type }]) =>
      `    ${field}: { value: ${JSON.stringify(value)}, ${type ? `type: '${type}', ` : ''}` +
      `validate: function (value, options) { return ${call}.check('${field}', value) } },`,
  )
  const handlers = Object.keys(editor)
    .filter((key) => typeof editor[key] === 'function' && key !== 'check')
    .map((key) => `  ${key}: function (given) { return ${call}.${key}(this, given) },`)
  const lines = [
    '{',
    ...Object.entries(palette).map(([key, value]) => `  ${key}: ${JSON.stringify(value)},`),
    '  defaults: {',
    ...defaults,
    '  },',
    ...(config.credentials ? [`  credentials: ${JSON.stringify(config.credentials)},`] : []),
    ...handlers,
    '}',
  ]
  return { type: config.type, definition: lines.join('\n') }
}

/** The rows shared by words that a form includes, by name: each has a catalogue of its own. */
function sharedRows(word, page) {
  const form = join('nodes', word, page.replace(/\.json$/, '.html'))
  if (!files.includes(form)) return []
  return [...readFileSync(join(root, form), 'utf8').matchAll(/^<!-- include \.\.\/shared\/(\w+)\.html -->$/gm)].map(
    ([, name]) => name,
  )
}

/** Node-RED keeps a catalogue per node: what all share, and what those of a word share, is merged into each. */
function mergeCatalogues() {
  for (const file of files.filter((file) => /^nodes\/[^/]+\/locales\/[^/]+\/.+\.(json|html)$/.test(file))) {
    const [, word, , language, page] = file.split('/')
    if (page === 'shared.json' || (word === 'shared' && !isOfSidebar(page))) continue
    const target = join('dist', word, 'locales', language, page)
    if (page.endsWith('.html')) write(target, readFileSync(join(root, file), 'utf8'))
    else {
      const pages = ['shared/shared', ...sharedRows(word, page).map((name) => `shared/${name}`), `${word}/shared`]
      const shared = pages.map((part) => `nodes/${part.replace('/', `/locales/${language}/`)}.json`)
      const parts = [...shared.filter((part) => files.includes(part)), file]
      write(target, JSON.stringify(parts.map(read).reduce(merge)))
    }
  }
}

/** The sidebar's own texts, and those of its sections that are of no word. */
function isOfSidebar(page) {
  return page === 'sidebar.json' || files.includes(`nodes/shared/${page.replace('.json', '.sidebar.ts')}`)
}

function merge(base, extra) {
  const merged = { ...base }
  for (const [key, value] of Object.entries(extra)) {
    merged[key] = typeof value === 'object' && typeof base[key] === 'object' ? merge(base[key], value) : value
  }
  return merged
}

function copyIcons() {
  for (const icon of walk('icons')) {
    const target = join('dist', basename(icon, '.svg'), 'icons', basename(icon))
    if (!existsSync(join(root, 'dist', basename(icon, '.svg')))) throw new Error(`${icon}: no word of this name`)
    mkdirSync(dirname(join(root, target)), { recursive: true })
    copyFileSync(join(root, icon), join(root, target))
  }
}

function walk(folder) {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  const inside = (entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/')
  return entries
    .filter((entry) => entry.isFile())
    .map(inside)
    .sort()
}

function read(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8'))
}

function write(file, text) {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), text)
}

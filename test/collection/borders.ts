/** Who may know whom, and what the built pages look like. */
import { type AnyNode, type ObjectExpression, parse } from 'acorn'
import { all, type Rule } from './files'

/** Each room of nodes/ imports only itself and what is shared; one module loads the binary, one makes routes. */
export const imports: Rule = (collection) =>
  collection.files('nodes').flatMap((file) => {
    if (!file.endsWith('.ts')) return []
    const source = collection.read(file)
    const [, room = ''] = file.split('/')
    const paths = [...all(source, /\bfrom '([^']+)'/g), ...all(source, /\b(?:import|require)\('([^']+)'\)/g)]
    const foreign = paths.filter((path) => {
      if (!path.startsWith('.')) return false
      const target = new URL(path, `file:///${file}`).pathname.split('/')[2]
      const gathers = file === 'nodes/index.ts'
      return !gathers && target !== room && target !== 'shared'
    })
    const loads = /\brequire\('#native'\)|^import (?!type\b)[^\n]*from '#native'|import\('#native'\)/m.test(source)
    const routes = /\bhttpAdmin\b/.test(source)
    return [
      ...foreign.map((path) => `${file} imports ${path}`),
      ...(loads && file !== 'nodes/shared/native.ts' ? [`${file} loads the binary`] : []),
      ...(routes && file !== 'nodes/shared/admin.ts' ? [`${file} makes a route of its own`] : []),
    ]
  })

/** No admin route without a permission. */
export const permissions: Rule = (collection) => {
  const source = collection.read('nodes/shared/admin.ts')
  const routes = all(source, /httpAdmin\.\w+\(([^\n]*)/g)
  const open = routes.filter((route) => !route.includes('needsPermission('))
  return open.map((route) => `nodes/shared/admin.ts has a route without a permission: ${route}`)
}

/** Engines know neither Node.js nor each other. The one exception lets frames without a partner stay native. */
export const engines: Rule = (collection) =>
  collection.words().flatMap((word) => {
    const files = collection.files(`native/src/${word}`)
    const others = collection.words().filter((other) => other !== word && !(word === 'ros2' && other === 'sync'))
    return [
      ...(collection.has(`native/src/bindings/${word}.rs`) ? [] : [`native/src/bindings/${word}.rs is missing`]),
      ...(files.length > 0 ? [] : [`native/src/${word} is missing`]),
      ...files.flatMap((file) => {
        const code = collection.read(file).replaceAll(/\/\/.*/g, '')
        const known = others.filter((other) => new RegExp(`\\b(?:crate|super::super)::${other}\\b`).test(code))
        return [
          ...known.map((other) => `${file} knows ${other}`),
          ...(/\bnapi\b|\bnapi_derive\b|crate::bindings/.test(code) ? [`${file} knows Node.js`] : []),
        ]
      }),
    ]
  })

const LITERALS = ['category', 'color', 'icon', 'inputs', 'outputs']

/** The Flow Library's scorecard reads a node's definition off its page: it has to be literal, and alone. */
export const pages: Rule = (collection) =>
  Object.entries(collection.registered()).flatMap(([type, file]) => {
    const page = file.replace(/\.js$/, '.html')
    const scripts = all(collection.read(page), /<script type="text\/javascript">([\s\S]*?)<\/script>/g)
    const calls = scripts.flatMap((script) => registrations(script))
    const [call] = calls
    if (calls.length !== 1 || !call) return [`${page} registers ${calls.length} types`]
    const [name, definition] = call
    if (name?.type !== 'Literal' || name.value !== type) return [`${page} does not register '${type}' by a literal`]
    if (definition?.type !== 'ObjectExpression') return [`${page} has no literal definition`]
    const category = propertyOf(definition, 'category')
    const isConfig = category?.type === 'Literal' && category.value === 'config'
    const literal = (isConfig ? ['category'] : LITERALS).filter(
      (key) => propertyOf(definition, key)?.type !== 'Literal',
    )
    const defaults = propertyOf(definition, 'defaults')
    const properties = defaults?.type === 'ObjectExpression' ? defaults : undefined
    const values = properties?.properties.filter(
      (property) => property.type !== 'Property' || property.value.type !== 'ObjectExpression',
    )
    return [
      ...literal.map((key) => `${page}: ${key} is no literal`),
      ...(properties && values?.length === 0 ? [] : [`${page}: defaults are no literal`]),
    ]
  })

/** The arguments of each call of `RED.nodes.registerType`. */
function registrations(script: string): AnyNode[][] {
  const program = parse(script, { ecmaVersion: 2022 })
  return program.body.flatMap((statement) => {
    if (statement.type !== 'ExpressionStatement' || statement.expression.type !== 'CallExpression') return []
    const { callee, arguments: given } = statement.expression
    return script.slice(callee.start, callee.end) === 'RED.nodes.registerType' ? [given] : []
  })
}

function propertyOf(object: ObjectExpression, key: string): AnyNode | undefined {
  for (const property of object.properties) {
    if (property.type === 'Property' && property.key.type === 'Identifier' && property.key.name === key) {
      return property.value
    }
  }
  return undefined
}

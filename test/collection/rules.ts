/** What every node of the collection has. */
import { all, type Collection, flatten, languages, type Place, type Rule, type Texts, without } from './files'

/** Files, a line in package.json, an example, a test, an icon; a section of the sidebar has no example and no icon. */
export const parts: Rule = (collection) => {
  const registered = collection.registered()
  const types = collection.places().map((place) => collection.typeOf(place))
  const examples = (word: string) => collection.files(`examples/${word}`).map((file) => collection.read(file))
  return [
    ...without(Object.keys(registered), types).map((type) => `package.json names ${type}, which has no editor`),
    ...collection.places().flatMap((place) => {
      const { word, name, path } = place
      const type = collection.typeOf(place)
      const texts = languages.flatMap((language) =>
        ['json', 'html'].map((kind) => `nodes/${word}/locales/${language}/${name}.${kind}`),
      )
      const needed = ['.config.ts', '.ts', '.html'].map((ending) => path + ending)
      const others = [`test/${word}/${name}.test.ts`, `icons/${word}.svg`, ...texts]
      const missing = [...needed, ...others].filter((file) => !collection.has(file))
      return [
        ...missing.map((file) => `${file} is missing`),
        ...(type.startsWith(`millrace-${word}`) ? [] : [`${path}.config.ts names the type '${type}'`]),
        ...(registered[type] === `dist/${word}/${name}.js` ? [] : [`package.json has no line for ${type}`]),
        ...(examples(word).some((text) => text.includes(`"type": "${type}"`)) ? [] : [`no example has ${type}`]),
      ]
    }),
    ...collection.sections().flatMap(({ word, name, path }) => {
      const texts = languages.map((language) => `nodes/${word}/locales/${language}/${name}.json`)
      const needed = [`${path}.ts`, `test/${word}/${name}.test.ts`, ...texts]
      const line = collection.plugins()[`millrace-${word}-${name}`]
      return [
        ...needed.filter((file) => !collection.has(file)).map((file) => `${file} is missing`),
        ...(line === `dist/${word}/${name}.js` ? [] : [`package.json has no line for millrace-${word}-${name}`]),
      ]
    }),
  ]
}

/** Flows that share an id cannot be imported side by side. */
export const identities: Rule = (collection) => {
  const owners = new Map<string, string>()
  return collection.files('examples').flatMap((file) => {
    if (!file.endsWith('.json')) return []
    const ids = collection.json<{ id: string }[]>(file).map(({ id }) => id)
    const taken = ids.filter((id) => owners.has(id)).map((id) => `${file} has ${id}, as ${owners.get(id)} has`)
    for (const id of ids) owners.set(id, file)
    return taken
  })
}

/** Catalogues of the same keys and placeholders, help of the same form, a label for each error code. */
export const translations: Rule = (collection) => {
  const catalogues = collection.files('nodes').filter((file) => /\/locales\/en-US\/[^/]+\.json$/.test(file))
  const helps = collection.files('nodes').filter((file) => /\/locales\/en-US\/[^/]+\.html$/.test(file))
  const others = languages.slice(1)
  const codes = codesOf(collection)
  return [
    ...languages.flatMap((language) => {
      const file = `nodes/shared/locales/${language}/shared.json`
      const labels = Object.keys(collection.json<{ error?: object }>(file).error ?? {})
      return [
        ...without(codes, labels).map((code) => `${file} has no error.${code}`),
        ...without(labels, codes).map((code) => `${file} has error.${code}, which is no code`),
      ]
    }),
    ...catalogues.flatMap((source) => {
      const texts = new Map(flatten(collection.json<Texts>(source)))
      return others.flatMap((language) => {
        const file = source.replace('en-US', language)
        const translated = new Map(flatten(collection.json<Texts>(file)))
        const shared = [...texts].filter(([key]) => translated.has(key))
        return [
          ...without(texts.keys(), translated.keys()).map((key) => `${file} has no ${key}`),
          ...without(translated.keys(), texts.keys()).map((key) => `${file} has ${key}, which no one knows`),
          ...shared
            .filter(([key, text]) => placeholders(text) !== placeholders(translated.get(key) ?? ''))
            .map(([key]) => `${file}: ${key} has other placeholders`),
        ]
      })
    }),
    ...helps.flatMap((source) =>
      others
        .map((language) => source.replace('en-US', language))
        .filter((file) => outline(collection.read(file)) !== outline(collection.read(source)))
        .map((file) => `${file} has another outline than its original`),
    ),
  ]
}

/** The page of errors tells of every code, and of no others. */
export const errors: Rule = (collection) => {
  const page = 'docs/errors.md'
  const codes = codesOf(collection)
  const told = all(collection.read(page), /^\| ([^|]*) \|/gm).flatMap((cell) => all(cell, /`(\w+)`/g))
  return [
    ...without(codes, told).map((code) => `${page} does not tell of ${code}`),
    ...without(told, codes).map((code) => `${page} tells of ${code}, which is no code`),
  ]
}

/** Each key that code or form uses is in the catalogue. */
export const keys: Rule = (collection) =>
  [...collection.places(), ...collection.sections()].flatMap((place) => {
    const known = [...collection.catalogue(place, 'en-US').keys()]
    const sources = collection.sources(place)
    const foreign = (file: string) => {
      const [, row = ''] = /^nodes\/shared\/(\w+)\.config\.ts$/.exec(file) ?? []
      return row !== '' && !collection.sharedRows(place).includes(row)
    }
    const shared = collection.files('nodes/shared').filter((file) => /(?<!\.sidebar)\.ts$/.test(file) && !foreign(file))
    const form = `${place.path}.html`
    const used = [
      ...all(collection.form(place), /data-i18n="(?:\[\w+\])?([^"]+)"/g).map((key) => [form, key] as const),
      ...[...sources, ...shared].flatMap((file) => keysIn(collection.read(file)).map((key) => [file, key] as const)),
    ]
    // A key that ends with a dot goes on with a value.
    const resolves = (key: string) => known.some((name) => (key.endsWith('.') ? name.startsWith(key) : name === key))
    return used
      .filter(([, key]) => !resolves(key))
      .map(([file, key]) => `${file} uses the text ${key}, which is missing`)
  })

/** The form has an input for each property, and none for others; the help tells of each message property. */
export const properties: Rule = (collection) =>
  collection.places().flatMap((place) => {
    const { path, word, name } = place
    const fields = without(fieldsOf(collection, place), ['configVersion'])
    const form = collection.form(place)
    // Node-RED fills what it finds by its own ids; a list is filled by the panel.
    const inputs = [
      ...all(form, /id="node-(?:config-)?input-([^"]+)"/g),
      ...all(form, new RegExp(`<ol id="millrace-${word}-([^"]+)"`, 'g')),
    ]
    const help = `nodes/${word}/locales/en-US/${name}.html`
    const told = all(collection.read(help), /<dt[^>]*>\s*([\w.]+)/g).map((property) => property.split('.')[0] as string)
    const refers = collection.read(help).includes('<h3>References</h3>')
    const runtime = collection.sources(place).filter((file) => !file.endsWith('.editor.ts'))
    const used = runtime.flatMap((file) => all(collection.read(file), /(?<![\w.])message\.(\w+)/g))
    return [
      ...without(fields, inputs).map((field) => `${path}.html has no input for ${field}`),
      ...without(inputs, fields).map((field) => `${path}.html has an input for ${field}, which is no property`),
      ...(refers ? [] : [`${help} has no references`]),
      ...without(used, told).map((property) => `${help} does not tell of msg.${property}`),
    ]
  })

/** What a person reads once for all dialogs: a word has one icon, one translation, and the test is the last row. */
export const vocabulary: Rule = (collection) => {
  const icons = new Map<string, [icon: string, path: string]>()
  const words = new Map<string, [text: string, path: string]>()
  return collection.places().flatMap((place) => {
    const form = collection.form(place)
    const [english = new Map<string, string>(), ...others] = languages.map((language) =>
      collection.catalogue(place, language),
    )
    const labels = [...form.matchAll(/<(?:label|button)\b(?:(?!<\/label>|<\/button>).)*?data-i18n="([\w.]+)"/gs)]
    const rows = labels.map(([row, key = '']) => ({
      word: english.get(key) ?? '',
      icon: /fa fa-([\w-]+)/.exec(row)?.[1] ?? '',
      texts: others.map((catalogue) => catalogue.get(key) ?? ''),
    }))
    const problems = rows.flatMap(({ word, icon, texts }) => {
      const known = icons.get(word) ?? [icon, place.path]
      icons.set(word, known)
      return [
        ...(known[0] === icon ? [] : [`${place.path}.html: ${word} has the icon ${icon}, and ${known.join(' in ')}`]),
        ...texts.flatMap((text, at) => {
          const name = `${languages[at + 1]} ${word}`
          const said = words.get(name) ?? [text, place.path]
          words.set(name, said)
          return said[0] === text ? [] : [`${place.path} in ${name}: ${text}, and ${said.join(' in ')}`]
        }),
      ]
    })
    const [, behind = ''] = form.split(/id="millrace-\w+-test"/)
    const late = /<label|<details/.test(behind) ? [`${place.path}.html has rows behind its test`] : []
    const strange = rows.filter(({ word }) => instead.has(word))
    return [
      ...problems,
      ...late,
      ...strange.map(({ word }) => `${place.path}.html says ${word}, and not ${instead.get(word)}`),
    ]
  })
}

/** Words that others have been chosen for: see CONTRIBUTING.md. */
const instead = new Map([
  ['Test connection', 'Test'],
  ['Mode', 'Operation'],
  ['Command', 'Operation'],
  ['First wait', 'First pause'],
  ['Timeout', 'Time limit'],
  ['URL', 'Address'],
  ['Username', 'User'],
  ['Directory', 'Folder'],
  ['At once', 'At a time'],
  ['Concurrency', 'At a time'],
])

/** No file that nothing needs. */
export const noStrays: Rule = (collection) =>
  collection.words().flatMap((word) => {
    const files = collection.files(`nodes/${word}`)
    const namesOf = (places: Place[]) => places.filter((place) => place.word === word).map(({ name }) => name)
    const [names, sections] = [namesOf(collection.places()), namesOf(collection.sections())]
    const imported = files.flatMap((file) => all(collection.read(file), /from '\.\/([\w.-]+)'/g))
    const included = files.flatMap((file) => all(collection.read(file), /<!-- include (\S+) -->/g))
    const known = (file: string) => {
      const inside = file.slice(`nodes/${word}/`.length)
      const [name = '', ending] = inside.split(/\.(.*)/)
      if (/^lib\/[\w-]+\.ts$/.test(inside)) return true
      const [, language = '', page = ''] = /^locales\/([^/]+)\/([^/]+)\.(?:json|html)$/.exec(inside) ?? []
      if (language) return languages.includes(language) && [...names, ...sections, 'shared'].includes(page)
      if (names.includes(name)) return ['ts', 'config.ts', 'editor.ts', 'html'].includes(ending ?? '')
      if (sections.includes(name)) return ['ts', 'sidebar.ts'].includes(ending ?? '')
      if (included.includes(inside)) return true
      return inside.endsWith('.ts') && imported.includes(inside.slice(0, -'.ts'.length))
    }
    return files.filter((file) => !known(file)).map((file) => `${file} is of no known kind`)
  })

/** The list of codes, as the native build writes it. */
function codesOf(collection: Collection): string[] {
  return all(/export type ErrorCode = (.*)/.exec(collection.read('native/index.d.ts'))?.[1] ?? '', /'(\w+)'/g)
}

/** Texts with a dot among what is given to the functions that look texts up. */
function keysIn(source: string): string[] {
  const calls = all(source, /\b(?:label|text|_|Problem)\(([^()]*)/g)
  return calls.flatMap((given) => [
    ...all(given, /'([a-z]\w*(?:\.\w+)+)'/g),
    // What follows a template's first part is known only at run time.
    ...all(given, /`([a-z]\w*\.)\$/g),
  ])
}

function placeholders(text: string): string {
  return all(text, /(__\w+__)/g)
    .sort()
    .join()
}

function outline(help: string): string {
  return all(help, /<(h3|h4|dl|dt[^>]*|dd|ol[^>]*|ul|li|p|code|span[^>]*)>/g).join()
}

function fieldsOf({ root }: Collection, { path }: Place): string[] {
  const exported = Object.values(
    require(`${root}/${path}.config.ts`) as Record<string, { fields?: object; credentials?: object }>,
  )
  return exported.flatMap(({ fields, credentials }) => (fields ? Object.keys({ ...fields, ...credentials }) : []))
}

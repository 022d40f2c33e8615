/** The collection as it lies below a folder: what the rules look at. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const languages = ['en-US', 'fr', 'de', 'ja', 'zh-CN']

/** A node's place: `nodes/<word>/<name>.ts` and its neighbours. */
export interface Place {
  word: string
  name: string
  /** `nodes/<word>/<name>`. */
  path: string
}

export type Texts = { [key: string]: string | Texts }

export class Collection {
  constructor(readonly root: string) {}

  has(file: string): boolean {
    return existsSync(join(this.root, file))
  }

  read(file: string): string {
    return this.has(file) ? readFileSync(join(this.root, file), 'utf8') : ''
  }

  json<T>(file: string): T {
    return JSON.parse(this.read(file) || '{}')
  }

  /** All files below a folder, as paths from the root. */
  files(folder: string): string[] {
    if (!this.has(folder)) return []
    return readdirSync(join(this.root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(this.root.length + 1)
          .replaceAll('\\', '/'),
      )
      .sort()
  }

  words(): string[] {
    const folders = readdirSync(join(this.root, 'nodes'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    )
    return folders.map((entry) => entry.name).filter((name) => name !== 'shared')
  }

  places(): Place[] {
    return this.placesOf(/^nodes\/([^/]+)\/([^/]+)\.editor\.ts$/)
  }

  /** What stands in the sidebar: a page and its routes, but no node. */
  sections(): Place[] {
    return this.placesOf(/^nodes\/([^/]+)\/([^/]+)\.sidebar\.ts$/)
  }

  private placesOf(pattern: RegExp): Place[] {
    return this.files('nodes').flatMap((file) => {
      const [, word = '', name = ''] = pattern.exec(file) ?? []
      return word ? [{ word, name, path: `nodes/${word}/${name}` }] : []
    })
  }

  /** The type that a node's configuration names. */
  typeOf({ path }: Place): string {
    return /\btype: '([^']+)'/.exec(this.read(`${path}.config.ts`))?.[1] ?? ''
  }

  /** package.json's nodes: their files by their types. */
  registered(): Record<string, string> {
    return this.json<{ 'node-red': { nodes: Record<string, string> } }>('package.json')['node-red'].nodes
  }

  /** package.json's plugins of the editor: their files by their names. */
  plugins(): Record<string, string> {
    return this.json<{ 'node-red': { plugins: Record<string, string> } }>('package.json')['node-red'].plugins
  }

  /** The rows shared by words that a node's form includes: each has a catalogue of its own. */
  sharedRows({ path }: Place): string[] {
    return all(this.read(`${path}.html`), /<!-- include \.\.\/shared\/(\w+)\.html -->/g)
  }

  catalogue(place: Place, language: string): Map<string, string> {
    const { word, name } = place
    const rows = this.sharedRows(place).map((row) => `shared/${row}`)
    const pages = ['shared/shared', ...rows, `${word}/shared`, `${word}/${name}`].map((page) => page.split('/'))
    const texts = pages.map(([room, page]) => this.json<Texts>(`nodes/${room}/locales/${language}/${page}.json`))
    return new Map(texts.flatMap((part) => flatten(part)))
  }

  /** A node's own files of its word: itself, its panel, and what these import for more than types. */
  sources({ word, path }: Place): string[] {
    const found = new Set<string>()
    const visit = (file: string) => {
      if (found.has(file) || !this.has(file)) return
      found.add(file)
      const imports = all(this.read(file), /^import (?!type\b)[^']*? from '\.\/([\w.-]+)'/gm)
      for (const name of imports) visit(`nodes/${word}/${name}.ts`)
    }
    for (const ending of ['ts', 'config.ts', 'editor.ts', 'sidebar.ts']) visit(`${path}.${ending}`)
    return [...found]
  }

  /** A node's form, with what it includes. */
  form({ word, path }: Place): string {
    const whole = (file: string): string =>
      this.read(file).replace(/<!-- include (\S+) -->/g, (_, part: string) => whole(`nodes/${word}/${part}`))
    return whole(`${path}.html`)
  }
}

/** A rule: what is wrong, each line with the name of the thing. */
export type Rule = (collection: Collection) => string[]

export function flatten(texts: Texts, path = ''): [string, string][] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === 'string' ? [[path + key, value] as [string, string]] : flatten(value, `${path}${key}.`),
  )
}

export function without<T>(all: Iterable<T>, some: Iterable<T>): T[] {
  const known = new Set(some)
  return [...new Set(all)].filter((item) => !known.has(item))
}

/** First groups of all matches. */
export function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found]) => found as string)
}

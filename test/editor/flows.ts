/** Flows and texts for the tests of the editor. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, root } from '../runtime/harness'

export const TYPE = 'millrace-sync'

/** A flow with a sync node, of an older or partial form too, for each entry: its id and what differs from nothing. */
export function flowOf(nodes: Record<string, object>): Json[] {
  return [
    { id: 'tab', type: 'tab', label: 'tests' },
    ...Object.entries(nodes).map(([id, properties], place) => ({
      id,
      type: TYPE,
      z: 'tab',
      x: 160 + 220 * (place % 3),
      y: 80 + 80 * Math.floor(place / 3),
      wires: [[], []],
      ...properties,
    })),
  ]
}

export const row = (topic: string, required = true, minPeriodMs = '') => ({ topic, required, minPeriodMs })

type Texts = { [key: string]: string | Texts }

export function catalogue(language = 'en-US', [word, name] = ['sync', 'sync']): Texts {
  return JSON.parse(readFileSync(join(root, `dist/${word}/locales/${language}/${name}.json`), 'utf8'))
}

/** A text as the editor shows it: of the sync node, or of another. */
export function text(
  key: string,
  params: Record<string, string | number> = {},
  language = 'en-US',
  node?: [word: string, name: string],
): string {
  const found = key
    .split('.')
    .reduce<string | Texts | undefined>((part, name) => (part as Texts)?.[name], catalogue(language, node))
  if (typeof found !== 'string') throw new Error(`${key} is not in the catalogue of ${language}`)
  return Object.entries(params).reduce((text, [name, value]) => text.replace(`__${name}__`, String(value)), found)
}

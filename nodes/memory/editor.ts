/** What the panels of the word share. Runs in the browser. */
import type { EditorRED } from 'node-red'
import type { ConfigSpec, Fields } from '../shared/config'
import { ask, text } from '../shared/editor'
import { nameKinds, STORE, timeKinds } from './fields'

declare const RED: EditorRED

/** One muted violet for the word. */
export const looks = { category: 'millrace memory', color: '#c9bfd8', icon: 'memory.svg' } as const

type Search = (typed: string, done: (found: { value: string; label: string }[]) => void) => void

/** Texts of the node's own catalogue. */
export type Label = (key: string, params?: object) => string

export function labelsOf(config: Pick<ConfigSpec<Fields>, 'type'>): Label {
  return (key, params) => text(config, key, params)
}

/** What the chosen store answers; nothing where it is not deployed, or cannot say. */
async function names(question: string, asked: Record<string, string>): Promise<string[]> {
  const id = String($('#node-input-store').val() ?? '')
  if (!id || id === '_ADD_') return []
  try {
    return (await ask<string[]>(STORE, id, `${question}?${new URLSearchParams(asked)}`)) ?? []
  } catch {
    return []
  }
}

/** The namespaces that begin as is typed. */
export function namespaces(typed: string): Promise<string[]> {
  return names('namespaces', { prefix: typed })
}

/** The keys of the namespace in the dialog that begin as is typed. */
export function keys(typed: string): Promise<string[]> {
  const namespace = String($('#node-input-namespace').val() ?? '')
  const isText = ($('#node-input-namespaceType').val() ?? 'str') === 'str'
  return namespace && isText ? names('keys', { namespace, prefix: typed }) : Promise.resolve([])
}

function searchOf(found: (typed: string) => Promise<string[]>): Search {
  return (typed, done) => found(typed).then((all) => done(all.map((value) => ({ value, label: value }))))
}

/** A plain text that offers names. Others can be typed. */
export function offerNames(input: JQuery, found: (typed: string) => Promise<string[]>): void {
  input.autoComplete({ search: searchOf(found) })
}

/** A typed input; a text in it offers what is `found`. */
function typedInput(name: string, kinds: readonly string[], found?: (typed: string) => Promise<string[]>): void {
  const types = kinds.map((kind) => (kind === 'str' && found ? textType(kind, searchOf(found)) : kind))
  // biome-ignore lint/suspicious/noExplicitAny: the published types do not know of autoComplete
  const options: any = { types, typeField: `#node-input-${name}Type` }
  $(`#node-input-${name}`).typedInput(options)
}

/** Node-RED's own text, with names to choose from. */
function textType(value: string, autoComplete: Search): object {
  const label = RED._(`typedInput.type.${value}`, { defaultValue: 'string' })
  return { value, label, icon: 'red/images/typedInput/az.svg', autoComplete }
}

/** The row of `namespace.html`. */
export function prepareNamespace(): void {
  typedInput('namespace', nameKinds, namespaces)
}

/** The rows of `place.html`. */
export function preparePlace(): void {
  prepareNamespace()
  typedInput('key', nameKinds, keys)
}

export function prepareTime(...inputs: string[]): void {
  for (const name of inputs) typedInput(name, timeKinds)
}

export function prepareValue(name: string, kinds: readonly string[]): void {
  typedInput(name, kinds)
}

/** Shows the rows that the chosen operation has, or the chosen value of another field: `millrace-memory-key` with `key`. */
export function showFor(
  rows: Record<string, readonly string[]>,
  field = 'operation',
  changed: (chosen: string) => void = () => {},
): void {
  const select = $(`#node-input-${field}`)
  const all = [...new Set(Object.values(rows).flat())]
  const show = () => {
    const chosen = String(select.val())
    for (const row of all) $(`.millrace-memory-${row}`).toggle(rows[chosen]?.includes(row) ?? false)
    changed(chosen)
  }
  select.on('change', show)
  show()
}

/** Another label for a row. Node-RED translates once more when the panel is prepared: by then the key has to be gone. */
export function rename(row: string, text: string): void {
  $(`.millrace-memory-${row} label span`).removeAttr('data-i18n').text(text)
}

/** What every node's panel needs. Bundled into each of them; runs in the browser. */
import type { EditorNodeInstance, EditorRED } from 'node-red'
import { type ConfigSpec, type Fields, migrate, Problem } from './config'
import { reach, reachChoice } from './reach'

declare const RED: EditorRED

/** Newer than the published types of the editor. */
declare global {
  interface JQuery {
    autoComplete(options: {
      search: (typed: string, done: (found: { value: string; label: string }[]) => void) => void
    }): this
  }
}

type Properties = Record<string, unknown>
export type PanelNode = EditorNodeInstance & Properties

/** How a node looks in the palette; literals only, the build copies them into the page. */
export type Palette =
  | { category: 'config'; paletteLabel: string }
  | {
      category: string
      color: string
      icon: string
      inputs: 0 | 1
      outputs: number
      paletteLabel: string
      /** Where the icon is; nodes that end a flow have it at the right. */
      align?: 'right'
    }

/** What a panel has. The build makes Node-RED's definition call its functions by these names. */
export interface Panel {
  /** What its link leads to: a path below examples/, without its ending. */
  example: string
  label(node: PanelNode): string
  inputLabels?(node: PanelNode): string
  outputLabels?(node: PanelNode, port: number): string
  oneditprepare?(node: PanelNode): void
  oneditsave?(node: PanelNode): void
  oneditcancel?(node: PanelNode): void
  oneditdelete?(node: PanelNode): void
  oneditresize?(node: PanelNode, size: { width: number; height: number }): void
}

export interface Editor extends Panel {
  config: ConfigSpec<Fields>
  palette: Palette
  /** True, or the reason why the property cannot have this value. */
  check(name: string, value: unknown): true | string
}

export function defineEditor(config: ConfigSpec<Fields>, palette: Palette, panel: Panel): Editor {
  return {
    ...panel,
    config,
    palette,
    oneditprepare(node) {
      complete(config, node)
      panel.oneditprepare?.(node)
      reach($('.millrace-form'))
      for (const [name, { type }] of Object.entries(config.fields)) if (type) reachChoice(name, type)
      wireExample(panel.example)
    },
    check(name, value) {
      return problemOf(config, () => config.fields[name]?.read(value), value) ?? true
    },
  }
}

/**
 * What was saved may be of an older version, or leave fields out. Node-RED has filled the inputs from it by
 * now, so that they, too, get what changes.
 */
function complete(config: ConfigSpec<Fields>, node: PanelNode): void {
  const current = migrate(config, node)
  for (const [name, field] of Object.entries(config.fields)) {
    const value = current[name] ?? field.value
    if (value === node[name]) continue
    Object.assign(node, { [name]: value })
    const input = $(`#node-input-${name}, #node-config-input-${name}`)
    // The choice of a config node has an entry for none, which Node-RED took.
    if (field.type && value === '') continue
    if (input.is('[type=checkbox]')) input.prop('checked', value === true)
    else input.val(value as string)
  }
}

/** A text of the node's catalogue. */
export function text(config: Pick<ConfigSpec<Fields>, 'type'>, key: string, params: object = {}): string {
  return RED._(`@millrace/node-red/${config.type}:${key}`, params as Record<string, string>)
}

/** Why `read` refuses a value; null where it does not. What holds a `${VAR}` is known only at run time. */
export function problemOf(
  config: Pick<ConfigSpec<Fields>, 'type'>,
  read: () => unknown,
  value: unknown,
): string | null {
  if (JSON.stringify(value)?.includes('${')) return null
  try {
    read()
    return null
  } catch (error) {
    if (error instanceof Problem) return text(config, error.key, error.params)
    throw error
  }
}

/** Marks an input that Node-RED does not know of, as Node-RED marks its own. */
export function mark(input: JQuery, problem: string | null): void {
  input.toggleClass('input-error', problem !== null)
  input.attr('aria-invalid', String(problem !== null))
  input.attr('title', problem ?? '')
}

/** Answers of the node's own lookup route; none before the first deploy or without the permission. */
export async function lookup<T>(config: Pick<ConfigSpec<Fields>, 'type'>, id: string, name: string): Promise<T[]> {
  try {
    return (await ask<T[]>(config.type, id, name)) ?? []
  } catch {
    return []
  }
}

/** So long an answer may take: who asks one after the other would else wait for ever behind it. */
const ANSWER_MS = 10_000

/** The answer of a node's lookup route; null where the node is not deployed. Fails as the node does. */
export async function ask<T>(type: string, id: string, name: string): Promise<T | null> {
  return answerOf($.ajax({ url: routeOf(type, id, name), dataType: 'json', timeout: ANSWER_MS }))
}

function routeOf(type: string, id: string, name: string): string {
  const settings = RED.settings as unknown as { apiRootUrl?: string }
  return `${settings.apiRootUrl ?? ''}${type}/${id}/${name}`
}

async function answerOf<T>(request: PromiseLike<unknown>): Promise<T | null> {
  try {
    return (await request) as T | null
  } catch (failure) {
    const { responseJSON, statusText } = failure as { responseJSON?: { message?: string }; statusText?: string }
    throw new Error(responseJSON?.message ?? statusText)
  }
}

/** Has the node do something with what is `given`; null where the node would have to be deployed. Fails as it does. */
export async function act<T>(type: string, id: string, name: string, given: object = {}): Promise<T | null> {
  const body = { contentType: 'application/json', data: JSON.stringify(given) }
  return answerOf($.ajax({ method: 'POST', url: routeOf(type, id, name), dataType: 'json', ...body }))
}

/** The button `<form>-test`: shows what `test` finds, in `<form>-found`; null where the node would have to be deployed. */
export function prepareTest(
  config: Pick<ConfigSpec<Fields>, 'type'>,
  form: string,
  test: () => Promise<string | null>,
): void {
  const button = $(`#${form}-test`)
  button.on('click', async () => {
    button.prop('disabled', true)
    showFound(form, text(config, 'test.running'))
    const found = await test().catch((error: Error) => text(config, 'test.failed', { reason: error.message }))
    showFound(form, found ?? text(config, 'test.undeployed'))
    button.prop('disabled', false)
    // The dialog may be longer than the screen.
    $(`#${form}-found`)[0]?.scrollIntoView({ block: 'nearest' })
  })
}

export function showFound(form: string, found: string): void {
  $(`#${form}-found`).text(found).prop('hidden', false)
}

/** Offers names while a free text is typed. Tab takes the first of them: so the closest to what was typed stands first. */
export function offer(input: JQuery, names: () => Promise<Iterable<string>>): void {
  input.autoComplete({
    search: (typed, done) => {
      const wanted = typed.toLowerCase()
      const distance = (name: string) => (name === typed ? 0 : name.toLowerCase().startsWith(wanted) ? 1 : 2)
      names().then((all) => {
        const fitting = [...new Set(all)].filter((name) => name.toLowerCase().includes(wanted))
        const found = fitting.sort((one, other) => distance(one) - distance(other))
        done(found.map((value) => ({ value, label: value })))
      })
    },
  })
}

/** The import dialog opens only after the panel has gone, and the one below that of a config node. */
function wireExample(example: string): void {
  $('.millrace-examples').on('click', (event) => {
    event.preventDefault()
    const leave = () =>
      $('.red-ui-tray').last().find('#node-dialog-cancel, #node-config-dialog-cancel').trigger('click')
    const open = () => {
      RED.events.off('editor:change', leave)
      RED.events.off('editor:close', open)
      RED.actions.invoke('core:show-examples-import-dialog')
      choose(`@millrace/node-red/${example}`)
    }
    RED.events.on('editor:change', leave)
    RED.events.on('editor:close', open)
    leave()
  })
}

/** A line of the import dialog's list: only a folder has children. */
interface Entry {
  path: string
  children?: Entry[]
  treeList: { childList: JQuery; expand(): void; select(chosen: boolean): void }
}

/** Opens folder by folder, as they come, and chooses what is wanted. */
function choose(wanted: string): void {
  const list = $('#red-ui-clipboard-dialog-import-tab-examples .red-ui-treeList')
  // Node-RED chooses the first entry itself, a moment after the list has come.
  const isAtRest = new Promise((resolve) => list.one('treelistselect', resolve))
  list.on('treelistchildrenloaded', async (_event, folder: Entry) => {
    // What still slides open has no place to scroll to.
    folder.treeList.childList.show()
    const next = folder.children?.find(({ path, children }) => (children ? wanted.startsWith(path) : path === wanted))
    if (next?.children) return next.treeList.expand()
    await isAtRest
    next?.treeList.select(true)
  })
}

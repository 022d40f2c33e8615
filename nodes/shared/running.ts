/** What runs of the collection and what failed lately: the sidebar's sections ask here, whatever word a node is of. */
import type { Node } from 'node-red'

/** How it stands with what a node is connected to. */
export interface Link {
  state: 'failed' | 'opening' | 'open' | 'idle' | 'ready'
  error?: { code: string; message: string } | undefined
}

/** What a node keeps on the disk until the other side has it. */
export interface Backlog {
  records: number
  bytes: number
  /** When the oldest came, epoch ms; null: there is none. */
  oldestMs: number | null
  dropped: number
}

/** A node that runs. */
export interface Runner {
  readonly node: Node
  readonly link?: () => Link
  readonly backlog?: () => Backlog | undefined
  /** What it complained of last. */
  last?: Complaint
}

export interface Complaint {
  code: string
  message: string
  /** Epoch ms. */
  at: number
}

export interface Failure extends Complaint, Named {
  /** So often in a row, as far as this node goes. */
  count: number
}

/** How the editor finds a node. */
export interface Named {
  id: string
  /** The same, but for a node in a subflow, which is drawn once for all. */
  shown: string
  type: string
  name: string
}

const FAILURES_MAX = 50
const MESSAGE_MAX = 500

export const running = new Map<string, Runner>()
const failed = new Map<string, Failure>()

/** Newest first. */
export function failures(): Failure[] {
  return [...failed.values()].reverse()
}

export function namesOf(node: Node): Named {
  const { id, type, name = '' } = node
  return { id, shown: (node as { _alias?: string })._alias ?? id, type, name }
}

/** Hears what a node says of itself from now on, in its log and to Catch nodes. */
export function listen(node: Node): void {
  const { error, warn } = node
  node.error = (what: unknown, ...about: unknown[]) => {
    keep(node, note(node, what))
    // Without a message it is for the log, which has no use for the stack.
    const said = about.length === 0 ? textOf(what) : what
    return (error as (...given: unknown[]) => void).call(node, said, ...about)
  }
  node.warn = (what: unknown) => {
    note(node, what)
    warn.call(node, what as string)
  }
}

function note(node: Node, what: unknown): Complaint {
  const { code } = (what ?? {}) as { code?: unknown }
  const message = String(textOf(what)).slice(0, MESSAGE_MAX)
  const complaint = { code: typeof code === 'string' ? code : '', message, at: Date.now() }
  const runner = running.get(node.id)
  if (runner) runner.last = complaint
  return complaint
}

/** What fails again and again takes one place. */
function keep(node: Node, complaint: Complaint): void {
  const key = `${node.id} ${complaint.code} ${complaint.message}`
  const count = (failed.get(key)?.count ?? 0) + 1
  failed.delete(key)
  failed.set(key, { ...namesOf(node), ...complaint, count })
  const [oldest] = failed.keys()
  if (failed.size > FAILURES_MAX && oldest !== undefined) failed.delete(oldest)
}

function textOf(what: unknown): unknown {
  return what instanceof Error ? what.message : what
}

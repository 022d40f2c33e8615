/** What the sidebar lists, whatever word a node is of. All answers are of bounded size. */
import { EngineError } from './errors'
import { loadedNative } from './native'
import { type Backlog, type Complaint, type Link, type Named, namesOf, type Runner, running } from './running'

const SHOWN_MAX = 50
const MESSAGE_MAX = 500
const ORDER: Link['state'][] = ['failed', 'opening', 'open', 'idle', 'ready']

export interface Connection extends Named, Link {
  /** What it complained of last. */
  last: Complaint | null
}

export interface Connections {
  connections: Connection[]
  count: number
  failed: number
}

/** Those in trouble first. */
export function connections(): Connections {
  const all = [...running.values()].flatMap(connectionOf)
  const failed = all.filter(({ state }) => state === 'failed').length
  const sorted = all.sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state))
  return { connections: sorted.slice(0, SHOWN_MAX), count: all.length, failed }
}

function connectionOf({ node, link, last }: Runner): Connection[] {
  if (!link) return []
  const { state, error } = link()
  const short = error && { code: error.code, message: error.message.slice(0, MESSAGE_MAX) }
  return [{ ...namesOf(node), state, error: short, last: last ?? null }]
}

export interface Keeper extends Named, Backlog {}

export interface Backlogs {
  keepers: Keeper[]
  count: number
  total: Backlog
}

/** The fullest first. */
export function backlogs(): Backlogs {
  const all = [...running.values()].flatMap(({ node, backlog }): Keeper[] => {
    const kept = backlog?.()
    return kept ? [{ ...namesOf(node), ...kept }] : []
  })
  const sum = (what: 'records' | 'bytes' | 'dropped') => all.reduce((total, keeper) => total + keeper[what], 0)
  const oldestMs = all.reduce<number | null>((oldest, keeper) => older(oldest, keeper.oldestMs), null)
  const total = { records: sum('records'), bytes: sum('bytes'), dropped: sum('dropped'), oldestMs }
  const keepers = all.sort((one, other) => other.records - one.records).slice(0, SHOWN_MAX)
  return { keepers, count: all.length, total }
}

function older(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}

/** Of the process; of the engines where they are loaded: to look at them does not load them. */
export interface Figures {
  /** Null where nothing has needed the engines yet. */
  engine: { version: string; bytes: number } | null
  /** Why there are none. */
  problem: string | null
  /** Bytes of JavaScript's heap, and of what hangs on it. */
  script: number
  resident: number
}

export function figures(): Figures {
  const { rss: resident, heapUsed, external } = process.memoryUsage()
  const binary = loadedNative()
  const isThere = binary !== undefined && !(binary instanceof EngineError)
  return {
    engine: isThere ? { version: binary.engineVersion(), bytes: binary.engineMemory() } : null,
    problem: binary instanceof EngineError ? binary.message : null,
    script: heapUsed + external,
    resident,
  }
}

/** What the sidebar shows of a context: all answers are of bounded size. */
import type { Link } from '../shared/running'
import type { ContextHost, Seen } from './host'

/** A thing of the graph, with its types; a node has none. */
export interface Found {
  name: string
  types: string[]
}

/** Those that are asked for, as many as can be looked at. */
export interface Finds {
  all: number
  fitting: number
  shown: Found[]
}

/** Whose graph it is. */
export const CONTEXT = 'millrace-ros2-context'
export const kinds = ['topics', 'services', 'actions', 'nodes'] as const

export interface Domain extends Pick<Link, 'state'> {
  /** Why the context is not open. */
  problem: string | null
  /** Null where the context is not open: to look does not open it. */
  graph: Record<(typeof kinds)[number], Finds> | null
}

const SHOWN_MAX = 50

/** `search`: a part of a name or a type. */
export function domainOf(host: ContextHost, search: string): Domain {
  const { state, error } = host.link
  const seen = host.seen()
  return { state, problem: error?.message ?? null, graph: seen ? graphOf(seen, search.toLowerCase()) : null }
}

function graphOf({ topics, services, actions, nodes }: Seen, search: string): NonNullable<Domain['graph']> {
  const fits = ({ name, types }: Found) => [name, ...types].some((text) => text.toLowerCase().includes(search))
  const finds = (all: Found[]): Finds => {
    const fitting = all.filter(fits)
    return { all: all.length, fitting: fitting.length, shown: fitting.slice(0, SHOWN_MAX) }
  }
  return {
    topics: finds(topics.map(({ topic, types }) => ({ name: topic, types }))),
    services: finds(services.map(({ service, types }) => ({ name: service, types }))),
    actions: finds(actions.map(({ action, types }) => ({ name: action, types }))),
    nodes: finds(nodes.map((name) => ({ name, types: [] }))),
  }
}

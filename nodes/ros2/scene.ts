/** The graph as flows get it: names instead of parts, filtered, and what changed between two looks. */

import { absolute } from './fields'
import type { GraphConfig } from './graph.config'
import type { Graph, GraphEndpoint, GraphNode, Qos } from './lib'

export interface NodeItem {
  kind: 'node'
  node: string
}

export interface EndItem {
  kind: 'publisher' | 'subscription'
  topic: string
  type: string
  /** Null where that is not known. */
  node: string | null
  qos: Required<Qos>
  /** Its id. */
  gid: string
}

export type Item = NodeItem | EndItem
export type Change = { event: 'added' | 'removed' } & Item

export interface Scene {
  nodes: string[]
  topics: { topic: string; types: string[]; publishers: End[]; subscriptions: End[] }[]
}
type End = Omit<EndItem, 'kind' | 'topic'>

export type Filter = Pick<GraphConfig, 'prefix' | 'hideOwn' | 'hideHidden'>

/** Everything that the filter lets through, by its identity. */
export function itemsOf(graph: Graph, { prefix, hideOwn, hideHidden }: Filter): Map<string, Item> {
  const shows = (name: string, own: boolean) =>
    name.startsWith(prefix) && !(hideOwn && own) && !(hideHidden && isHidden(name))
  const items = new Map<string, Item>()
  for (const node of graph.nodes) {
    const name = nameOf(node)
    if (shows(name, node.own)) items.set(`node ${name}`, { kind: 'node', node: name })
  }
  const add = (kind: EndItem['kind'], ends: readonly GraphEndpoint[]) => {
    for (const { topic, type, service, node, own, qos, gid } of ends) {
      if (service || !shows(topic, own)) continue
      const name = node && nameOf(node)
      // An endpoint may be seen before it is known whose it is: then it is told again, with its node.
      items.set(`${gid} ${name}`, { kind, topic, type, node: name, qos, gid: gid ?? '' })
    }
  }
  add('publisher', graph.publishers)
  add('subscription', graph.subscriptions)
  return items
}

export function sceneOf(items: Iterable<Item>): Scene {
  const nodes: string[] = []
  const topics = new Map<string, Scene['topics'][number]>()
  for (const item of items) {
    if (item.kind === 'node') {
      nodes.push(item.node)
      continue
    }
    const { kind, topic, ...end } = item
    const found = topics.get(topic) ?? { topic, types: [], publishers: [], subscriptions: [] }
    topics.set(topic, found)
    if (!found.types.includes(end.type)) found.types.push(end.type)
    found[kind === 'publisher' ? 'publishers' : 'subscriptions'].push(end)
  }
  const byTopic = [...topics.values()].sort((one, other) => (one.topic < other.topic ? -1 : 1))
  return { nodes: nodes.sort(), topics: byTopic }
}

/** What is to be told to somebody who knows of `known`: what went first, then what came; no more than `limit`. */
export function changesOf(known: ReadonlyMap<string, Item>, now: ReadonlyMap<string, Item>, limit: number) {
  const changes: [identity: string, change: Change][] = []
  const compare = (event: Change['event'], some: typeof known, others: typeof known) => {
    for (const [identity, item] of some) {
      if (changes.length >= limit) return
      if (!others.has(identity)) changes.push([identity, { event, ...item }])
    }
  }
  compare('removed', known, now)
  compare('added', now, known)
  return changes
}

function nameOf({ name, namespace }: GraphNode): string {
  return absolute(name, namespace)
}

function isHidden(name: string): boolean {
  return name.split('/').some((part) => part.startsWith('_'))
}

/** The memory nodes in a running flow, with everything that they say written down. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import browser from '../../nodes/memory/browser'
import embedderNode from '../../nodes/memory/embedder'
import type { StoreHost } from '../../nodes/memory/host'
import ingestNode from '../../nodes/memory/ingest'
import type { Database } from '../../nodes/memory/lib'
import readNode from '../../nodes/memory/read'
import recallNode from '../../nodes/memory/recall'
import rememberNode from '../../nodes/memory/remember'
import retrieveNode from '../../nodes/memory/retrieve'
import searchNode from '../../nodes/memory/search'
import storeNode from '../../nodes/memory/store'
import watchNode from '../../nodes/memory/watch'
import writeNode from '../../nodes/memory/write'
import { stateOf } from '../../nodes/shared/node'
import { type Json, Log, type Seen } from '../shared/rig'

export type { Json, Seen }

const tlsNode = require('@node-red/nodes/core/network/05-tls.js') as (RED: NodeAPI) => void

const HEARD = { written: 'written', found: 'found', missing: 'missing', change: 'change', gap: 'gap', caught: 'caught' }
type Event = keyof typeof HEARD

const place = { z: 'tab', x: 0, y: 0 }

export const storeOf = (more: Json = {}): Json => ({ id: 'store', type: 'millrace-memory-store', ...more })

export const writeOf = (more: Json = {}): Json => ({
  ...{ id: 'write', type: 'millrace-memory-write', store: 'store', namespace: 'n', ...place },
  ...{ wires: [['written'], ['missing']] },
  ...more,
})

export const readOf = (more: Json = {}): Json => ({
  ...{ id: 'read', type: 'millrace-memory-read', store: 'store', namespace: 'n', ...place },
  ...{ wires: [['found'], ['missing']] },
  ...more,
})

export const searchOf = (more: Json = {}): Json => ({
  ...{ id: 'search', type: 'millrace-memory-search', store: 'store', namespace: 'n', ...place, wires: [['found']] },
  ...more,
})

export const rememberOf = (more: Json = {}): Json => ({
  ...{ id: 'remember', type: 'millrace-memory-remember', store: 'store', ...place, wires: [['written']] },
  ...more,
})

export const recallOf = (more: Json = {}): Json => ({
  ...{ id: 'recall', type: 'millrace-memory-recall', store: 'store', ...place, wires: [['found']] },
  ...more,
})

export const embedderOf = (more: Json = {}): Json => ({
  ...{ id: 'embedder', type: 'millrace-memory-embedder', model: 'test-model' },
  ...more,
})

export const ingestOf = (more: Json = {}): Json => ({
  ...{ id: 'ingest', type: 'millrace-memory-ingest', store: 'store', ...place, wires: [['written']] },
  ...more,
})

export const retrieveOf = (more: Json = {}): Json => ({
  ...{ id: 'retrieve', type: 'millrace-memory-retrieve', store: 'store', ...place, wires: [['found']] },
  ...more,
})

export const watchOf = (more: Json = {}): Json => ({
  ...{ id: 'watch', type: 'millrace-memory-watch', store: 'store', ...place, wires: [['change'], ['gap']] },
  ...more,
})

const flowOf = (nodes: Json[]): Json[] => [
  { id: 'tab', type: 'tab' },
  { id: 'catch', type: 'catch', ...place, scope: null, wires: [['caught']] },
  ...Object.keys(HEARD).map((id) => ({ id, type: 'helper', ...place, wires: [] })),
  ...nodes,
]

let userDir = ''

export class Rig extends Log<Event> {
  private constructor() {
    super(HEARD as Record<Event, Event>)
  }

  static async start(...nodes: Json[]): Promise<Rig> {
    userDir ||= mkdtempSync(join(tmpdir(), 'millrace-memory-'))
    helper.settings({ userDir } as never)
    const rig = new Rig()
    const types = [
      storeNode,
      writeNode,
      readNode,
      watchNode,
      searchNode,
      rememberNode,
      recallNode,
      embedderNode,
      ingestNode,
      retrieveNode,
      browser,
    ].map((node) => (RED: NodeAPI) => node(rig.listenTo(RED)))
    await helper.load([tlsNode, ...types] as never, flowOf(nodes) as never, Rig.credentials as never)
    rig.attach()
    return rig
  }

  /** By node, for the next start. */
  static credentials: Json = {}

  /** Ends Node-RED's flows; its user directory stays. */
  static async halt(): Promise<void> {
    await helper.unload()
  }

  static override async stop(): Promise<void> {
    await Log.stop()
    rmSync(userDir, { recursive: true, force: true })
    userDir = ''
    Rig.credentials = {}
  }

  /** A file in the user directory. */
  static file(...path: string[]): string {
    return join(userDir, ...path)
  }

  async redeploy(kind: 'full' | 'flows' | 'nodes', ...nodes: Json[]): Promise<void> {
    await helper.setFlows(flowOf(nodes) as never, kind)
    this.attach()
  }

  send(to: string, message: Json): void {
    helper.getNode(to).receive(message as never)
  }

  /** Puts these, one after the other, and waits until all are there. */
  async put(...messages: Json[]): Promise<Seen[]> {
    const before = this.seen.written.length
    for (const message of messages) this.send('write', message)
    return (await this.until('written', before + messages.length)).slice(before)
  }

  /** What the store node has opened. */
  database(): Promise<Database> {
    return (stateOf({ nodes: helper } as never, 'store') as StoreHost).database()
  }

  async answer(message: Json, from = 'read'): Promise<Seen> {
    const before = this.seen.found.length
    this.send(from, message)
    return (await this.until('found', before + 1))[before]
  }
}

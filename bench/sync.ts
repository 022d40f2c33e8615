/**
 * sync through JavaScript: the library alone, and the node beside Node-RED's own join node (the peer
 * that flows use today for the job), in one run, alternating, with the distance of the stamps that each
 * one's pairs have. `npm run bench sync` runs the engine's own benchmark before this.
 */
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import type { NodeAPI } from 'node-red'
import helper from 'node-red-node-test-helper'
import { sync } from '../nodes'
import syncNode from '../nodes/sync/sync'
import { generator } from '../test/shared/random'
import { median } from './lib/figures'

const require = createRequire(__filename)
const joinNode = require('@node-red/nodes/core/sequence/17-split.js') as (RED: NodeAPI) => void

const ROUNDS = 7
const LIBRARY_MESSAGES = 300_000
const NODE_MESSAGES = 40_000

interface Stamped {
  topic: string
  timestamp: number
}

/** `rates` in Hz, jittered by a fourth of the period, in the order of the stamps. Same seed, same stream. */
function stream(rates: Record<string, number>, count: number): Stamped[] {
  const random = generator(1)
  const topics = Object.entries(rates)
  const seconds = count / topics.reduce((sum, [, hz]) => sum + hz, 0)
  return topics
    .flatMap(([topic, hz]) =>
      Array.from({ length: Math.floor(seconds * hz) }, (_, index) => ({
        topic,
        timestamp: 1_700_000_000_000 + ((index + 1 + random() / 4) * 1000) / hz,
      })),
    )
    .sort((a, b) => a.timestamp - b.timestamp)
}

function library(match: 'nearest' | 'oldest', messages: { topic: string; stamp: bigint }[], topics: string[]): number {
  const matcher = new sync.Synchronizer<object>(topics, { match }, () => {})
  let groups = 0
  const start = performance.now()
  for (const message of messages) {
    matcher.push(message.topic, message.stamp, message)
    for (let group = matcher.poll(); group; group = matcher.poll()) groups += group.topics().length > 0 ? 1 : 0
  }
  const rate = messages.length / ((performance.now() - start) / 1000)
  if (groups === 0) throw new Error('no groups')
  return rate
}

interface Pairing {
  rate: number
  pairs: number
  meanSkewMs: number
}

/** Sends the stream through a node and looks at the pairs that leave. */
async function node(type: 'millrace-sync' | 'join', messages: Stamped[]): Promise<Pairing> {
  const settings =
    type === 'join'
      ? {
          mode: 'custom',
          build: 'object',
          property: 'payload',
          propertyType: 'msg',
          key: 'topic',
          joiner: '',
          joinerType: 'str',
          count: '2',
        }
      : { topics: [{ topic: 'camera' }, { topic: 'lidar' }] }
  const flow = [
    { id: 'peer', type, wires: [['out']], ...settings },
    { id: 'out', type: 'helper' },
  ]
  await helper.load([type === 'join' ? joinNode : syncNode], flow)
  const peer = helper.getNode('peer')
  let pairs = 0
  let skew = 0
  const out = helper.getNode('out') as unknown as EventEmitter
  out.on('input', ({ payload }: { payload: Record<string, number> }) => {
    const stamps = Object.values(payload)
    if (stamps.length < 2) return
    pairs += 1
    skew += Math.max(...stamps) - Math.min(...stamps)
  })
  const start = performance.now()
  for (let place = 0; place < messages.length; place += 1) {
    const { topic, timestamp } = messages[place] as Stamped
    peer.receive({ topic, timestamp, payload: timestamp })
    // Node-RED hands messages on in turns of the event loop; it gets them as often as it would in a flow.
    if (place % 100 === 99) await new Promise(setImmediate)
  }
  await new Promise(setImmediate)
  const seconds = (performance.now() - start) / 1000
  await helper.unload()
  return { rate: messages.length / seconds, pairs, meanSkewMs: skew / pairs }
}

function row(label: string, rates: number[], rest = ''): void {
  const spread = `${Math.round(Math.min(...rates) / 1000)}–${Math.round(Math.max(...rates) / 1000)}k`
  const rate = `${Math.round(median(rates) / 1000)}k`
  console.log(`${label.padEnd(44)}${rate.padStart(8)} msg/s  (${spread})${rest}`)
}

async function main(): Promise<void> {
  console.log(`Node.js ${process.versions.node}, ${process.platform}-${process.arch}, ${ROUNDS} alternating rounds\n`)

  const sixteen = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`s${index}`, 10 + index]))
  for (const [label, rates] of [
    ['3 topics at 30, 10 and 100 Hz', { camera: 30, lidar: 10, imu: 100 }],
    ['16 topics at 10 to 25 Hz', sixteen],
  ] as const) {
    const messages = stream(rates, LIBRARY_MESSAGES).map(({ topic, timestamp }) => ({
      topic,
      stamp: BigInt(Math.round(timestamp * 1e6)),
    }))
    const results = { nearest: [] as number[], oldest: [] as number[] }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const match of ['nearest', 'oldest'] as const) {
        results[match].push(library(match, messages, Object.keys(rates)))
      }
    }
    for (const match of ['nearest', 'oldest'] as const) row(`library, ${label}, ${match}`, results[match])
  }

  helper.init(require.resolve('node-red'))
  await new Promise<void>((resolve) => helper.startServer(resolve))
  const messages = stream({ camera: 30, lidar: 10 }, NODE_MESSAGES)
  const results: Record<'millrace-sync' | 'join', Pairing[]> = { 'millrace-sync': [], join: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const type of ['millrace-sync', 'join'] as const) results[type].push(await node(type, messages))
  }
  await new Promise<void>((resolve) => helper.stopServer(resolve))
  console.log('\nIn Node-RED, a camera at 30 Hz and a lidar at 10 Hz:')
  for (const type of ['millrace-sync', 'join'] as const) {
    const [first] = results[type] as [Pairing]
    const rates = results[type].map((result) => result.rate)
    row(`node ${type}`, rates, `  ${first.pairs} pairs, stamps ${first.meanSkewMs.toFixed(1)} ms apart`)
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})

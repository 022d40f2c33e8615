/**
 * action: measurements a second through the watch engine, with 10,000 sources, as a node uses it: name by name, one
 * after the other.
 */
import { performance } from 'node:perf_hooks'
import { action } from '../nodes'

const SOURCES = 10_000
const MEASUREMENTS = 2_000_000
const ROUNDS = 5

const rules = [
  { name: 'gas', kind: 'above', limit: 1000, hysteresis: 50, property: 'payload.concentration_ppm' },
  { name: 'amplitude', kind: 'below', limit: 0.1, minDurationMs: 1000, property: 'payload.peak_amplitude' },
  { name: 'frequency', kind: 'deviation', reference: 2000, limit: 20, property: 'payload.peak_frequency' },
  { name: 'jump', kind: 'rate', limit: 1e9 },
  { name: 'silence', kind: 'silence', limit: 30_000 },
] satisfies Partial<action.Rule>[]

function run(count: number, history: number): { rate: number; events: number } {
  const watch = new action.Watch({ rules: rules.slice(0, count), maxSources: SOURCES, history })
  const names = Array.from({ length: SOURCES }, (_, place) => `sensor-${place}`)
  const values = new Float64Array(watch.channels.length)
  let events = 0
  const start = performance.now()
  for (let turn = 0; turn < MEASUREMENTS; turn += 1) {
    const round = Math.floor(turn / SOURCES)
    // Each source is over the limit in one of 20 rounds.
    const over = (turn + round) % 20 === 0
    values.fill(over ? 1500 : 500)
    events += watch.measure(names[turn % SOURCES] as string, values, start + round).length
    if (performance.now() >= watch.dueAt) events += watch.tick().length
  }
  return { rate: MEASUREMENTS / ((performance.now() - start) / 1000), events }
}

console.log(
  `Node.js ${process.versions.node}, ${process.platform}-${process.arch}, ${SOURCES} sources, median of ${ROUNDS}\n`,
)
for (const [count, history] of [
  [1, 0],
  [1, 100],
  [5, 100],
] as const) {
  const results = Array.from({ length: ROUNDS }, () => run(count, history)).sort((a, b) => a.rate - b.rate)
  const { rate, events } = results[Math.floor(ROUNDS / 2)] as { rate: number; events: number }
  if (events === 0) throw new Error('no alerts')
  const label = `${count} ${count === 1 ? 'rule' : 'rules'}, history of ${history}`
  console.log(`${label.padEnd(28)}${Math.round(rate / 1000)}k measurements/s, ${events} alerts and clears`)
}

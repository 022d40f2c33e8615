/** The quality of service of a topic, as it is saved: one of the presets, or each value. */
import { choice, number, optionalNumber } from '../shared/config'
import type { Qos } from './lib'

const time = { min: 0.001, max: 3_155_760_000_000 }

type Basics = Required<Pick<Qos, 'reliability' | 'durability' | 'history' | 'depth'>>
export type Preset = 'sensor' | 'default' | 'latched'

export const presets: Record<Preset, Basics> = {
  sensor: { reliability: 'best-effort', durability: 'volatile', history: 'keep-last', depth: 5 },
  default: { reliability: 'reliable', durability: 'volatile', history: 'keep-last', depth: 10 },
  latched: { reliability: 'reliable', durability: 'transient-local', history: 'keep-last', depth: 1 },
}

/** What only `custom` uses begins as the preset has it. */
export const qosFields = (preset: Preset) => ({
  qos: choice<Preset | 'custom'>(preset, ['sensor', 'default', 'latched', 'custom']),
  reliability: choice(presets[preset].reliability, ['best-effort', 'reliable']),
  durability: choice(presets[preset].durability, ['volatile', 'transient-local']),
  history: choice(presets[preset].history, ['keep-last', 'keep-all']),
  depth: number(presets[preset].depth, { min: 1, max: 1_000_000, whole: true }),
  deadlineMs: optionalNumber('', time),
  lifespanMs: optionalNumber('', time),
  liveliness: choice('automatic', ['automatic', 'manual-by-topic']),
  leaseMs: optionalNumber('', time),
})

export function presetQos(preset: Preset): Required<Qos> {
  return { ...presets[preset], deadlineMs: null, lifespanMs: null, liveliness: 'automatic', leaseMs: null }
}

export function qosOf(saved: Required<Qos> & { qos: Preset | 'custom' }): Required<Qos> {
  if (saved.qos !== 'custom') return presetQos(saved.qos)
  const { reliability, durability, history, depth, deadlineMs, lifespanMs, liveliness, leaseMs } = saved
  return { reliability, durability, history, depth, deadlineMs, lifespanMs, liveliness, leaseMs }
}

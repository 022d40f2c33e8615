/** Reads a measurement off a message: whose it is, from when, and a number for each channel of a watch. */
import type { Node, NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Message } from '../shared/node'
import type { Measurement } from './lib'
import type { WatchConfig } from './watch.config'

export interface Reading {
  source: string
  stamp: number
  values: Float64Array
}

type Read = (message: Message) => unknown | Promise<unknown>

/** Reads for these channels: '' is the node's own value, `jsonata …` an expression, all else a property of msg. */
export function valueReader(RED: NodeAPI, node: Node, config: WatchConfig, channels: readonly string[]) {
  const reads = channels.map((channel): Read => {
    if (channel.startsWith('jsonata ')) return expression(channel.slice('jsonata '.length), truth)
    if (channel === '' && config.valueType === 'jsonata') return expression(config.value, number)
    return property(channel === '' ? config.value : channel)
  })
  /** Whether some values come later. */
  const waits = config.valueType === 'jsonata' || channels.some((channel) => channel.startsWith('jsonata '))
  const sourceOf = propertyOf(config.source)

  function read(message: Message): Reading | Promise<Reading> {
    const { payload } = message
    const given = (payload ?? {}) as { sourceNodeId?: unknown; timestamp?: unknown }
    const source = nameOf(given.sourceNodeId) ?? nameOf(sourceOf(message)) ?? (node.name || 'default')
    const stamp = stampOf(given.timestamp) ?? stampOf(message.timestamp) ?? Date.now()
    if (!waits) return { source, stamp, values: Float64Array.from(reads, (one) => one(message) as number) }
    return Promise.all(reads.map((one) => one(message))).then((all) => ({
      source,
      stamp,
      values: Float64Array.from(all as number[]),
    }))
  }

  function property(name: string): Read {
    const of = propertyOf(name)
    return (message) => number(of(message))
  }

  function propertyOf(name: string): (message: Message) => unknown {
    prepare(name, () => RED.util.normalisePropertyExpression(name))
    return (message) => {
      try {
        return RED.util.getMessageProperty(message, name)
      } catch {
        // The message has no such path.
        return undefined
      }
    }
  }

  function expression(text: string, toNumber: (value: unknown) => number): Read {
    const prepared = prepare(text, () => RED.util.prepareJSONataExpression(text, node))
    return (message) =>
      new Promise((resolve, reject) => {
        RED.util.evaluateJSONataExpression(prepared, message, (error: Error | null, value: unknown) => {
          if (!error) return resolve(toNumber(value))
          reject(new EngineError('INVALID_INPUT', `JSONata ${quote(text)}: ${error.message}`, { cause: error }))
        })
      })
  }

  return { read, waits }
}

/** What Node-RED cannot read is said now, not with every message. */
function prepare<T>(text: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    // JSONata's errors are plain objects.
    const reason = (cause as { message?: unknown }).message
    throw new EngineError('INVALID_OPTION', `${quote(text)} cannot be read: ${reason}`, { cause })
  }
}

/** The measurement as it goes on: the fields of the payload, and what makes it one. */
export function measurementOf(payload: unknown, { source, stamp, values }: Reading): Measurement {
  const fields = typeof payload === 'object' && payload !== null && !Buffer.isBuffer(payload) ? payload : {}
  const [value = Number.NaN] = values
  return { ...fields, ...(Number.isFinite(value) && { value }), sourceNodeId: source, timestamp: stamp }
}

function number(value: unknown): number {
  if (typeof value === 'number') return Number.isFinite(value) ? value : Number.NaN
  if (typeof value === 'boolean') return Number(value)
  return typeof value === 'string' && value.trim() !== '' ? number(Number(value)) : Number.NaN
}

/** An expression that finds nothing says nothing. */
function truth(value: unknown): number {
  return value === undefined ? Number.NaN : Number(Boolean(value))
}

function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}

function stampOf(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  const ms = typeof value === 'string' || value instanceof Date ? new Date(value).getTime() : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

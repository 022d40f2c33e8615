/**
 * Buffers among the arguments are no part of a message: they are kept beside it for a while, and stand in it as
 * `{"$ref": key}`. `refs` of the message names the keys, so that data that only looks alike is left alone.
 */
import { randomUUID } from 'node:crypto'
import { EngineError } from '../../shared/errors'
import { MOST_DEPTH } from '../../shared/json'
import type { Plain } from './signature'

/** Where a broker keeps them. */
export interface Payloads {
  put(key: string, data: Buffer, keepMs: number): Promise<void>
  get(key: string): Promise<Buffer | undefined>
  drop(keys: readonly string[]): Promise<void>
}

/** From when the task may begin. */
const WEEK = 7 * 86_400_000
const LARGEST = 64 << 20
const KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

type Parts = Map<string, Buffer>

/** The same without Buffers, and these by their keys. */
export function lend<T>(value: T): { value: T; parts: Parts } {
  const parts: Parts = new Map()
  return { value: without(value, parts, []) as T, parts }
}

/** The same for the tasks of a signature; each names its own. */
export function lendAll(signature: Plain): { value: Plain; parts: Parts } {
  const parts: Parts = new Map()
  return { value: inSignature(signature, parts), parts }
}

/** Keeps them until a week after the task may begin. */
export async function keep(payloads: Payloads, parts: Parts, delayMs = 0): Promise<void> {
  for (const { length } of parts.values()) {
    if (length <= LARGEST) continue
    const text = `a Buffer among the arguments has ${length} bytes, more than ${LARGEST}; pass a reference to the data instead`
    throw new EngineError('TOO_LARGE', text)
  }
  await Promise.all([...parts].map(([key, data]) => payloads.put(key, data, WEEK + Math.max(0, delayMs))))
}

/** The Buffers of a message; they take their places again by `inPlace`. */
export async function fetchAll(payloads: Payloads, keys: readonly string[]): Promise<Parts> {
  const parts: Parts = new Map()
  await Promise.all(
    keys.map(async (key) => {
      const data = KEY.test(key) ? await payloads.get(key) : undefined
      if (!data)
        throw new EngineError(
          'NOT_FOUND',
          `the Buffer ${key} of the task's arguments is not kept any more; send it anew`,
        )
      parts.set(key, data)
    }),
  )
  return parts
}

/** The keys that a message names. */
export function refsOf({ refs }: Record<string, unknown>): readonly string[] {
  return Array.isArray(refs) ? refs.map(String) : []
}

export function inPlace(value: unknown, parts: Parts): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item) => inPlace(item, parts))
  const { $ref } = value as { $ref?: unknown }
  const data = parts.get(String($ref))
  if (data) return data
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inPlace(item, parts)]))
}

function without(value: unknown, parts: Parts, above: readonly unknown[]): unknown {
  if (value instanceof Uint8Array) {
    const key = randomUUID()
    parts.set(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    return { $ref: key }
  }
  // What holds itself, or is too deep, is refused later, by its path.
  if (value === null || typeof value !== 'object' || above.length > MOST_DEPTH || above.includes(value)) return value
  const inside = [...above, value]
  if (Array.isArray(value)) return value.map((item) => without(item, parts, inside))
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, without(item, parts, inside)]))
}

function inSignature(plain: Plain, parts: Parts, depth = 0): Plain {
  if (depth > MOST_DEPTH) return plain
  const one = (value: unknown) => (isPlain(value) ? inSignature(value, parts, depth + 1) : value)
  const all = (value: unknown) => (Array.isArray(value) ? value.map(one) : value)
  const made = { ...plain }
  if (plain.task !== undefined) {
    const own = lend({ args: plain.args, kwargs: plain.kwargs })
    if (own.parts.size > 0) {
      const options = { ...(plain.options as object), refs: [...own.parts.keys()] }
      Object.assign(made, own.value, { options })
      for (const [key, data] of own.parts) parts.set(key, data)
    }
  }
  for (const list of ['chain', 'group']) if (plain[list]) made[list] = all(plain[list])
  if (isPlain(plain.chord))
    made.chord = { ...plain.chord, header: all(plain.chord.header), body: one(plain.chord.body) }
  if (plain.errorTask) made.errorTask = one(plain.errorTask)
  return made
}

function isPlain(value: unknown): value is Plain {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

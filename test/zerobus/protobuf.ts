/** Protobuf: records, read strictly by the descriptor that their stream was opened with; and fields, to write. */
import type { Field, Row } from './delta'

interface Part {
  number: number
  wire: number
  value: bigint | Buffer
}

interface Member extends Field {
  number: number
  isRepeated: boolean
  message?: Message
}

export interface Message {
  members: Member[]
  isEntry: boolean
}

/** By their numbers in a descriptor: the name, how it is on the wire, and what it means. */
const SCALARS: Record<number, [name: string, wire: number, read: (value: never) => unknown]> = {
  1: ['double', 1, (value: Buffer) => value.readDoubleLE()],
  2: ['float', 5, (value: Buffer) => value.readFloatLE()],
  3: ['int64', 0, (value: bigint) => BigInt.asIntN(64, value)],
  5: ['int32', 0, (value: bigint) => Number(BigInt.asIntN(64, value))],
  8: ['bool', 0, (value: bigint) => value !== 0n],
  9: ['string', 2, text],
  12: ['bytes', 2, (value: Buffer) => Buffer.from(value)],
}
const MESSAGE = 11
const REPEATED = 3

function text(value: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
}

function* parts(bytes: Buffer): Generator<Part> {
  let at = 0
  const take = (length: number) => {
    if (at + length > bytes.length) throw new Error('a record ends within a field')
    at += length
    return bytes.subarray(at - length, at)
  }
  const varint = () => {
    let number = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = take(1)[0] ?? 0
      number |= BigInt(byte & 127) << shift
      if (byte < 128) return number
    }
    throw new Error('a number has too many bytes')
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const wire = tag & 7
    const number = tag >>> 3
    if (wire === 0) yield { number, wire, value: varint() }
    else if (wire === 1 || wire === 5) yield { number, wire, value: take(wire === 1 ? 8 : 4) }
    else if (wire === 2) yield { number, wire, value: take(Number(varint())) }
    else throw new Error(`field ${number} is of the unknown kind ${wire}`)
  }
}

/** Of a serialised `DescriptorProto`. */
export function readDescriptor(bytes: Buffer): Message {
  const messages = new Map<string, Message>()
  const open: (() => void)[] = []
  const root = readMessage(bytes, '', messages, open)
  for (const resolve of open) resolve()
  return root
}

function readMessage(bytes: Buffer, scope: string, known: Map<string, Message>, open: (() => void)[]): Message {
  const all = [...parts(bytes)]
  const of = (wanted: number) => all.filter(({ number }) => number === wanted).map(({ value }) => value as Buffer)
  const name = `${scope}.${of(1).map(text)}`
  const options = of(7).flatMap((option) => [...parts(option)])
  const message: Message = { members: [], isEntry: options.some(({ number, value }) => number === 7 && value === 1n) }
  known.set(name, message)
  for (const nested of of(3)) readMessage(nested, name, known, open)
  message.members = of(2).map((field) => readMember(field, known, open))
  return message
}

function readMember(bytes: Buffer, known: Map<string, Message>, open: (() => void)[]): Member {
  const found = Object.fromEntries([...parts(bytes)].map(({ number, value }) => [number, value]))
  const [name, type] = [text(found[1] as Buffer), Number(found[5])]
  const scalar = SCALARS[type]?.[0]
  if (!scalar && type !== MESSAGE) throw new Error(`field ${name} has the unknown type ${type}`)
  const isRepeated = Number(found[4]) === REPEATED
  const member: Member = {
    name,
    nullable: true,
    type: scalar ?? 'STRUCT',
    inner: [],
    number: Number(found[3]),
    isRepeated,
  }
  const finish = () => {
    if (type === MESSAGE) {
      const message = known.get(text(found[6] as Buffer))
      if (!message) throw new Error(`field ${name} is of an unknown message`)
      member.message = message
      member.inner = message.members
    }
    if (member.message?.isEntry) member.type = 'MAP'
    else if (isRepeated) {
      member.inner = [{ name: 'item', nullable: true, type: member.type, inner: member.inner }]
      member.type = 'ARRAY'
    }
  }
  open.push(finish)
  return member
}

/** The fields that are there. */
export function readRecord({ members }: Message, bytes: Buffer): Row {
  const row: Row = {}
  for (const part of parts(bytes)) {
    const member = members.find(({ number }) => number === part.number)
    if (!member) throw new Error(`there is no field ${part.number}`)
    const value = readValue(member, part)
    if (member.message?.isEntry) {
      const { key, value: item } = value as Row
      if (key === undefined || item === undefined) throw new Error(`an entry of ${member.name} lacks its key or value`)
      row[member.name] = ((row[member.name] ?? new Map()) as Map<unknown, unknown>).set(key, item)
    } else if (member.isRepeated) row[member.name] = [...((row[member.name] ?? []) as unknown[]), value]
    else row[member.name] = value
  }
  return row
}

function readValue({ name, message, type, inner, isRepeated }: Member, { wire, value }: Part): unknown {
  if (message && wire === 2) return readRecord(message, value as Buffer)
  const word = isRepeated ? inner[0]?.type : type
  const [, wanted, read] = Object.values(SCALARS).find(([scalar]) => scalar === word) ?? []
  if (!read || wanted !== wire) throw new Error(`${name} is no ${word}`)
  return read(value as never)
}

export function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(value.length), value])
}

export const textField = (field: number, value: string) => bytesField(field, Buffer.from(value))

export function numberField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)])
}

function varint(value: number): Buffer {
  const bytes = []
  for (let left = value; left > 0 || bytes.length === 0; left = Math.floor(left / 128)) {
    bytes.push(left < 128 ? left : (left & 127) | 128)
  }
  return Buffer.from(bytes)
}

/** Packets of DDS's wire protocol, well formed, and then spoilt: what an ill network, or an ill will, sends. */

import { generator } from '../shared/random'

/** The same choices for the same seed. */
export class Random {
  private readonly next: () => number

  constructor(seed: number) {
    this.next = generator(seed)
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }
}

/** Whom a packet claims to be from, and to be for: ids of 16 bytes each. */
export interface Between {
  writer: Buffer
  reader: Buffer
}

const PREFIX = 12
const SPDP = { writer: Buffer.from('000100c2', 'hex'), reader: Buffer.from('000100c7', 'hex') }
const SEDP = { writer: Buffer.from('000003c2', 'hex'), reader: Buffer.from('000003c7', 'hex') }

const u16 = (value: number) => Buffer.from([value & 255, (value >> 8) & 255])
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}
const number = (value: number) => Buffer.concat([u32(Math.floor(value / 2 ** 32)), u32(value)])
const parameter = (id: number, value: Buffer) => Buffer.concat([u16(id), u16(value.length), value])
const text = (value: string) => {
  const bytes = Buffer.from(`${value}\0`)
  return Buffer.concat([u32(bytes.length), bytes, Buffer.alloc(-bytes.length & 3)])
}

function submessage(kind: number, flags: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([kind, flags]), u16(body.length), body])
}

function data(writer: Buffer, reader: Buffer, sequence: number, payload: Buffer): Buffer {
  return submessage(0x15, 5, u16(0), u16(16), reader, writer, number(sequence), payload)
}

/** One submessage of each kind, by its name. */
const kinds = {
  data: ({ writer, reader }: Ids, at: number, random: Random) =>
    data(writer, reader, at, Buffer.concat([Buffer.from([0, 1, 0, 0]), text('y'.repeat(random.below(64)))])),
  dataFrag: ({ writer, reader }: Ids, at: number, random: Random) => {
    const size = random.pick([1000, 1_000_000, 2 ** 31 - 1, 2 ** 32 - 1])
    const place = [u16(0), u16(28), reader, writer, number(at)]
    return submessage(0x16, 1, ...place, u32(1 + random.below(4)), u16(1), u16(512), u32(size), random.bytes(512))
  },
  heartbeat: ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(7, 1, reader, writer, number(1), number(at), u32(random.below(2 ** 31))),
  ackNack: ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(6, 1, reader, writer, number(at), u32(32), random.bytes(4), u32(random.below(2 ** 31))),
  gap: ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(8, 1, reader, writer, number(at), number(at + 1), u32(32), random.bytes(4)),
  heartbeatFrag: ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(0x13, 1, reader, writer, number(at), u32(random.below(1000)), u32(random.below(2 ** 31))),
  nackFrag: ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(0x12, 1, reader, writer, number(at), u32(1), u32(32), random.bytes(4), u32(random.below(2 ** 31))),
  participant: ({ prefix }: Ids, at: number) => {
    const about = [
      parameter(0x15, Buffer.from([2, 1, 0, 0])),
      parameter(0x16, Buffer.from([1, 16, 0, 0])),
      parameter(0x50, Buffer.concat([prefix, Buffer.from([0, 0, 1, 0xc1])])),
      parameter(0x58, u32(0xc3f)),
      parameter(2, Buffer.concat([u32(10), u32(0)])),
      parameter(1, Buffer.alloc(0)),
    ]
    return data(SPDP.writer, SPDP.reader, at, Buffer.concat([Buffer.from([0, 3, 0, 0]), ...about]))
  },
  endpoint: ({ prefix, writer }: Ids, at: number) => {
    const about = [
      parameter(0x5a, Buffer.concat([prefix, writer])),
      parameter(5, text('rt/flood')),
      parameter(7, text('std_msgs::msg::dds_::String_')),
      parameter(0x1a, Buffer.concat([u32(2), u32(0), u32(0)])),
      parameter(1, Buffer.alloc(0)),
    ]
    return data(SEDP.writer, SEDP.reader, at, Buffer.concat([Buffer.from([0, 3, 0, 0]), ...about]))
  },
}

/** Well-formed packets that say of a stream that it is far ahead. */
const lies = {
  'a message with a number far ahead': kinds.data,
  'a heartbeat that has forgotten all before': ({ writer, reader }: Ids, at: number, random: Random) =>
    submessage(7, 1, reader, writer, number(at), number(at), u32(random.below(2 ** 31))),
  'a gap over all that is to come': ({ writer, reader }: Ids, at: number) =>
    submessage(8, 1, reader, writer, number(1), number(at), u32(0)),
}

interface Ids {
  prefix: Buffer
  writer: Buffer
  reader: Buffer
}

export type Kind = keyof typeof kinds
export const allKinds = Object.keys(kinds) as Kind[]

export type Lie = keyof typeof lies
export const allLies = Object.keys(lies) as Lie[]

/** A well-formed packet. What readers say (`ackNack`, `nackFrag`) comes from the reader. */
export function packet(kind: Kind | Lie, { writer, reader }: Between, at: number, random: Random): Buffer {
  const [from, to] = kind === 'ackNack' || kind === 'nackFrag' ? [reader, writer] : [writer, reader]
  const prefix = from.subarray(0, PREFIX)
  const header = Buffer.concat([Buffer.from('RTPS'), Buffer.from([2, 1, 1, 16]), prefix])
  const target = submessage(0x0e, 1, to.subarray(0, PREFIX))
  const time = submessage(9, 1, u32(random.below(2 ** 31)), u32(0))
  const ids = { prefix, writer: writer.subarray(PREFIX), reader: reader.subarray(PREFIX) }
  return Buffer.concat([header, target, time, { ...kinds, ...lies }[kind](ids, at, random)])
}

const HEADER = 8 + PREFIX

/** The same, spoilt somewhere behind who it is from. */
export function spoil(whole: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(whole)
  const place = () => HEADER + random.below(bytes.length - HEADER)
  for (let turn = 0; turn <= random.below(4); turn += 1) {
    switch (random.below(5)) {
      case 0:
        bytes[place()] = random.below(256)
        break
      case 1:
        bytes[place()] = random.pick([0, 1, 0x7f, 0x80, 0xff])
        break
      case 2: {
        const at = Math.min(place(), bytes.length - 4)
        bytes.writeUInt32LE(random.pick([0, 1, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]), at)
        break
      }
      case 3:
        return bytes.subarray(0, place())
      default:
        return Buffer.concat([bytes.subarray(0, place()), random.bytes(random.below(64)), bytes.subarray(place())])
    }
  }
  return bytes
}

/** Unpacks LZ4 frames, as recordings have them. Checksums are left to the recording, which has its own. */
import { EngineError } from '../../shared/errors'

const MAGIC = 0x184d2204
const HEAD = 6
const STORED = 0x80000000
const SHORTEST_MATCH = 4
/** A length of this goes on in the next bytes. */
const LONG = 15

/** The frame's bytes, which have to be exactly `size`. */
export function unpackLz4(frame: Buffer, size: number): Buffer {
  try {
    const packed = new Frame(frame, Buffer.allocUnsafe(size))
    if (packed.unpack() === size) return packed.out
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw new EngineError('STORE_CORRUPT', `LZ4: ${frame.length} packed bytes do not give ${size}; they are damaged`)
}

/** Reads beyond the end throw a `RangeError`, and so does whatever else cannot be. */
class Frame {
  private at = 0
  private written = 0

  constructor(
    private readonly frame: Buffer,
    readonly out: Buffer,
  ) {}

  unpack(): number {
    const flags = this.frame.readUInt8(4)
    // Version 1; a dictionary is none that we could have.
    if (this.frame.readUInt32LE(0) !== MAGIC || flags >> 6 !== 1 || (flags & 1) === 1) throw new RangeError('head')
    const hasSize = (flags & 8) !== 0
    const checksum = (flags & 16) !== 0 ? 4 : 0
    this.at = HEAD + (hasSize ? 8 : 0) + 1
    for (;;) {
      const word = this.frame.readUInt32LE(this.at)
      this.at += 4
      if (word === 0) return this.written
      const length = word & ~STORED
      const end = this.at + length
      if (end > this.frame.length) throw new RangeError('block')
      if (word >= STORED) this.copy(length)
      else this.block(end)
      this.at = end + checksum
    }
  }

  private block(end: number): void {
    const { frame, out } = this
    while (this.at < end) {
      const token = frame.readUInt8(this.at)
      this.at += 1
      this.copy(this.length(token >> 4))
      // The last sequence of a block has no match.
      if (this.at >= end) return
      const distance = frame.readUInt16LE(this.at)
      this.at += 2
      const length = this.length(token & LONG) + SHORTEST_MATCH
      const from = this.written - distance
      if (distance === 0 || from < 0 || this.written + length > out.length) throw new RangeError('match')
      if (distance >= length) out.copyWithin(this.written, from, from + length)
      else for (let place = 0; place < length; place += 1) out[this.written + place] = out[from + place] as number
      this.written += length
    }
  }

  private length(first: number): number {
    let length = first
    if (first < LONG) return length
    for (;;) {
      const more = this.frame.readUInt8(this.at)
      this.at += 1
      length += more
      if (more < 255) return length
    }
  }

  /** Bytes as they are. */
  private copy(length: number): void {
    if (this.at + length > this.frame.length || this.written + length > this.out.length) throw new RangeError('bytes')
    this.frame.copy(this.out, this.written, this.at, this.at + length)
    this.at += length
    this.written += length
  }
}

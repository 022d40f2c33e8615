import { EngineError } from '../../shared/errors'

const HEADER = 4
/** From this encoding on (XCDR2), nothing is aligned to more than four bytes. */
const FIRST_XCDR2 = 6

/** Reads CDR. It trusts no length: what is longer than the rest is an error, not an allocation. */
export class CdrReader {
  readonly little: boolean
  private readonly maxAlign: number
  private at = HEADER

  constructor(private readonly cdr: Buffer) {
    if (cdr.length < HEADER) throw new EngineError('INVALID_INPUT', `${cdr.length} bytes are no CDR message`)
    const encoding = cdr.readUInt16BE(0)
    this.little = (encoding & 1) === 1
    this.maxAlign = encoding >= FIRST_XCDR2 ? 4 : 8
  }

  /** The place of `size` bytes, aligned to their size. */
  place(size: number): number {
    const align = Math.min(size, this.maxAlign)
    const place = ((this.at - HEADER + align - 1) & -align) + HEADER
    this.at = place + size
    if (this.at > this.cdr.length) throw this.tooShort(size)
    return place
  }

  get buffer(): Buffer {
    return this.cdr
  }

  skip(size: number): void {
    this.at = Math.min(this.at + size, this.cdr.length)
  }

  /** Over `count` numbers of `size` bytes. Nothing is no reason to align. */
  pass(size: number, count: number): void {
    if (count === 0) return
    this.place(size)
    this.at += (count - 1) * size
    if (this.at > this.cdr.length) throw this.tooShort((count - 1) * size)
  }

  u32(): number {
    const place = this.place(4)
    return this.little ? this.cdr.readUInt32LE(place) : this.cdr.readUInt32BE(place)
  }

  /** The length of a sequence whose elements take at least `size` bytes each. */
  count(size: number): number {
    const count = this.u32()
    if (count * size > this.cdr.length - this.at) throw this.tooShort(count * size)
    return count
  }

  /** A view of `count` elements of `size` bytes; little-endian, whatever the message is. */
  bytes(count: number, size: number): Buffer {
    if (count === 0) return this.cdr.subarray(this.at, this.at)
    const place = this.place(size)
    const end = place + count * size
    if (end > this.cdr.length) throw this.tooShort(count * size)
    this.at = end
    const view = this.cdr.subarray(place, end)
    if (this.little || size === 1) return view
    const copy = Buffer.from(view)
    return size === 2 ? copy.swap16() : size === 4 ? copy.swap32() : copy.swap64()
  }

  private tooShort(wanted: number): EngineError {
    return new EngineError(
      'INVALID_INPUT',
      `the message ends too early: ${wanted} bytes are announced at ${this.at} of ${this.cdr.length}; is its type right?`,
    )
  }
}

const HEADER = 4
const FIRST_SIZE = 256

/** Writes little-endian XCDR1, as ROS 2 does. */
export class CdrWriter {
  buffer = Buffer.alloc(FIRST_SIZE)
  private at = HEADER

  constructor() {
    this.buffer[1] = 1
  }

  /** The place for `size` bytes, aligned to their size. What is skipped is zero. */
  place(size: number): number {
    const place = ((this.at - HEADER + size - 1) & -size) + HEADER
    this.reserve(place + size)
    this.at = place + size
    return place
  }

  byte(value: number): void {
    // First the place: it may bring a new buffer.
    const place = this.place(1)
    this.buffer[place] = value
  }

  count(value: number): void {
    const place = this.place(4)
    this.buffer.writeUInt32LE(value, place)
  }

  /** Elements of `size` bytes, as they are. */
  bytes(bytes: Buffer, size: number): void {
    if (bytes.length === 0) return
    const place = this.place(size)
    this.reserve(place + bytes.length)
    bytes.copy(this.buffer, place)
    this.at = place + bytes.length
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.at)
  }

  private reserve(end: number): void {
    if (end <= this.buffer.length) return
    const larger = Buffer.alloc(Math.max(end, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }
}

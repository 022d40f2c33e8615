/** The bytes of a recording: a file that stays on the disk, or a Buffer. */
import { type FileHandle, open } from 'node:fs/promises'
import { EngineError, quote } from '../../shared/errors'

/** No single read is larger, whatever a recording claims. */
export const MAX_READ = 256 << 20

export interface Bytes {
  readonly size: number
  /** Exactly `size` bytes from `offset`. */
  read(offset: number, size: number): Promise<Buffer>
  close(): Promise<void>
}

export async function bytesOf(from: string | Buffer): Promise<Bytes> {
  return Buffer.isBuffer(from) ? new Held(from) : OnDisk.open(from)
}

class Held implements Bytes {
  readonly size: number

  constructor(private readonly bytes: Buffer) {
    this.size = bytes.length
  }

  async read(offset: number, size: number): Promise<Buffer> {
    checkRange(offset, size, this.size)
    return this.bytes.subarray(offset, offset + size)
  }

  async close(): Promise<void> {}
}

class OnDisk implements Bytes {
  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  static async open(path: string): Promise<OnDisk> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'r')
      const stat = await handle.stat()
      // What is no file may have no end.
      if (!stat.isFile()) throw new Error('it is no file')
      return new OnDisk(path, handle, stat.size)
    } catch (cause) {
      await handle?.close()
      throw new EngineError('INVALID_OPTION', `${quote(path)} cannot be opened: ${reason(cause)}`, { cause })
    }
  }

  async read(offset: number, size: number): Promise<Buffer> {
    checkRange(offset, size, this.size)
    const buffer = Buffer.allocUnsafe(size)
    let filled = 0
    while (filled < size) {
      const { bytesRead } = await this.attempt(() => this.handle.read(buffer, filled, size - filled, offset + filled))
      if (bytesRead === 0) throw this.failed('it became shorter')
      filled += bytesRead
    }
    return buffer
  }

  close(): Promise<void> {
    return this.handle.close()
  }

  private async attempt<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (cause) {
      throw this.failed(reason(cause), cause)
    }
  }

  private failed(why: string, cause?: unknown): EngineError {
    return new EngineError('STORE_FAILED', `${quote(this.path)} cannot be read: ${why}`, { cause })
  }
}

function checkRange(offset: number, size: number, end: number): void {
  if (offset >= 0 && size >= 0 && offset + size <= end && size <= MAX_READ) return
  throw new EngineError('STORE_CORRUPT', `the recording claims ${size} bytes at ${offset} of ${end}; it is damaged`)
}

/** What the disk says no to is full, or broken. */
export function diskCode(cause: unknown): 'DISK_FULL' | 'STORE_FAILED' {
  return ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException)?.code ?? '') ? 'DISK_FULL' : 'STORE_FAILED'
}

/** Why the system refused, for people. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

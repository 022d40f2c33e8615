import { types } from 'node:util'
import type { Spool as SpoolHandle, SpoolStats } from '#native'
import { EngineError, quote, toEngineError } from '../../shared/errors'
import { native } from '../../shared/native'
import { allJson, checkOptions, type Known } from '../../shared/options'
import { Turns } from '../../shared/turns'
import { Batch, type BatchLike } from './batch'
import { asBuffer, called } from './schema'

export interface SpoolOptions {
  /** Its folder; one process has it at a time. */
  folder: string
  /** So much it takes on the disk at most. Default 1 GiB. */
  maxBytes?: number
  /** 0, the default: an append waits for the disk. Else what a loss of power can take, ms. */
  syncMs?: number
  /** What an append does that finds no room: waits for acknowledgements, makes the oldest go, or fails. Default `block`. */
  whenFull?: 'block' | 'drop-oldest' | 'refuse'
}

/** A batch that waits. */
export interface Spooled {
  seq: number
  /** When it came, ms since the epoch. */
  atMs: number
  /** An IPC stream. */
  data: Buffer
}

const KNOWN: Known<SpoolOptions> = {
  ...{ folder: 'any', maxBytes: 'any', syncMs: 'any' },
  whenFull: ['block', 'drop-oldest', 'refuse'],
}
const READ_BYTES = 16 << 20

/** Batches that have to leave and cannot yet, on disk. What was appended leaves only when it is acknowledged. */
export class Spool {
  /** One after the other: who waits for room keeps its place. */
  private readonly turns = new Turns()
  private readonly waiting = new Set<() => void>()
  /** How often room came. */
  private wakes = 0
  private closed = false

  private constructor(
    private readonly handle: SpoolHandle,
    private readonly blocks: boolean,
  ) {}

  static async open(options: SpoolOptions): Promise<Spool> {
    checkOptions('a spool', options, KNOWN)
    const { folder, maxBytes, syncMs, whenFull = 'block' } = options
    if (typeof folder !== 'string' || folder === '') {
      throw new EngineError('INVALID_OPTION', `folder is ${quote(folder)}; give the folder of the spool`)
    }
    const engine = { maxBytes, syncMs, whenFull: whenFull === 'block' ? 'refuse' : whenFull }
    return new Spool(await called(native().Spool.open(folder, allJson(engine))), whenFull === 'block')
  }

  /** Takes a batch; resolves to its number when it is safe. IPC bytes go as they are, and must not change meanwhile. */
  append(batch: BatchLike): Promise<number> {
    return this.turns.take(async () => {
      const data = types.isUint8Array(batch) ? batch : await (await Batch.from(batch)).toIPC()
      return this.put(asBuffer(data))
    })
  }

  /** Batches that are not acknowledged, in order, from a number on: as many as fit, at least one. */
  async read(from = 0, maxBytes = READ_BYTES): Promise<Spooled[]> {
    return called(this.handle.read(whole(from), whole(maxBytes)))
  }

  /** These arrived. Who waits for room tries again. */
  async ack(...numbers: number[]): Promise<void> {
    await called(this.handle.ack(numbers.map(whole)))
    this.wake()
  }

  stats(): SpoolStats {
    try {
      return this.handle.stats()
    } catch (error) {
      throw toEngineError(error)
    }
  }

  /** Appends that wait for room fail with `CLOSED`. */
  async close(): Promise<void> {
    this.closed = true
    this.wake()
    await this.turns.ended()
    await called(this.handle.close())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  private async put(data: Buffer): Promise<number> {
    for (;;) {
      if (this.closed) throw new EngineError('CLOSED', 'the spool is closed; open it again')
      const { wakes } = this
      try {
        return await called(this.handle.append([data]))
      } catch (error) {
        if (!this.blocks || (error as EngineError).code !== 'BUFFER_FULL') throw error
        // Room that came while the engine refused wakes nobody any more.
        if (wakes === this.wakes) await new Promise<void>((resolve) => this.waiting.add(resolve))
      }
    }
  }

  private wake(): void {
    this.wakes += 1
    for (const resolve of this.waiting) resolve()
    this.waiting.clear()
  }
}

/** Of what is none the engine makes one, which is that of another record. */
function whole(number: number): number {
  if (Number.isSafeInteger(number)) return number
  throw new EngineError('INVALID_INPUT', `${quote(number)} is no whole number; give one`)
}

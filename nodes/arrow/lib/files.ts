import type { ArrowFile, ArrowFileWriter } from '#native'
import { native } from '../../shared/native'
import { Batch, type BatchLike } from './batch'
import { called } from './schema'

export interface FileWriterOptions {
  folder: string
  /** Names begin with it; letters, digits, `-` and `_`. */
  prefix: string
  /** A file of so many bytes is complete. */
  maxBytes: number
  /** A file of this age is complete. */
  maxAgeMs?: number | null
  /** So many complete files stay; older ones go. */
  keep?: number | null
  compression?: 'none' | 'lz4' | 'zstd'
}

/** A file that is complete. */
export type WrittenFile = ArrowFile

/** Writes batches to Arrow files, which are whole or not there. What a crash leaves is completed at the next opening. */
export class FileWriter {
  /** One batch after the other, in the order of the calls. */
  private turn: Promise<unknown> = Promise.resolve()

  private constructor(private readonly handle: ArrowFileWriter) {}

  static async open(options: FileWriterOptions): Promise<FileWriter> {
    return new FileWriter(await called(native().ArrowFileWriter.open(JSON.stringify(options))))
  }

  /** What a crash had left, and the opening completed. */
  get recovered(): WrittenFile[] {
    return this.handle.recovered()
  }

  /** What of it could not be read to its end, kept as it was; what is whole of it is among `recovered`. */
  get damaged(): string[] {
    return this.handle.damaged()
  }

  /** Resolves when the operating system has it, to the files that were completed. Rejects with nothing of it written. */
  write(batch: BatchLike): Promise<WrittenFile[]> {
    return this.inTurn(async () => this.handle.write((await Batch.from(batch)).handle))
  }

  /** Completes the file, if it is old enough. */
  tick(): Promise<WrittenFile[]> {
    return this.inTurn(() => this.handle.tick())
  }

  /** Completes the file. */
  rotate(): Promise<WrittenFile[]> {
    return this.inTurn(() => this.handle.rotate())
  }

  /** Completes the file, and lets others write there. */
  close(): Promise<WrittenFile[]> {
    return this.inTurn(() => this.handle.close())
  }

  private inTurn(call: () => Promise<WrittenFile[]>): Promise<WrittenFile[]> {
    const done = this.turn.then(() => called(call()))
    this.turn = done.catch(() => {})
    return done
  }
}

/** Calls of one turn of the event loop cross into the engine together: one crossing costs as much as fifty. */
import type { MemoryDatabase } from '#native'
import { withBytes } from '../../shared/bytes'
import { EngineError, toEngineError } from '../../shared/errors'

/** Of the text of writes that cross together. */
const MAX_LENGTH = 8 << 20
/** So long a text is worth a crossing of its own beside another one: the engine reads it while that one is written. */
const LONG = 64 << 10
const MAX_CROSSINGS = 2

interface Waiting<Result> {
  text: string
  resolve(result: Result): void
  reject(error: unknown): void
}

/** Gathers calls until the turn ends. */
abstract class Batches<Result> {
  protected waiting: Waiting<Result>[] = []

  add(text: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      // After all microtasks of this turn, so that who just woke can join.
      if (this.waiting.push({ text, resolve, reject }) === 1) process.nextTick(() => this.flush())
    })
  }

  protected flush(): void {
    const batch = this.waiting
    this.waiting = []
    this.send(batch)
  }

  protected send(batch: Waiting<Result>[]): Promise<void> {
    return this.cross(batch).catch((error: unknown) => {
      const failure = toEngineError(error)
      for (const { reject } of batch) reject(failure)
    })
  }

  protected abstract cross(batch: Waiting<Result>[]): Promise<void>
}

/** What a write answers: a version and the one before it, for each operation. */
export type Outcome = [version: string | null, previous: string | null]

export class Writes extends Batches<Outcome[]> {
  private crossings = 0
  /** Of the texts that wait. */
  private length = 0

  constructor(private readonly database: MemoryDatabase) {
    super()
  }

  override add(text: string): Promise<Outcome[]> {
    this.length += text.length
    return super.add(text)
  }

  /** What is short waits for the crossing that is under way. The engine keeps the order of crossings. */
  protected override flush(): void {
    while (this.waiting.length > 0) {
      const free = (this.length < LONG ? 1 : MAX_CROSSINGS) - this.crossings
      if (free <= 0) return
      this.crossings += 1
      // Where all went at once, it would be answered at once, and the engine wait for what is written next.
      this.send(this.take(this.length / free)).then(() => {
        this.crossings -= 1
        // Who was answered can join.
        process.nextTick(() => this.flush())
      })
    }
  }

  /** So much, up to a bearable length, at least one. */
  private take(share: number): Waiting<Outcome[]>[] {
    let length = 0
    let count = 0
    for (const { text } of this.waiting) {
      if (length >= share || (count > 0 && length + text.length > MAX_LENGTH)) break
      length += text.length
      count += 1
    }
    const taken = this.waiting.splice(0, count)
    for (const { text } of taken) this.length -= text.length
    return taken
  }

  protected override async cross(batch: Waiting<Outcome[]>[]): Promise<void> {
    const text = `[${batch.map(({ text }) => text).join()}]`
    const { outcomes, failures } =
      text.length < LONG
        ? await this.database.write(text)
        : await withBytes(text, (bytes) => this.database.writeBytes(bytes))
    const failed = new Map(failures.map((failure) => [failure.request, failure]))
    const told = JSON.parse(outcomes) as (Outcome[] | null)[]
    for (const [place, { resolve, reject }] of batch.entries()) {
      const failure = failed.get(place)
      const outcome = told[place]
      if (outcome) resolve(outcome)
      else reject(new EngineError(failure?.code ?? 'INTERNAL', failure?.message ?? 'a write without an answer'))
    }
  }
}

/** What a read answers: the value in an array, or 0. */
export type Found = [value: unknown] | 0

export class Reads extends Batches<Found> {
  constructor(private readonly database: MemoryDatabase) {
    super()
  }

  protected override async cross(batch: Waiting<Found>[]): Promise<void> {
    let answer: string
    try {
      answer = await this.database.get(batch.map(({ text }) => text).join('\0'))
    } catch (error) {
      // What is too much for one answer is not, in several.
      if (batch.length === 1 || toEngineError(error).code !== 'TOO_LARGE') throw error
      const half = batch.length >> 1
      for (const part of [batch.slice(0, half), batch.slice(half)]) await this.send(part)
      return
    }
    const found = JSON.parse(answer) as Found[]
    for (const [place, { resolve }] of batch.entries()) resolve(found[place] ?? 0)
  }
}

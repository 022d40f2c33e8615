/** Calls of one turn of the event loop cross into the engine together: one crossing costs as much as fifty. */
import type { MemoryDatabase } from '#native'
import { EngineError, toEngineError } from '../../shared/errors'

interface Waiting<Result> {
  text: string
  resolve(result: Result): void
  reject(error: unknown): void
}

/** Gathers calls until the turn ends. */
abstract class Batches<Result> {
  private waiting: Waiting<Result>[] = []

  add(text: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      // After all microtasks of this turn, so that who just woke can join.
      if (this.waiting.push({ text, resolve, reject }) === 1) process.nextTick(() => this.flush())
    })
  }

  private flush(): void {
    const batch = this.waiting
    this.waiting = []
    this.cross(batch).catch((error: unknown) => {
      const failure = toEngineError(error)
      for (const { reject } of batch) reject(failure)
    })
  }

  protected abstract cross(batch: Waiting<Result>[]): Promise<void>
}

/** What a write answers: a version and the one before it, for each operation. */
export type Outcome = [version: string | null, previous: string | null]

export class Writes extends Batches<Outcome[]> {
  constructor(private readonly database: MemoryDatabase) {
    super()
  }

  protected override async cross(batch: Waiting<Outcome[]>[]): Promise<void> {
    const { outcomes, failures } = await this.database.write(`[${batch.map(({ text }) => text).join()}]`)
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
    const answer = await this.database.get(batch.map(({ text }) => text).join('\0'))
    const found = JSON.parse(answer) as Found[]
    for (const [place, { resolve }] of batch.entries()) resolve(found[place] ?? 0)
  }
}

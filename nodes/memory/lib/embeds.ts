/** Vectors that are kept. Those of one turn of the event loop cross into the engine together, and none of them is copied. */
import type { MemoryDatabase } from '#native'
import { EngineError, toEngineError } from '../../shared/errors'
import type { Outcome } from './batches'

/** So many cross together. */
const MOST = 1000

interface Waiting {
  about: string
  vector: Float32Array
  resolve(outcome: Outcome): void
  reject(error: unknown): void
}

export class Embeds {
  private readonly waiting: Waiting[] = []
  private crossing: Promise<void> | undefined

  constructor(private readonly database: MemoryDatabase) {}

  /** `about` is JSON. The vector must not change meanwhile. */
  add(about: string, vector: Float32Array): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ about, vector, resolve, reject })
      this.crossing ??= this.crossAll()
    })
  }

  /** All that were added are kept, or failed. */
  async settled(): Promise<void> {
    await this.crossing
  }

  /** One crossing after the other: what is added first is there first. */
  private async crossAll(): Promise<void> {
    // After all microtasks of this turn; later, so that who was answered can join.
    for (await ticked(); this.waiting.length > 0; await ticked()) {
      const batch = this.waiting.splice(0, MOST)
      await this.cross(batch).catch((error: unknown) => {
        const failure = toEngineError(error)
        for (const { reject } of batch) reject(failure)
      })
    }
    this.crossing = undefined
  }

  private async cross(batch: Waiting[]): Promise<void> {
    const asked = `[${batch.map(({ about }) => about).join()}]`
    const vectors = batch.map(({ vector }) => vector)
    const { outcomes, failures } = await this.database.embed(asked, vectors)
    for (const { request, code, message } of failures) batch[request]?.reject(new EngineError(code, message))
    for (const [place, outcome] of (JSON.parse(outcomes) as ([Outcome] | null)[]).entries()) {
      if (outcome) batch[place]?.resolve(outcome[0])
    }
  }
}

const ticked = () => new Promise<void>((resolve) => process.nextTick(resolve))

/** Tells how far workflows are: where that has changed since it was told, and a last time at their end. */
import { type EngineError, toEngineError } from '../shared/errors'
import { type App, isFinal, type TaskInfo } from './lib'

export interface HowFar {
  total: number
  completed: number
  failed: number
}

const PAUSE_MS = 500

interface Followed {
  app: App
  told: string
  tell(howFar: HowFar): void
}

export class Progress {
  private readonly followed = new Map<string, Followed>()
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(private readonly failed: (error: EngineError) => void) {}

  follow(app: App, id: string, tell: (howFar: HowFar) => void): void {
    this.followed.set(id, { app, told: '', tell })
    this.timer ??= setTimeout(() => this.look(), PAUSE_MS).unref()
    app
      .result(id)
      .wait()
      .then(
        () => this.tell(id).finally(() => this.followed.delete(id)),
        () => this.followed.delete(id),
      )
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.followed.clear()
  }

  /** One after the other, so that many workflows cost no more at once than one. */
  private async look(): Promise<void> {
    for (const id of [...this.followed.keys()]) await this.tell(id)
    this.timer = undefined
    if (this.followed.size > 0 && !this.closed) this.timer = setTimeout(() => this.look(), PAUSE_MS).unref()
  }

  private async tell(id: string): Promise<void> {
    const followed = this.followed.get(id)
    if (!followed) return
    try {
      const howFar = howFarOf(await followed.app.control.inspect(id))
      const told = JSON.stringify(howFar)
      if (told === followed.told || this.closed) return
      followed.told = told
      followed.tell(howFar)
    } catch (error) {
      const failure = toEngineError(error)
      if (failure.code !== 'CLOSED') this.failed(failure)
    }
  }
}

/** While it runs a workflow is told of by itself, after its end by its result; one task alone is its own workflow. */
function howFarOf(info: TaskInfo & Partial<HowFar>): HowFar {
  if (info.total !== undefined) return { total: info.total, completed: info.completed ?? 0, failed: info.failed ?? 0 }
  if (info.workflow) {
    const { total, completed, failed } = info.workflow
    return { total, completed, failed }
  }
  const ended = isFinal(info.state)
  return { total: 1, completed: ended ? 1 : 0, failed: ended && info.state !== 'success' ? 1 : 0 }
}

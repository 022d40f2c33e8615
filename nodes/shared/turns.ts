/** Calls that wait for each other: they run in the order in which they came, whatever becomes of those before. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve()

  /** Ends as the call does. */
  take<T>(call: () => T | Promise<T>): Promise<T> {
    const done = this.last.then(call)
    this.last = done.catch(() => {})
    return done
  }

  /** Those that came so far have ended. */
  async ended(): Promise<void> {
    await this.last
  }
}

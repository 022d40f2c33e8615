/** Waits for it so long at most, however it ends. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work.then(ignore, ignore), late])
  clearTimeout(timer)
}

const ignore = () => {}

/** Calls of one turn of the event loop that go out together, each with who waits for its answer. */
export class Batch<C, A> {
  private calls: { call: C; resolve(answer: A): void; reject(error: unknown): void }[] = []
  private due = false

  constructor(
    private readonly max: number,
    private readonly send: (calls: C[]) => Promise<A[]>,
  ) {}

  put(call: C): Promise<A> {
    return new Promise((resolve, reject) => {
      this.calls.push({ call, resolve, reject })
      if (this.calls.length >= this.max) this.flush()
      else if (!this.due) {
        this.due = true
        setImmediate(() => {
          this.due = false
          this.flush()
        })
      }
    })
  }

  flush(): void {
    const { calls } = this
    if (calls.length === 0) return
    this.calls = []
    this.send(calls.map(({ call }) => call)).then(
      (answers) => {
        calls.forEach(({ resolve }, index) => {
          resolve(answers[index] as A)
        })
      },
      (error) => {
        for (const { reject } of calls) reject(error)
      },
    )
  }
}

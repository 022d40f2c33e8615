/** Where a queue of a test is: in a folder of its own that goes with the test, or on servers. */
import { mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tasks } from '../../nodes'

/** Options that every broker has. */
export type Common = Pick<
  tasks.DistributedOptions & tasks.EmbeddedOptions,
  'maxPayloadBytes' | 'resultTtlMs' | 'routes'
>

export interface Place {
  /** How another process gets there. */
  readonly options: tasks.ConnectOptions
  connect(options?: Common): Promise<tasks.App>
  /** How long a Buffer of arguments is still kept. */
  keptMs(key: string): Promise<number>
  /** Its time is over. */
  forget(key: string): Promise<void>
  remove(): Promise<void>
}

export class Folder implements Place {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
  readonly options = { path: this.path, durability: 'fsync' as const }
  private readonly apps: tasks.App[] = []

  async connect(options: Common & tasks.EmbeddedOptions = {}): Promise<tasks.App> {
    const app = await tasks.connect({ path: this.path, ...options })
    this.apps.push(app)
    return app
  }

  async keptMs(key: string): Promise<number> {
    return (statSync(join(this.path, 'payloads', key), { throwIfNoEntry: false })?.mtimeMs ?? 0) - Date.now()
  }

  async forget(key: string): Promise<void> {
    utimesSync(join(this.path, 'payloads', key), new Date(0), new Date(0))
  }

  async remove(): Promise<void> {
    for (const app of this.apps) await app.close({ drainMs: 0 })
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** Resolves when it is called. */
export function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** The next event that fits. */
export async function eventOf(
  events: tasks.Events,
  fits: (event: tasks.TaskEvent) => boolean,
): Promise<tasks.TaskEvent> {
  for (;;) {
    const { value, done } = await events.next()
    if (done) throw new Error('the events ended')
    if (fits(value)) return value
  }
}

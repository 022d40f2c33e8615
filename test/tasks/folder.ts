/** A queue in a folder of its own that goes with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tasks } from '../../nodes'

export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
  private readonly apps: tasks.App[] = []

  async connect(options: Omit<tasks.ConnectOptions, 'path'> = {}): Promise<tasks.App> {
    const app = await tasks.connect({ path: this.path, ...options })
    this.apps.push(app)
    return app
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

/** What the tests of ros2 share. Loopback only, and each suite in a domain of its own. */
import { EventEmitter } from 'node:events'
import { ros2 } from '../../nodes'
import { native } from '../../nodes/shared/native'

/** A suite that needs the DDS; a build without it says so by name. */
export function ros2Suite(title: string, body: () => void): void {
  const name = `ros2 ${title}`
  if ('Ros2Context' in native()) {
    describe(name, body)
    return
  }
  console.log(`\nSKIPPED ${name}: this build has no ROS 2 in it\n`)
  describe.skip(name, body)
}

export interface Opened {
  context: ros2.Context
  /** Looks now and at every change of the graph, until it fits. */
  until(fits: () => boolean): Promise<void>
}

export async function openContext(domain: number, name: string, more: ros2.ContextOptions = {}): Promise<Opened> {
  const changes = new EventEmitter()
  const options = { domain, name, discovery: 'localhost', ...more } as const
  const context = await ros2.Context.open(options, () => changes.emit('change'))
  return {
    context,
    async until(fits) {
      for (;;) {
        // Listening begins before the look, so that no change falls between.
        const change = new Promise((resolve) => changes.once('change', resolve))
        if (fits()) return
        await change
      }
    },
  }
}

/** Values that arrive one by one. */
export class Inbox<T> {
  readonly all: T[] = []
  private readonly events = new EventEmitter()

  readonly put = (value: T): void => {
    this.all.push(value)
    this.events.emit('put')
  }

  async until(count: number): Promise<T[]> {
    while (this.all.length < count) await new Promise((resolve) => this.events.once('put', resolve))
    return this.all
  }
}

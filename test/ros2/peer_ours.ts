/**
 * Our own library as another process, driven over IPC: `{ hear: [topic, qos] }` counts what it hears, `{ say: [topic, qos,
 * count, bytes, gapMs] }` publishes numbered texts, `{ ask: 'heard' }` answers with what came. Its context: argv.
 */
import { ros2 } from '../../nodes'

export const TEXT = 'std_msgs/msg/String'

interface Command {
  id: number
  hear?: [topic: string, qos: ros2.Qos]
  say?: [topic: string, qos: ros2.Qos, count: number, bytes: number, gapMs: number]
  ask?: 'heard' | 'memory' | 'graph'
}

async function main(): Promise<void> {
  const context = await ros2.Context.open(JSON.parse(process.argv[2] as string))
  const heard: Record<string, number[]> = {}
  const publishers = new Map<string, ros2.Publisher>()
  const answer = (id: number, value: unknown) => process.send?.({ id, value })

  async function say([topic, qos, count, bytes, gapMs]: NonNullable<Command['say']>): Promise<number> {
    const publisher = publishers.get(topic) ?? context.publish(topic, TEXT, qos)
    publishers.set(topic, publisher)
    const filling = 'x'.repeat(Math.max(0, bytes - 8))
    while (publisher.matched() === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    for (let place = 0; place < count; place += 1) {
      publisher.send({ data: String(place).padStart(8, '0') + filling })
      await new Promise((resolve) => (gapMs > 0 ? setTimeout(resolve, gapMs) : setImmediate(resolve)))
    }
    return count
  }

  process.on('message', async ({ id, hear, say: words, ask }: Command) => {
    if (hear) {
      const [topic, qos] = hear
      const numbers: number[] = []
      heard[topic] = numbers
      const note = ({ cdr }: ros2.Received) => numbers.push(Number(cdr.toString('latin1', 8, 16)))
      context.subscribe(topic, TEXT, note, { qos, maxSamples: 100_000 })
      answer(id, true)
    } else if (words) answer(id, await say(words))
    else if (ask === 'heard') answer(id, heard)
    else if (ask === 'graph') answer(id, context.graph())
    else if (ask === 'memory') answer(id, process.memoryUsage().rss)
  })
  process.send?.({ id: 0, value: process.pid })
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})

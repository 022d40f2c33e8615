/** A worker's process that never ends its task: its parent kills it. */
import { tasks } from '../../nodes'

async function main(): Promise<void> {
  const app = await tasks.connect({ path: String(process.argv[2]), durability: 'fsync' })
  app.task('work', () => {
    process.send?.('begun')
    return new Promise(() => {})
  })
  await app.worker().start()
}

main()

/** A worker's process that never ends its task: its parent kills it. */
import { tasks } from '../../nodes'

async function main(): Promise<void> {
  const app = await tasks.connect(JSON.parse(String(process.argv[2])))
  app.task('work', () => {
    process.send?.('begun')
    return new Promise(() => {})
  })
  await app.worker({ leaseMs: 1000 }).start()
}

main()

/** A worker's process that its parent kills at some moment. */
import { tasks } from '../../nodes'

async function main(): Promise<void> {
  const app = await tasks.connect(JSON.parse(String(process.argv[2])))
  app.task('part', async (n: number) => {
    process.send?.(n)
    await new Promise((resolve) => setTimeout(resolve, 5))
    return n
  })
  await app.worker({ leaseMs: 500, concurrency: 5 }).start()
}

main()

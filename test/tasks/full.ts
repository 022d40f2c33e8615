/**
 * A process whose files have a limit until its parent takes it away: it sends one by one and in batches, works, and
 * tells when the disk was full, and what became of what was accepted.
 */
import { tasks } from '../../nodes'

const said = new Map<string, () => void>()
const heard = (what: string) => new Promise<void>((resolve) => said.set(what, resolve))

async function main(): Promise<void> {
  const app = await tasks.connect({ path: String(process.argv[2]) })
  const task = app.task('work', (place: number) => place)
  const results: tasks.AsyncResult<number>[] = []
  const full = heard('room')
  const text = 'x'.repeat(2000)
  let code = ''
  // With a worker the disk is also full while it reports.
  await app.worker({ concurrency: 20 }).start()
  while (!code) {
    try {
      results.push((await task.delay(results.length, text)) as tasks.AsyncResult<number>)
      results.push(...((await task.applyMany([[results.length, text]])) as tasks.AsyncResult<number>[]))
    } catch (error) {
      code = (error as { code: string }).code
    }
  }
  process.send?.({ code, accepted: results.length })
  await full
  // The queue opens by itself; until then it says why it does not.
  const refused = new Set<string>()
  for (let sent = false; !sent; ) {
    try {
      results.push((await task.delay(results.length, text)) as tasks.AsyncResult<number>)
      sent = true
    } catch (error) {
      refused.add((error as { code: string }).code)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const got = await Promise.all(results.map((result) => result.get({ timeoutMs: 60_000 })))
  const right = got.filter((value, place) => value === place).length
  process.send?.({ refused: [...refused], accepted: results.length, right })
  await app.close()
  process.disconnect()
}

process.on('message', (what: string) => said.get(what)?.())
main()

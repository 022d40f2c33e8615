/** The memory as JavaScript sees it: writes, batches, reads, single calls with 50 in flight. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory } from '../nodes'

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-memory-'))
const value = (number: number) => ({ number, site: `site-${number % 100}`, text: 'x'.repeat(140), ok: true })
const key = (number: number) => `device-${String(number).padStart(8, '0')}`

async function rate(name: string, count: number, run: () => Promise<unknown>): Promise<void> {
  const rates: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const begin = performance.now()
    await run()
    rates.push((count / (performance.now() - begin)) * 1000)
  }
  rates.sort((a, b) => a - b)
  console.log(
    `${name.padEnd(52)} ${Math.round(rates[1] ?? 0)
      .toLocaleString('en')
      .padStart(12)}/s`,
  )
}

/** Runs `call` for all numbers below `count`, 50 at a time. */
async function flying(count: number, call: (number: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: 50 }, worker))
}

async function main(): Promise<void> {
  const begin = performance.now()
  const db = await memory.Database.open({ path: join(folder, 'db'), durability: 'sync' })
  await db.put('n', 'first', 1)
  await db.get('n', 'first')
  console.log(`${'load, open, first put and get'.padEnd(52)} ${(performance.now() - begin).toFixed(1).padStart(12)} ms`)
  await rate('durable single puts, 50 in flight', 20_000, () => flying(20_000, (it) => db.put('n', key(it), value(it))))
  await rate('durable puts, 1,000 a batch', 100_000, async () => {
    for (let from = 0; from < 100_000; from += 1000) {
      await db.putMany(
        'n',
        Array.from({ length: 1000 }, (_, it) => [key(from + it), value(from + it)] as const),
      )
    }
  })
  const keys = Array.from({ length: 20_000 }, (_, it) => key(it))
  const batches = Array.from({ length: 20 }, (_, it) => keys.slice(it * 1000, it * 1000 + 1000))
  await db.getMany('n', keys)
  await rate('getMany, 1,000 keys a call', 20_000, async () => {
    for (const batch of batches) await db.getMany('n', batch)
  })
  await rate('getMany, 1,000 keys a call, 4 calls in flight', 80_000, async () => {
    for (const batch of batches) await Promise.all([1, 2, 3, 4].map(() => db.getMany('n', batch)))
  })
  const at = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 5))
  for (const batch of batches)
    await db.putMany(
      'n',
      batch.map((it) => [it, 0] as const),
    )
  await rate('getMany as of a time, one version back', 20_000, async () => {
    for (const batch of batches) await db.getMany('n', batch, { at })
  })
  await rate('awaited gets, 50 in flight', 100_000, () => flying(100_000, (it) => db.get('n', key(it % 20_000))))
  await db.close()
  const reopened = performance.now()
  const again = await memory.Database.open({ path: join(folder, 'db'), durability: 'sync' })
  console.log(`${'opening 100,000 keys'.padEnd(52)} ${(performance.now() - reopened).toFixed(1).padStart(12)} ms`)
  await again.close()
}

main()
  .catch((error: unknown) => {
    console.error(error)
    process.exitCode = 1
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }))

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { tasks } from '../../nodes'
import { behaviour } from './behaviour'
import { Clock } from './clock'
import { Folder } from './folder'
import { randomSchedules } from './random'

describe('the tasks library', () => {
  describe('embedded', () => {
    behaviour(() => new Folder())
    randomSchedules(() => new Folder(), process.env.MILLRACE_LONG ? 500 : 20)
  })

  it('refuses a queue without a path', async () => {
    await assert.rejects(tasks.connect({ path: '' }), { code: 'INVALID_OPTION' })
  })

  const torn: [title: string, harm: (journal: Buffer, end: number) => void, lost: number][] = [
    ['garbage behind its end', (journal, end) => journal.fill(0xab, end + 100, end + 200), 0],
    ['its last batch ends early', (journal, end) => journal.fill(0, end - 10, end + 1), 1],
  ]
  for (const [title, harm, lost] of torn) {
    it(`a torn tail of the store, ${title}: what stands before it is done`, async () => {
      const [whole, copy] = [new Folder(), new Folder()]
      try {
        const app = await whole.connect({ durability: 'fsync' })
        const sent: tasks.AsyncResult[] = []
        for (let n = 0; n < 20; n += 1) sent.push(await app.send('work', [n]))
        // As it is when the process ends now.
        cpSync(whole.path, copy.path, { recursive: true })
        const [name = ''] = readdirSync(join(copy.path, 'log'))
        const log = join(copy.path, 'log', name)
        const bytes = readFileSync(log)
        let end = bytes.length - 1
        while (end > 0 && bytes[end] === 0) end -= 1
        harm(bytes, end)
        writeFileSync(log, bytes)
        const again = await copy.connect()
        again.task('work', (n: number) => n)
        await again.worker().start()
        const there = sent.slice(0, sent.length - lost).map(({ id }) => again.result(id).get())
        assert.deepEqual(await Promise.all(there), [...there.keys()])
      } finally {
        await copy.remove()
        await whole.remove()
      }
    })
  }

  it('a clock that jumps: leases, timeouts, limits and intervals go by the time that passes', async function () {
    const clock = Clock.make()
    if (!clock) return this.skip()
    const folder = new Folder()
    try {
      const env = { ...process.env, ...clock.env }
      const options = { env, encoding: 'utf8', timeout: 50_000 } as const
      await promisify(execFile)(process.execPath, ['-r', 'tsx', join(__dirname, 'jumps.ts'), folder.path], options)
    } finally {
      clock.remove()
      await folder.remove()
    }
  })

  it('refuses a store that is open', async () => {
    const folder = new Folder()
    try {
      await folder.connect()
      await assert.rejects(folder.connect(), { code: 'STORE_LOCKED' })
    } finally {
      await folder.remove()
    }
  })
})

describe('sends to the embedded broker', () => {
  let folder: Folder
  let app: tasks.App
  beforeEach(async () => {
    folder = new Folder()
    app = await folder.connect()
  })
  afterEach(() => folder.remove())

  it('sends many at once: in order, with options, all or none', async () => {
    const seen: number[] = []
    const many = app.task('many', (place: number) => {
      seen.push(place)
      return place * 2
    })
    assert.deepEqual(await many.applyMany([]), [])
    const list = Array.from({ length: 1500 }, (_, place) => [place])
    const results = await many.applyMany(list, { priority: 9 })
    assert.equal(new Set(results.map(({ id }) => id)).size, 1500)
    const text = 'x'.repeat(2 << 20)
    await assert.rejects(many.applyMany([[1], [text]]), { code: 'TOO_LARGE' })
    await assert.rejects(many.applyMany([[1], [() => 1]]), { code: 'INVALID_INPUT' })
    await app.worker({ concurrency: 1, prefetch: 100 }).start()
    const got = await Promise.all(results.map((result) => result.get()))
    assert.deepEqual(
      got,
      list.map(([place]) => (place as number) * 2),
    )
    assert.deepEqual(
      seen,
      list.map(([place]) => place),
    )
  })

  it('keeps the order of sends of all kinds, and lets others have their turn', async () => {
    const seen: number[] = []
    const work = app.task('work', (place: number) => void seen.push(place))
    const sends: Promise<unknown>[] = []
    let turns = 0
    const timer = setInterval(() => {
      turns += 1
    }, 1)
    for (let place = 0; place < 2000; place += 1) {
      if (place % 500 === 499) sends.push(work.applyMany([[place]]))
      // One with a key needs the engine to be accepted.
      else if (place % 300 === 299) sends.push(work.applyAsync([place], { idempotencyKey: String(place) }))
      else if (place < 1000) sends.push(work.delay(place))
      else await work.delay(place)
    }
    clearInterval(timer)
    assert.ok(turns > 0)
    const last = await work.delay(2000)
    await Promise.all(sends)
    await app.worker({ concurrency: 1, prefetch: 100 }).start()
    await last.get()
    assert.deepEqual(
      seen,
      Array.from({ length: 2001 }, (_, place) => place),
    )
  })

  it('what was accepted at once is there after a start', async () => {
    const work = app.task('work', (place: number) => place)
    const results = []
    for (let place = 0; place < 600; place += 1) results.push(await work.delay(place))
    await app.close()
    app = await folder.connect()
    app.task('work', (place: number) => place)
    await app.worker().start()
    const got = await Promise.all(results.map(({ id }) => app.result<number>(id).get()))
    assert.deepEqual(got, [...got.keys()])
  })
})

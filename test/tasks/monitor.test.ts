import assert from 'node:assert/strict'
import type { tasks } from '../../nodes'
import { act, overview, page } from '../../nodes/tasks/overview'
import { Folder } from './folder'
import { brokerOf, controlOf, doneOf, Rig, sendOf, workerOf } from './rig'

const route = (name: string, id = 'broker') => `/millrace-tasks-broker/${id}/${name}`

describe('millrace-tasks-monitor', () => {
  describe('its routes', () => {
    afterEach(() => Rig.stop())

    it('tell of a broker, and act on it', async () => {
      const rig = await Rig.start(
        ...[brokerOf(), sendOf({ maxRetries: 0 }), workerOf({ name: 'mill', wires: [['task', 'done'], []] })],
        doneOf({ outcome: 'failure' }),
      )
      rig.send('send', { payload: 'why' })
      await rig.until('recorded')
      const { body } = await rig.get(route('overview'))
      assert.deepEqual([body.totals.dead, body.queueCount, body.workers[0].name], [1, 1, 'mill'])
      const { tasks } = (await rig.get(route('dead'))).body
      const [{ taskId }] = await rig.until('sent')
      const [{ id, name, queue, error, at }] = tasks
      assert.deepEqual([id, name, queue, error, typeof at], [taskId, 'add', 'default', 'why', 'number'])
      assert.deepEqual((await rig.get(route(`dead?after=${id}`))).body, { tasks: [], next: null })
      assert.deepEqual((await rig.post(route('act'), { command: 'deleteDead', id })).body, { deleted: 1 })
      assert.deepEqual((await rig.get(route('dead'))).body.tasks, [])
    })

    it('a node that is no broker, or not there, has nothing to tell', async () => {
      const rig = await Rig.start(brokerOf(), controlOf())
      for (const id of ['control', 'nowhere']) {
        assert.equal((await rig.get(route('overview', id))).body, null)
        assert.equal((await rig.post(route('act', id), { command: 'retryDead' })).body, null)
      }
    })

    it('a broker that cannot open says why', async () => {
      const rig = await Rig.start(brokerOf(), brokerOf({ id: 'wrong', durability: 'never' }))
      assert.equal((await rig.get(route('overview', 'wrong'))).body.code, 'INVALID_OPTION')
    })

    it('does nothing else than it is there for', async () => {
      const rig = await Rig.start(brokerOf(), sendOf())
      rig.send('send', {})
      await rig.until('sent')
      for (const given of [{}, { command: 'purge', queue: 'default' }, { command: 'pause' }, { command: 'close' }]) {
        const { status, body } = await rig.post(route('act'), given)
        assert.deepEqual([status, body.code], [500, 'INVALID_INPUT'])
      }
      assert.equal((await rig.get(route('overview'))).body.totals.pending, 1)
    })
  })

  describe('its answers', () => {
    let folder: Folder
    let app: tasks.App
    beforeEach(async () => {
      folder = new Folder()
      app = await folder.connect()
    })
    afterEach(() => folder.remove())

    /** Ends so many tasks, each with an error as long as a book. */
    async function fail(count: number, options: tasks.SendOptions): Promise<void> {
      const book = app.task('book', () => {
        throw new Error('a long story '.repeat(1000))
      })
      const sent = await Promise.all(Array.from({ length: count }, () => book.applyAsync(['x'.repeat(1000)], options)))
      const worker = app.worker()
      await worker.start()
      await Promise.all(sent.map((result) => result.wait()))
      await worker.stop()
    }

    it('stay small with 100,000 tasks in 300 queues', async () => {
      const send = (n: number) => app.send('work', ['x'.repeat(100)], { queue: `q${n % 300}` })
      await Promise.all(Array.from({ length: 100_000 }, (_, n) => send(n)))
      await app.send('more', [], { queue: 'q7' })
      const seen = await overview(app)
      assert.deepEqual([seen.queues.length, seen.queueCount, seen.totals.pending], [100, 300, 100_001])
      assert.equal(seen.queues[0]?.name, 'q7', 'the busiest first')
      assert.ok(JSON.stringify(seen).length < 50_000)
    })

    it('give dead tasks page by page, the newest first', async () => {
      await fail(45, { maxRetries: 0 })
      const ids: string[] = []
      let after: string | null = ''
      let pages = 0
      while (after !== null) {
        const found: Awaited<ReturnType<typeof page>> = await page(app.control, 'dead', after)
        assert.ok(found.tasks.length <= 20 && JSON.stringify(found).length < 20_000)
        ids.push(...found.tasks.map(({ id }) => id))
        after = found.next
        pages += 1
      }
      assert.deepEqual([pages, ids.length], [3, 45])
      assert.deepEqual(ids, ids.toSorted().reverse())
    })

    it('tell of what failed, without its arguments', async () => {
      await fail(1, { retry: { giveUpOn: ['Error'] } })
      const { tasks } = await page(app.control, 'failure')
      const [{ name, retries, error, at } = assert.fail('nothing failed')] = tasks
      assert.deepEqual([name, retries, error.length, typeof at], ['book', 0, 300, 'number'])
      assert.equal(JSON.stringify(tasks).includes('xxx'), false)
    })

    it('pause and resume a queue, and send the dead again', async () => {
      await fail(3, { maxRetries: 0 })
      await act(app.control, { command: 'pause', queue: 'default' })
      assert.equal((await overview(app)).queues[0]?.paused, true)
      const [first] = (await page(app.control, 'dead')).tasks
      assert.deepEqual(await act(app.control, { command: 'retryDead', id: first?.id }), { sent: 1 })
      assert.deepEqual(await act(app.control, { command: 'retryDead' }), { sent: 2 })
      await act(app.control, { command: 'resume', queue: 'default' })
      const { queues, totals } = await overview(app)
      assert.deepEqual([queues[0]?.paused, totals.pending, totals.dead], [false, 3, 0])
    })
  })
})

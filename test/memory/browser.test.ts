import assert from 'node:assert/strict'
import { memory } from '../../nodes'
import { keyPage, restore, shown, timeline, view } from '../../nodes/memory/browsing'
import { Rig, readOf, storeOf, writeOf } from './rig'

const route = (name: string, given: Record<string, string> = {}, id = 'store') =>
  `/millrace-memory-store/${id}/${name}?${new URLSearchParams(given)}`

describe('millrace-memory-browser', () => {
  describe('its routes', () => {
    afterEach(() => Rig.stop())

    it('tell of a store, and bring an older version back', async () => {
      const rig = await Rig.start(storeOf(), writeOf(), readOf())
      const [first, second] = await rig.put(
        { topic: 'pump', payload: { rpm: 1 } },
        { topic: 'pump', payload: { rpm: 2 } },
      )
      const document = { namespace: 'n', key: 'pump' }
      assert.deepEqual((await rig.get(route('view'))).body.namespaces[0].name, 'n')
      assert.deepEqual((await rig.get(route('page', { namespace: 'n' }))).body, {
        keys: ['pump'],
        next: null,
        near: [],
      })
      const { versions } = (await rig.get(route('timeline', document))).body
      const ids = [second, first].map((seen) => seen?.memory.version)
      assert.deepEqual(
        versions.map(({ version }: { version: string }) => version),
        ids,
      )
      const { body } = await rig.get(route('version', { ...document, version: ids[0] }))
      assert.deepEqual(body.changes, [{ op: 'replace', path: '/rpm', from: '1', to: '2' }])
      assert.equal((await rig.post(route('restore'), { ...document, version: ids[1] })).body.previous, ids[0])
      assert.deepEqual((await rig.answer({ topic: 'pump' })).payload, { rpm: 1 })
    })

    it('a node that is no store, or not there, has nothing to tell', async () => {
      const rig = await Rig.start(storeOf(), readOf())
      for (const id of ['read', 'nowhere']) {
        assert.equal((await rig.get(route('page', { namespace: 'n' }, id))).body, null)
        assert.equal((await rig.post(route('restore', {}, id), {})).body, null)
      }
    })

    it('a store that cannot open says why, and a wrong question is told', async () => {
      const rig = await Rig.start(storeOf(), storeOf({ id: 'wrong', durability: 'never' }))
      assert.equal((await rig.get(route('view', {}, 'wrong'))).body.code, 'INVALID_OPTION')
      assert.equal((await rig.get(route('page'))).body.code, 'INVALID_INPUT')
      assert.equal((await rig.get(route('timeline', { namespace: 'n', key: 'k' }))).body.code, 'KEY_NOT_FOUND')
      for (const given of [null, {}, { namespace: 'n', key: 'k' }, { namespace: 'n', key: 'k', version: 7 }]) {
        const { status, body } = await rig.post(route('restore'), given ?? {})
        assert.deepEqual([status, body.code], [500, 'INVALID_INPUT'])
      }
    })
  })

  describe('its answers', () => {
    let db: memory.Database
    beforeEach(async () => {
      db = await memory.Database.open()
    })
    afterEach(() => db.close())

    it('give keys page by page, also among many, and those that may be meant', async () => {
      const name = (n: number) => `device-${String(n).padStart(6, '0')}`
      for (let from = 0; from < 20_000; from += 1000) {
        const entries = Array.from({ length: 1000 }, (_, at) => [name(from + at), { n: at }] as const)
        await db.putMany('devices', entries)
      }
      const first = await keyPage(db, { namespace: 'devices' })
      assert.deepEqual([first.keys.length, first.keys[0], first.next], [50, name(0), name(49)])
      const second = await keyPage(db, { namespace: 'devices', after: first.next })
      assert.equal(second.keys[0], name(50))
      const some = await keyPage(db, { namespace: 'devices', prefix: 'device-01234' })
      assert.deepEqual([some.keys.length, some.keys[9], some.next], [10, name(12_349), null])
      assert.deepEqual((await keyPage(db, { namespace: 'devices', prefix: 'devcie-000007' })).near[0], name(7))
      assert.equal((await view(db)).stats.keys, 20_000)
    })

    it('give namespaces page by page', async () => {
      for (let n = 0; n < 120; n += 1) await db.put(`space-${String(n).padStart(3, '0')}`, 'k', n)
      const names: string[] = []
      let after: string | null = ''
      while (after !== null) {
        const found: Awaited<ReturnType<typeof view>> = await view(db, { prefix: 'space', after })
        assert.ok(found.namespaces.length <= 50)
        names.push(...found.namespaces.map((it) => it.name))
        after = found.next
      }
      assert.equal(new Set(names).size, 120)
      assert.deepEqual((await view(db, { prefix: 'space-11' })).namespaces.length, 10)
    })

    it('give a timeline page by page, without the values', async () => {
      for (let n = 0; n < 45; n += 1) await db.put('n', 'k', 'x'.repeat(10_000) + n)
      await db.delete('n', 'k')
      const times: number[] = []
      let to: string | null = ''
      let pages = 0
      while (to !== null) {
        const found: Awaited<ReturnType<typeof timeline>> = await timeline(db, { namespace: 'n', key: 'k', to })
        assert.ok(JSON.stringify(found).length < 3000)
        if (pages === 0) assert.deepEqual([found.versions[0]?.deleted, found.versions[1]?.deleted], [true, false])
        times.push(...found.versions.map((it) => it.time))
        to = found.next
        pages += 1
      }
      assert.deepEqual([pages, times.length], [3, 46])
      assert.deepEqual(
        times,
        times.toSorted((a, b) => b - a),
      )
    })

    it('stay small however large a document is', async () => {
      const many = (text: string) => Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`part ${n}`, text]))
      const first = await db.put('n', 'k', many('x'.repeat(1000)))
      const second = await db.put('n', 'k', many('y'.repeat(1000)), { ttlMs: 1e6 })
      const seen = await shown(db, { namespace: 'n', key: 'k', version: second.version })
      assert.deepEqual([seen.text.length, seen.changes?.length, seen.changeCount], [20_000, 100, 1000])
      assert.ok(seen.length > 1_000_000 && (seen.expires ?? 0) > second.time)
      assert.ok(JSON.stringify(seen).length < 100_000)
      const oldest = await shown(db, { namespace: 'n', key: 'k', version: first.version })
      assert.deepEqual([oldest.changes, oldest.expires], [null, null])
    })

    it('tell what came and what went', async () => {
      await db.put('n', 'k', { a: 1, b: 2 })
      const { version } = await db.put('n', 'k', { a: 1, c: 3 })
      const { changes } = await shown(db, { namespace: 'n', key: 'k', version })
      assert.deepEqual(changes, [
        { op: 'remove', path: '/b', from: '2', to: '' },
        { op: 'add', path: '/c', from: '', to: '3' },
      ])
      const gone = await db.delete('n', 'k')
      const seen = await shown(db, { namespace: 'n', key: 'k', version: gone?.version })
      assert.deepEqual([seen.deleted, seen.text, seen.changes], [true, '', null])
      const back = await restore(db, { namespace: 'n', key: 'k', version })
      assert.deepEqual(await db.getAt('n', 'k', back.version), { a: 1, c: 3 })
    })

    it('say that a version was given up', async () => {
      const { version } = await db.put('n', 'k', 1)
      await db.put('n', 'k', 2)
      await db.retain('n', { versions: 1 })
      await db.compact()
      await assert.rejects(shown(db, { namespace: 'n', key: 'k', version }), { code: 'NOT_FOUND' })
    })
  })
})

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Rig, readOf, searchOf, storeOf, watchOf, writeOf } from './rig'

describe('millrace-memory-store', () => {
  afterEach(() => Rig.stop())

  it('is shared by all nodes, and shows what it holds', async () => {
    const rig = await Rig.start(storeOf(), writeOf(), readOf(), watchOf())
    await rig.put({ topic: 'pump-1', payload: 1 }, { topic: 'pump-1', payload: 2 }, { topic: 'valve', payload: 3 })
    assert.equal((await rig.answer({ topic: 'pump-1' })).payload, 2)
    const { body } = await rig.get('/millrace-memory-store/store/view')
    assert.deepEqual([body.stats.keys, body.stats.versions, body.stats.diskBytes > 0], [2, 3, true])
    assert.deepEqual(
      body.namespaces.map(({ name, keys }: { name: string; keys: number }) => [name, keys]),
      [['n', 2]],
    )
    assert.equal((await rig.get('/millrace-memory-store/nowhere/view')).body, null)
  })

  it('offers namespaces and keys, near ones where none begins so', async () => {
    const rig = await Rig.start(storeOf(), writeOf())
    await rig.put({ topic: 'pump-1', payload: 1 }, { topic: 'pump-2', payload: 1 }, { topic: 'valve', payload: 1 })
    const offers: [question: string, names: string[]][] = [
      ['namespaces', ['n']],
      ['namespaces?prefix=x', []],
      ['keys?namespace=n&prefix=pu', ['pump-1', 'pump-2']],
      ['keys?namespace=n', ['pump-1', 'pump-2', 'valve']],
      ['keys?namespace=n&prefix=vlave', ['valve']],
      ['keys?namespace=other', []],
    ]
    for (const [question, names] of offers) {
      assert.deepEqual((await rig.get(`/millrace-memory-store/store/${question}`)).body, names, question)
    }
    assert.equal((await rig.get('/millrace-memory-store/store/keys?namespace=')).body.code, 'INVALID_INPUT')
    assert.equal((await rig.get('/millrace-memory-store/nowhere/keys?namespace=n')).body, null)
    assert.equal((await rig.get('/millrace-memory-store/nowhere/namespaces')).body, null)
  })

  it('keeps documents over the end of the flows, in its own folder', async () => {
    const before = await Rig.start(storeOf({ path: 'a/b', durability: 'sync' }), writeOf())
    await before.put({ topic: 'a', payload: { x: 1 } })
    await Rig.halt()
    const rig = await Rig.start(storeOf({ path: 'a/b' }), readOf())
    assert.deepEqual((await rig.answer({ topic: 'a' })).payload, { x: 1 })
  })

  it('a folder that another store has is an error for now; a wrong setting is one for good', async () => {
    const rig = await Rig.start(
      storeOf(),
      storeOf({ id: 'second' }),
      storeOf({ id: 'wrong', durability: 'never' }),
      writeOf(),
      writeOf({ id: 'late', store: 'second' }),
      writeOf({ id: 'lost', store: 'wrong' }),
    )
    await rig.put({ topic: 'a', payload: 1 })
    rig.send('late', { topic: 'a', payload: 1 })
    assert.equal((await rig.until('caught'))[0].error.code, 'STORE_LOCKED')
    assert.equal((await rig.get('/millrace-memory-store/second/view')).body.code, 'STORE_LOCKED')
    await rig.find('status', ({ id, text }) => id === 'wrong' && text === 'error.INVALID_OPTION')
    rig.send('lost', { topic: 'a', payload: 1 })
    assert.equal((await rig.until('caught', 2))[1].error.code, 'INVALID_OPTION')
  })

  it('holds to its limit on the disk', async () => {
    const rig = await Rig.start(storeOf({ diskMb: 1, memoryMb: 8 }), writeOf())
    // What compresses would not fill it.
    const noise = () => Array.from({ length: 50_000 }, () => Math.random().toString(36).slice(2))
    for (let round = 0; rig.seen.caught.length === 0 && round < 100; round += 1) {
      rig.send('write', { topic: `k${round}`, payload: noise() })
      await Promise.race([rig.until('caught'), rig.until('written', round + 1)])
    }
    assert.equal((await rig.until('caught'))[0].error.code, 'DISK_FULL')
  })

  it('keeps its vectors in less memory, with scores that are rounded', async () => {
    const scores = async (vectors: string) => {
      const embed = writeOf({ id: 'embed', operation: 'embed' })
      const rig = await Rig.start(storeOf({ path: vectors, vectors }), embed, searchOf({ topK: 20 }))
      const count = 300
      for (let n = 0; n < count; n += 1)
        rig.send('embed', { topic: `k${n}`, payload: [Math.cos(n), Math.sin(n), n / 100] })
      await rig.until('written', count)
      const { payload } = await rig.answer({ payload: [1, 0.5, 0.3] }, 'search')
      await Rig.halt()
      return payload.map(({ score }: { score: number }) => score)
    }
    const [whole, rounded] = [await scores('f32'), await scores('i8')]
    assert.equal(rounded.length, 20)
    assert.notDeepEqual(rounded, whole)
    for (const [place, score] of rounded.entries()) assert.ok(Math.abs(score - whole[place]) < 0.05)
  })

  it('gives up what was replaced or deleted longer ago than its history goes, of every namespace', async () => {
    const rig = await Rig.start(storeOf({ keepHours: 0.1 / 3600 }), writeOf(), writeOf({ id: 'other', namespace: 'm' }))
    await rig.put({ topic: 'a', payload: 1 }, { topic: 'a', payload: 2 }, { topic: 'a', payload: 3 })
    for (const payload of [1, 2]) rig.send('other', { topic: 'b', payload })
    const versions = async () => {
      const { body } = await rig.get('/millrace-memory-store/store/view')
      return body.namespaces.map(({ name, versions }: { name: string; versions: number }) => `${name} ${versions}`)
    }
    while ((await versions()).join() !== 'm 1,n 1') await new Promise((resolve) => setTimeout(resolve, 20))
  })

  it('a history that a flow keeps of a namespace holds over that of the store, also after a restart', async () => {
    const retain = writeOf({ id: 'retain', operation: 'retain', namespace: 'm' })
    const nodes = [storeOf({ keepHours: 0.1 / 3600 }), writeOf(), writeOf({ id: 'other', namespace: 'm' }), retain]
    const before = await Rig.start(...nodes)
    before.send('retain', { payload: {} })
    await before.until('written')
    await Rig.halt()
    const rig = await Rig.start(...nodes)
    for (const payload of [1, 2]) for (const id of ['write', 'other']) rig.send(id, { topic: 'a', payload })
    await rig.until('written', 4)
    const versions = async () => {
      const { body } = await rig.get('/millrace-memory-store/store/view')
      return body.namespaces.map(({ name, versions }: { name: string; versions: number }) => `${name} ${versions}`)
    }
    while (!(await versions()).includes('n 1')) await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(await versions(), ['m 2', 'n 1'])
  })

  it('goes on where it was not the store that failed', async () => {
    const backup = readOf({ id: 'backup', operation: 'backup', folder: 'payload', folderType: 'msg' })
    const rig = await Rig.start(storeOf(), writeOf(), backup, watchOf())
    await rig.put({ topic: 'a', payload: 1 })
    await rig.answer({ payload: 'copy' }, 'backup')
    const kept = await rig.database()
    // It is long open: a store that fails as soon as it is open would be opened all the time.
    const { now } = performance
    performance.now = () => now.call(performance) + 60_000
    try {
      // Below a file no folder can be made.
      rig.send('backup', { payload: join('copy', 'version', 'copy') })
      assert.equal((await rig.until('caught'))[0].error.code, 'STORE_FAILED')
    } finally {
      performance.now = now
    }
    await rig.put({ topic: 'a', payload: 2 })
    assert.equal(await rig.database(), kept)
    assert.equal(await kept.get('n', 'a'), 2)
  })
})

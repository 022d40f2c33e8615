import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { memory } from '../../nodes'
import { type Json, Rig, storeOf, watchOf, writeOf } from './rig'

const bookmark = () => Rig.file('millrace', 'memory-watch', 'watch')

describe('millrace-memory-watch', () => {
  afterEach(() => Rig.stop())

  /** Runs when the watch hears. */
  async function start(config: Json = {}, ...more: Json[]): Promise<Rig> {
    const rig = await Rig.start(storeOf(), writeOf(), watchOf(config), ...more)
    await rig.find('status', ({ id, text }) => id === 'watch' && text === 'status.heard')
    return rig
  }

  it('sends each change, deletions among them', async () => {
    const rig = await start({}, writeOf({ id: 'delete', operation: 'delete' }))
    const [{ memory }] = await rig.put({ topic: 'a', payload: { x: 1 } })
    const [change] = await rig.until('change')
    assert.deepEqual([change.topic, change.payload], ['a', { x: 1 }])
    assert.deepEqual(change.memory, { ...memory, deleted: false })
    rig.send('delete', { topic: 'a' })
    const gone = (await rig.until('change', 2))[1]
    assert.deepEqual([gone.topic, gone.payload, gone.memory.deleted], ['a', null, true])
  })

  it('hears only of what it was told to', async () => {
    const rig = await start(
      { namespace: 'n', prefix: 'pump', filter: '{"rpm": {"gt": 900}}' },
      writeOf({ id: 'other', namespace: 'm' }),
    )
    rig.send('other', { topic: 'pump-1', payload: { rpm: 999 } })
    await rig.until('written')
    await rig.put(
      { topic: 'valve', payload: { rpm: 999 } },
      { topic: 'pump-1', payload: { rpm: 900 } },
      { topic: 'pump-2', payload: { rpm: 901 } },
    )
    assert.deepEqual(
      (await rig.until('change')).map(({ topic }) => topic),
      ['pump-2'],
    )
  })

  it('sends many in their order', async () => {
    const rig = await start({}, writeOf({ id: 'batch', operation: 'batch' }))
    const keys = Array.from({ length: 300 }, (_, number) => `k${String(number).padStart(3, '0')}`)
    rig.send('batch', { payload: Object.fromEntries(keys.map((key) => [key, 1])) })
    await rig.put(...keys.map((topic) => ({ topic, payload: 2 })))
    const heard = await rig.until('change', 600)
    assert.deepEqual(
      heard.map(({ topic }) => topic),
      [...keys, ...keys],
    )
  })

  it('begins with what it has not passed on yet', async () => {
    const before = await start({ start: 'resume' })
    await before.put({ topic: 'a', payload: 1 })
    await before.until('change')
    await Rig.halt()
    const away = await Rig.start(storeOf(), writeOf())
    await away.put({ topic: 'b', payload: 2 }, { topic: 'c', payload: 3 })
    await Rig.halt()
    const rig = await start({ start: 'resume' })
    assert.deepEqual(
      (await rig.until('change', 2)).map(({ topic }) => topic),
      ['b', 'c'],
    )
  })

  it('resumes where it heard nothing yet, too', async () => {
    await start({ start: 'resume' })
    await Rig.halt()
    const away = await Rig.start(storeOf(), writeOf())
    await away.put({ topic: 'a', payload: 1 })
    await Rig.halt()
    const rig = await start({ start: 'resume' })
    assert.equal((await rig.until('change'))[0].topic, 'a')
  })

  it('a node that is removed leaves no bookmark; one that stays has it within a second', async () => {
    const rig = await start({ start: 'resume' })
    await rig.put({ topic: 'a', payload: 1 })
    await rig.until('change')
    while (!existsSync(bookmark())) await new Promise((resolve) => setTimeout(resolve, 20))
    await rig.redeploy('nodes', storeOf(), writeOf())
    assert.equal(existsSync(bookmark()), false)
  })

  it('a bookmark that cannot be read is an error, one that cannot be written a warning', async () => {
    await start()
    mkdirSync(bookmark(), { recursive: true })
    await Rig.halt()
    const rig = await Rig.start(storeOf(), watchOf({ start: 'resume' }))
    await rig.find('status', ({ id, fill }) => id === 'watch' && fill === 'red')
    await Rig.halt()
    const other = await Rig.start(storeOf(), writeOf(), watchOf({ id: 'second', start: 'resume' }))
    await other.find('status', ({ id, text }) => id === 'second' && text === 'status.heard')
    mkdirSync(Rig.file('millrace', 'memory-watch', 'second'), { recursive: true })
    await other.until('warn')
  })

  it('a bookmark that is none is an error', async () => {
    await start()
    await Rig.halt()
    mkdirSync(Rig.file('millrace', 'memory-watch'), { recursive: true })
    writeFileSync(bookmark(), 'no moment')
    const rig = await Rig.start(storeOf(), writeOf(), watchOf({ start: 'resume' }))
    const status = await rig.find('status', ({ id, fill }) => id === 'watch' && fill === 'red')
    assert.equal(status.text, 'error.INVALID_INPUT')
  })

  it('tells what it missed', async () => {
    const before = await start({ start: 'resume' })
    const [{ memory: first }] = await before.put({ topic: 'a', payload: 1 })
    await before.until('change')
    await Rig.halt()
    const away = await memory.Database.open({ path: Rig.file('millrace', 'memory'), changesKept: 1 })
    for (const key of ['b', 'c', 'd']) await away.put('n', key, 1)
    await away.compact()
    await away.close()
    const rig = await start({ start: 'resume' })
    const [{ topic, memory: last }] = await rig.until('change')
    assert.equal(topic, 'd')
    const [{ payload }] = await rig.until('gap')
    assert.ok(payload.from >= first.time && payload.to > payload.from && payload.to < last.time)
    await rig.find('status', ({ id, fill }) => id === 'watch' && fill === 'yellow')
  })

  it('tries again while another has the store', async () => {
    const other = watchOf({ id: 'other' })
    const rig = await Rig.start(storeOf(), storeOf({ id: 'second' }), other, watchOf({ store: 'second' }))
    // Either may be the first.
    const failed = await rig.find('status', ({ text }) => text === 'error.STORE_LOCKED')
    assert.equal(failed.fill, 'yellow')
    const last = failed.id === 'watch' ? 'second' : 'store'
    const waiting = failed.id === 'watch' ? watchOf({ store: 'second' }) : other
    await rig.find('status', ({ id, text }) => id !== failed.id && text === 'status.heard')
    // The one who has it goes, and its turn comes.
    await rig.redeploy('nodes', storeOf({ id: last }), waiting)
    await rig.find('status', ({ id, text }) => id === failed.id && text === 'status.heard')
  })

  it('passes on some of what the example of a device twin measures, and not all', async () => {
    const nodes: Json[] = JSON.parse(readFileSync(join(__dirname, '../../examples/memory/device-twin.json'), 'utf8'))
    const { filter } = nodes.find(({ type }) => type === 'millrace-memory-watch') as Json
    const { func } = nodes.find(({ type }) => type === 'function') as Json
    const measure = new Function('msg', 'Math', func as string)
    const measured = (random: number) => measure({ payload: {} }, { round: Math.round, random: () => random }).payload
    const rig = await start({ filter })
    for (const [topic, random] of Object.entries({ cold: 0, hot: 0.99 })) {
      await rig.put({ topic, payload: measured(random) })
    }
    assert.equal((await rig.until('change'))[0].topic, 'hot')
  })

  it('a filter that is no object is a wrong setting', async () => {
    for (const filter of ['[1]', '{', '5']) {
      const rig = await Rig.start(storeOf(), watchOf({ filter }))
      await rig.find('status', ({ id, text }) => id === 'watch' && text === 'error.INVALID_OPTION')
      await Rig.halt()
    }
    const rig = await Rig.start(storeOf(), watchOf({ filter: '{"a": {"like": 1}}' }))
    const status = await rig.find('status', ({ id, fill }) => id === 'watch' && fill === 'red')
    assert.equal(status.text, 'error.INVALID_INPUT')
  })
})

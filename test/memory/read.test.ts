import assert from 'node:assert/strict'
import { memory } from '../../nodes'
import { type Json, Rig, readOf, type Seen, storeOf, writeOf } from './rig'

describe('millrace-memory-read', () => {
  afterEach(() => Rig.stop())

  const start = (read: Json, ...more: Json[]): Promise<Rig> => Rig.start(storeOf(), writeOf(), readOf(read), ...more)

  it('gets a document, and keeps the rest of the message', async () => {
    const rig = await start({})
    await rig.put({ topic: 'a', payload: { x: [1] } })
    const { _msgid, topic, payload } = await rig.answer({ _msgid: 'one', topic: 'a', payload: 'what was asked' })
    assert.deepEqual([_msgid, topic, payload], ['one', 'a', { x: [1] }])
  })

  it('what is not there leaves through the second output, with names that may be meant', async () => {
    const rig = await start({})
    await rig.put({ topic: 'temperature', payload: 1 })
    rig.send('read', { topic: 'temprature', payload: 'kept' })
    const [{ payload, error }] = await rig.until('missing')
    assert.deepEqual([payload, error.code], ['kept', 'KEY_NOT_FOUND'])
    assert.deepEqual(error.suggestions, [{ namespace: 'n', key: 'temperature' }])
    await rig.find('status', ({ id, text }) => id === 'read' && text === 'status.counts')
  })

  it('or is an error, by option and where nothing is wired', async () => {
    const rig = await start({ missing: 'error' }, readOf({ id: 'unwired', wires: [['found']] }))
    for (const [place, id] of ['read', 'unwired'].entries()) {
      rig.send(id, { topic: 'a' })
      const caught = (await rig.until('caught', place + 1))[place]
      assert.equal(caught.error.code, 'KEY_NOT_FOUND')
    }
    assert.deepEqual(rig.seen.missing, [])
  })

  it('gets what was, by a time or a version', async () => {
    const rig = await start({ operation: 'at', time: 'when', timeType: 'msg' })
    const [first] = await rig.put({ topic: 'a', payload: 1 }, { topic: 'a', payload: 2 })
    const { version, time } = first.memory
    for (const when of [version, time]) assert.equal((await rig.answer({ topic: 'a', when })).payload, 1)
    assert.equal((await rig.answer({ topic: 'a', when: Date.now() + 1000 })).payload, 2)
    rig.send('read', { topic: 'a', when: time - 3_600_000 })
    rig.send('read', { topic: 'a', when: version.replaceAll(/[0-9a-f]/g, '0') })
    const codes = (await rig.until('missing', 2)).map(({ error }) => error.code)
    assert.deepEqual(codes.sort(), ['KEY_NOT_FOUND', 'NOT_FOUND'])
    rig.send('read', { topic: 'a' })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  it('tells the history, the newest first', async () => {
    const rig = await start({ operation: 'history', limit: 2 })
    await rig.put(...[1, 2, 3].map((payload) => ({ topic: 'a', payload })))
    const { payload } = await rig.answer({ topic: 'a' })
    assert.deepEqual(
      payload.map(({ value, deleted }: Json) => [value, deleted]),
      [
        [3, false],
        [2, false],
      ],
    )
  })

  it('tells what changed, until now or until another time', async () => {
    const rig = await start({ operation: 'diff', time: 'from', timeType: 'msg', to: 'to', toType: 'msg' })
    const [one, two] = await rig.put(...[1, 2, 3].map((x) => ({ topic: 'a', payload: { x } })))
    const change = (from: number, value: number) => [{ op: 'replace', path: '/x', from, value }]
    const from = one.memory.version
    assert.deepEqual((await rig.answer({ topic: 'a', from })).payload, change(1, 3))
    assert.deepEqual((await rig.answer({ topic: 'a', from, to: two.memory.version })).payload, change(1, 2))
  })

  it('lists keys page by page, and namespaces', async () => {
    const rig = await start({ operation: 'list', limit: 2 }, readOf({ id: 'all', operation: 'list', namespace: '' }))
    await rig.put(...['a1', 'a2', 'a3', 'b'].map((topic) => ({ topic, payload: 1 })))
    const first = await rig.answer({ topic: 'a' })
    assert.deepEqual(first.payload, ['a1', 'a2'])
    const second = await rig.answer({ topic: 'a', after: first.next })
    assert.deepEqual([second.payload, second.next], [['a3'], null])
    assert.deepEqual((await rig.answer({})).payload, ['a1', 'a2'])
    rig.send('all', {})
    const { payload } = (await rig.until('found', 4))[3]
    assert.deepEqual([payload[0].name, payload[0].keys], ['n', 4])
  })

  it('lists all keys where no limit is set, however many there are', async () => {
    const many = 20_500
    const batch = writeOf({ id: 'batch', operation: 'batch' })
    const rig = await Rig.start(storeOf(), batch, readOf({ operation: 'list', limit: '', key: '', keyType: 'str' }))
    rig.send('batch', { payload: Object.fromEntries(Array.from({ length: many }, (_, place) => [`k${place}`, 1])) })
    await rig.until('written')
    const { payload, next } = await rig.answer({})
    assert.deepEqual([new Set(payload).size, next], [many, null])
  })

  it('asks queries, with their plan, page by page', async () => {
    const rig = await start({ operation: 'query', query: 'query', queryType: 'msg' })
    await rig.put(...[3, 1, 2].map((rpm) => ({ topic: `pump-${rpm}`, payload: { rpm } })))
    const query = { filter: { rpm: { gte: 2 } }, sort: [{ path: 'rpm' }], limit: 1 }
    const keys = ({ payload }: Seen) => payload.map(({ key }: Json) => key)
    const first = await rig.answer({ query })
    assert.deepEqual([keys(first), first.plan.scanned], [['pump-2'], 3])
    const second = await rig.answer({ query, after: first.next })
    assert.deepEqual(keys(second), ['pump-3'])
    assert.equal(keys(await rig.answer({})).length, 3)
    const sum = await rig.answer({ query: { aggregate: { sum: { sum: 'rpm' } } } })
    assert.deepEqual(sum.payload, [{ sum: 6 }])
    for (const query of ['all', [1], null]) rig.send('read', { query })
    for (const { error } of await rig.until('caught', 3)) assert.equal(error.code, 'INVALID_INPUT')
    rig.send('read', { query: { folter: 1 } })
    assert.equal((await rig.until('caught', 4))[3].error.code, 'INVALID_OPTION')
  })

  it('copies the store while it is in use; the copy is one, too', async () => {
    const rig = await start({ operation: 'backup', folder: 'payload', folderType: 'msg' })
    await rig.put({ topic: 'a', payload: 1 }, { topic: 'a', payload: 2 })
    const { payload } = await rig.answer({ payload: 'copies/first' })
    assert.deepEqual(payload, { path: Rig.file('copies', 'first'), documents: 1, versions: 2 })
    await using copy = await memory.Database.open({ path: payload.path })
    assert.equal(await copy.get('n', 'a'), 2)
    for (const payload of ['copies/first', '', 5]) rig.send('read', { payload })
    const codes = (await rig.until('caught', 3)).map(({ error }) => error.code)
    assert.equal(codes.filter((code) => code === 'INVALID_INPUT').length >= 2, true, codes.join())
  })

  it('names come from the context and the environment, too', async () => {
    process.env.MILLRACE_TEST_KEY = 'a'
    try {
      const rig = await start({ key: 'MILLRACE_TEST_KEY', keyType: 'env' }, readOf({ id: 'flow', keyType: 'flow' }))
      await rig.put({ topic: 'a', payload: 1 })
      assert.equal((await rig.answer({})).payload, 1)
      rig.send('flow', {})
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    } finally {
      delete process.env.MILLRACE_TEST_KEY
    }
  })
})

import assert from 'node:assert/strict'
import { type Json, Rig, readOf, storeOf, writeOf } from './rig'

describe('millrace-memory-write', () => {
  afterEach(() => Rig.stop())

  it('puts the payload under the topic, and passes the message on with its version', async () => {
    const rig = await Rig.start(storeOf(), writeOf())
    const [first, second] = await rig.put({ _msgid: 'one', topic: 'a', payload: { x: 1 } }, { topic: 'a', payload: 2 })
    assert.deepEqual([first._msgid, first.payload, first.topic], ['one', { x: 1 }, 'a'])
    const { namespace, key, version, time, previous } = first.memory
    assert.deepEqual([namespace, key, previous], ['n', 'a', null])
    assert.ok(Math.abs(time - Date.now()) < 60_000)
    assert.equal(second.memory.previous, version)
    await rig.find('status', ({ id, text }) => id === 'write' && text === 'status.done')
  })

  it('writes messages in their order, however long their expressions take', async () => {
    const value = '$sum([1..payload.work]) >= 0 ? payload.number : 0'
    const rig = await Rig.start(storeOf(), writeOf({ value, valueType: 'jsonata' }), readOf({ operation: 'history' }))
    const messages = Array.from({ length: 20 }, (_, number) => ({
      topic: 'a',
      payload: { number, work: number % 2 ? 1 : 2000 },
    }))
    await rig.put(...messages)
    const { payload } = await rig.answer({ topic: 'a' })
    assert.deepEqual(
      payload.map(({ value }: Json) => value),
      messages.map(({ payload }) => payload.number).reverse(),
    )
  })

  const places: [title: string, config: Json, message: Json, expected: [string, string, unknown]][] = [
    ['of texts', { key: 'k', keyType: 'str', value: '5', valueType: 'num' }, {}, ['n', 'k', 5]],
    [
      'of the message',
      { namespace: 'a.b', namespaceType: 'msg' },
      { a: { b: 'm' }, topic: 't', payload: 1 },
      ['m', 't', 1],
    ],
    ['of an expression', { key: '"k" & payload', keyType: 'jsonata' }, { payload: 7 }, ['n', 'k7', 7]],
    ['of a number', {}, { topic: 12, payload: null }, ['n', '12', null]],
    ['of JSON', { value: '{"a":[1]}', valueType: 'json' }, { topic: 't' }, ['n', 't', { a: [1] }]],
    ['of a flag', { value: 'true', valueType: 'bool' }, { topic: 't' }, ['n', 't', true]],
  ]
  for (const [title, config, message, [namespace, key, value]] of places) {
    it(`takes namespace, key and value: ${title}`, async () => {
      const rig = await Rig.start(storeOf(), writeOf(config), readOf({ namespace, key, keyType: 'str' }))
      const [{ memory }] = await rig.put(message)
      assert.deepEqual([memory.namespace, memory.key], [namespace, key])
      assert.deepEqual((await rig.answer({})).payload, value)
    })
  }

  const wrong: [title: string, config: Json, message: Json, code: string][] = [
    ['no key', {}, { payload: 1 }, 'INVALID_INPUT'],
    ['a path that is not there', { key: 'a.b.c', keyType: 'msg' }, { payload: 1 }, 'INVALID_INPUT'],
    ['no value', {}, { topic: 't' }, 'INVALID_INPUT'],
    ['what JSON cannot say', {}, { topic: 't', payload: { a: 1n } }, 'INVALID_INPUT'],
    ['an expression that fails', { key: '$error("no")', keyType: 'jsonata' }, { payload: 1 }, 'INVALID_INPUT'],
    ['a number that is none', { value: 'x', valueType: 'num' }, { topic: 't' }, 'INVALID_INPUT'],
    ['an expression that cannot be read', { key: '(', keyType: 'jsonata' }, { payload: 1 }, 'INVALID_OPTION'],
    ['JSON that cannot be read', { value: '{', valueType: 'json' }, { topic: 't' }, 'INVALID_OPTION'],
    ['a batch of nothing', { operation: 'batch' }, {}, 'INVALID_INPUT'],
    ['a batch without keys', { operation: 'batch' }, { payload: [{ value: 1 }] }, 'INVALID_INPUT'],
    ['a batch of a value that is undefined', { operation: 'batch' }, { payload: { a: undefined } }, 'INVALID_INPUT'],
    [
      'a wrong option in a batch',
      { operation: 'batch' },
      { payload: [{ key: 'a', value: 1, ttlMs: 'x' }] },
      'INVALID_INPUT',
    ],
    ['a retention that is none', { operation: 'retain' }, { payload: 5 }, 'INVALID_INPUT'],
    ['a retention of no version', { operation: 'retain' }, { payload: { versions: 0 } }, 'INVALID_INPUT'],
    ['an index of no path', { operation: 'index' }, { payload: ['site', 5] }, 'INVALID_INPUT'],
    ['a moment that is none', { operation: 'restore', time: 'noon' }, { topic: 'a' }, 'INVALID_INPUT'],
  ]
  for (const [title, config, message, code] of wrong) {
    it(`refuses ${title}`, async () => {
      const rig = await Rig.start(storeOf(), writeOf(config))
      rig.send('write', message)
      const [{ error }] = await rig.until('caught')
      assert.equal(error.code, code, error.message)
      assert.deepEqual(rig.seen.written, [])
    })
  }

  it('a batch is a list of operations, or an object of documents; all or none', async () => {
    const rig = await Rig.start(
      storeOf(),
      writeOf({ operation: 'batch' }),
      readOf({ operation: 'list', keyType: 'str', key: '' }),
    )
    const [{ memory }] = await rig.put({ payload: { a: 1, b: 2 } })
    assert.deepEqual(
      memory.map(({ namespace, key }: Json) => [namespace, key]),
      [
        ['n', 'a'],
        ['n', 'b'],
      ],
    )
    const [more] = await rig.put({
      payload: [{ key: 'a' }, { key: 'gone' }, { key: 'c', value: null }, { namespace: 'm', key: 'd', value: 4 }],
    })
    assert.deepEqual(
      more.memory.map(({ version }: Json) => version === null),
      [false, true, false, false],
    )
    assert.deepEqual((await rig.answer({})).payload, ['b', 'c'])
    rig.send('write', { payload: [{ key: 'b' }, { key: 'c', value: 5, ifVersion: null }] })
    assert.equal((await rig.until('missing'))[0].error.code, 'CONFLICT')
    assert.deepEqual((await rig.answer({})).payload, ['b', 'c'])
  })

  it('says how much history is kept, and what is found quickly', async () => {
    const rig = await Rig.start(
      ...[
        storeOf(),
        writeOf(),
        writeOf({ id: 'retain', operation: 'retain' }),
        writeOf({ id: 'index', operation: 'index' }),
      ],
      ...[
        readOf({ operation: 'history' }),
        readOf({ id: 'ask', operation: 'query', query: '{"filter":{"site":"A"}}' }),
      ],
    )
    await rig.put(...[1, 2, 3, 4].map((n) => ({ topic: 'a', payload: { n, site: 'A' } })))
    rig.send('retain', { payload: { versions: 2 } })
    assert.deepEqual((await rig.until('written', 5))[4].memory, {
      ...{ namespace: 'n', retention: { versions: 2 }, givenUp: 2 },
    })
    assert.equal((await rig.answer({ topic: 'a' })).payload.length, 2)
    rig.send('index', { payload: ['site', 'n', 'site'] })
    assert.deepEqual((await rig.until('written', 6))[5].memory, { namespace: 'n', indexes: ['n', 'site'] })
    rig.send('index', { payload: 'site' })
    assert.deepEqual((await rig.until('written', 7))[6].memory.indexes, ['n', 'site'])
    assert.equal((await rig.answer({}, 'ask')).plan.index, 'site')
  })

  it('writes only over the version that it knows', async () => {
    const rig = await Rig.start(storeOf(), writeOf(), readOf())
    const [first] = await rig.put({ topic: 'a', payload: 1, ifVersion: null })
    const { version } = first.memory
    rig.send('write', { topic: 'a', payload: 2, ifVersion: null })
    const [{ error, payload }] = await rig.until('missing')
    assert.deepEqual([error.code, payload], ['CONFLICT', 2])
    await rig.put({ topic: 'a', payload: 3, ifVersion: version })
    assert.equal((await rig.answer({ topic: 'a' })).payload, 3)
  })

  it('deletes, says where there was nothing, and restores', async () => {
    const nodes = [
      writeOf({ id: 'delete', operation: 'delete' }),
      writeOf({ id: 'restore', operation: 'restore', time: 'memory.previous', timeType: 'msg' }),
    ]
    const rig = await Rig.start(storeOf(), writeOf(), readOf(), ...nodes)
    await rig.put({ topic: 'a', payload: 1 })
    rig.send('delete', { topic: 'a' })
    const [, gone] = await rig.until('written', 2)
    rig.send('delete', { topic: 'a' })
    assert.equal((await rig.until('written', 3))[2].memory.version, null)
    rig.send('read', { topic: 'a' })
    assert.equal((await rig.until('missing'))[0].error.code, 'KEY_NOT_FOUND')
    rig.send('restore', gone)
    await rig.until('written', 4)
    assert.equal((await rig.answer({ topic: 'a' })).payload, 1)
    rig.send('restore', { topic: 'never', memory: { previous: Date.now() } })
    assert.equal((await rig.until('missing', 2))[1].error.code, 'KEY_NOT_FOUND')
  })

  it('what lives for a time is gone after it', async () => {
    const rig = await Rig.start(storeOf(), writeOf({ ttl: 0.05 }), readOf({ wires: [['found'], ['found']] }))
    const [{ memory }] = await rig.put({ topic: 'a', payload: 1 })
    let answer = await rig.answer({ topic: 'a' })
    while (!answer.error) answer = await rig.answer({ topic: 'a' })
    assert.equal(answer.error.code, 'KEY_NOT_FOUND')
    assert.ok(Date.now() >= Math.floor(memory.time) + 50)
  })

  it('what caused a version is kept with it', async () => {
    const rig = await Rig.start(storeOf(), writeOf(), readOf({ operation: 'history' }))
    const [{ memory }] = await rig.put({ topic: 'a', payload: 1 })
    const { namespace, key, version } = memory
    await rig.put({ topic: 'b', payload: 2, causes: [{ namespace, key, version }] })
    assert.deepEqual((await rig.answer({ topic: 'b' })).payload[0].causes, [{ namespace, key, version }])
  })

  it('is an error where nothing is wired to the second output, or by option', async () => {
    const rig = await Rig.start(
      storeOf(),
      writeOf({ wires: [['written']] }),
      writeOf({ id: 'strict', missing: 'error' }),
    )
    await rig.put({ topic: 'a', payload: 1 })
    for (const [place, id] of ['write', 'strict'].entries()) {
      rig.send(id, { topic: 'a', payload: 2, ifVersion: null })
      assert.equal((await rig.until('caught', place + 1))[place].error.code, 'CONFLICT')
    }
    assert.deepEqual(rig.seen.missing, [])
  })

  it('does not hold more messages than Node-RED may buffer', async () => {
    const rig = await Rig.start(storeOf(), writeOf())
    for (let n = 0; n < 10_001; n += 1) rig.send('write', { topic: `k${n}`, payload: n })
    assert.equal((await rig.until('caught'))[0].error.code, 'BUFFER_FULL')
    await rig.until('written', 10_000)
  })

  it('without its store it says so', async () => {
    const rig = await Rig.start(writeOf())
    assert.deepEqual(await rig.until('error'), ['failure.store'])
    rig.send('write', {})
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
  })
})

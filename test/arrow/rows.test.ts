import assert from 'node:assert/strict'
import { util } from '@node-red/util'
import { tableFromArrays } from 'apache-arrow'
import { arrow } from '../../nodes'
import { type Json, Rig } from './rig'

const clone = util.cloneMessage as unknown as <T>(value: T) => T
const rowsOf = (more: Json = {}): Json => ({ type: 'millrace-arrow-rows', ...more })
const schema = [
  { name: 'n', type: 'int64' },
  { name: 'at', type: 'timestamp(ms, UTC)' },
  { name: 'in', type: 'struct<x: float64, l: list<int8>, b: binary>' },
]
const rows = [
  { n: 1n, at: new Date(0), in: { x: 0.5, l: [1, 2], b: Buffer.from('hi') } },
  { n: null, at: null, in: null },
]
const iso = '1970-01-01T00:00:00.000Z'

describe('millrace-arrow-rows', () => {
  let rig: Rig
  let payload: Buffer
  before(async () => {
    payload = await (await arrow.Batch.from(rows, { schema })).toIPC({ form: 'file', compression: 'lz4' })
  })
  afterEach(() => rig.remove())

  const outputs: [title: string, config: Json, expected: unknown][] = [
    ['rows', {}, [{ ...rows[0], at: iso }, rows[1]]],
    ['rows with dates', { times: 'date', int64: 'number' }, [{ ...rows[0], n: 1 }, rows[1]]],
    ['columns', { output: 'columns', int64: 'string' }, { n: ['1', null], at: [iso, null], in: [rows[0]?.in, null] }],
    [
      'NDJSON',
      { output: 'ndjson' },
      `{"n":1,"at":"${iso}","in":{"x":0.5,"l":[1,2],"b":"aGk="}}\n{"n":null,"at":null,"in":null}\n`,
    ],
    [
      'flat rows',
      { output: 'csv' },
      [
        { n: '1', at: iso, 'in.x': 0.5, 'in.l': '[1,2]', 'in.b': 'aGk=' },
        { n: null, at: null, 'in.x': null, 'in.l': null, 'in.b': null },
      ],
    ],
  ]
  for (const [title, config, expected] of outputs) {
    it(`gives ${title}`, async () => {
      rig = await Rig.start(rowsOf(config))
      rig.send({ _msgid: 'a', topic: 't', payload })
      const [message] = await rig.until('out')
      assert.deepEqual(message.payload, expected)
      assert.deepEqual([message._msgid, message.topic, message.arrow.rows], ['a', 't', 2])
      await rig.until('completed')
    })
  }

  for (const output of ['rows', 'ndjson', 'csv']) {
    it(`gives a message a row as ${output}`, async () => {
      rig = await Rig.start(rowsOf({ output, messages: 'each' }))
      rig.send({ _msgid: 'a', payload })
      const messages = await rig.until('out', 2)
      const expected = outputs.find(([, config]) => (config.output ?? 'rows') === output)?.[2]
      const joined = messages.map((message) => message.payload)
      assert.deepEqual(output === 'ndjson' ? joined.join('') : joined, expected)
      assert.deepEqual(messages[1].parts, { id: 'a', index: 1, count: 2, type: 'array' })
    })
  }

  it('gives flat rows that have the same columns, whatever is in them', async () => {
    const columns = [
      { name: 's', type: 'struct<in: struct<"a b": float64!, l: list<float64>>, "": dictionary<int8, utf8>>' },
      { name: 'm', type: 'map<utf8, int64>' },
      { name: '__proto__', type: 'list<struct<x: int8>>' },
    ]
    const given = [
      { s: null, m: null },
      { s: { in: null, '': 'x' }, m: new Map([['k', 1n]]) },
      JSON.parse('{"s": {"in": {"a b": 1, "l": [0.5]}}, "m": {}, "__proto__": [{"x": 1}, null]}'),
    ]
    given[2].s.in.l.push(Number.NaN)
    const bytes = await (await arrow.Batch.from(given, { schema: columns })).toIPC()
    rig = await Rig.start(rowsOf({ output: 'csv' }))
    rig.send({ payload: bytes })
    const [{ payload }] = (await rig.until('out')) as unknown as [{ payload: object[] }]
    assert.deepEqual(
      payload.map((row) => Object.entries(row)),
      [
        [null, null, null, null, null],
        [null, null, 'x', '{"k":"1"}', null],
        [1, '[0.5,"NaN"]', null, '{}', '[{"x":1},null]'],
      ].map((row) => row.map((value, place) => [['s.in.a b', 's.in.l', 's.', 'm', '__proto__'][place], value])),
    )
  })

  it('refuses flat rows in which two columns would be one', async () => {
    const columns = [
      { name: 'a', type: 'struct<b: int8>' },
      { name: 'a.b', type: 'int8' },
    ]
    const bytes = await (await arrow.Batch.from([{ a: { b: 1 }, 'a.b': 2 }], { schema: columns })).toIPC()
    rig = await Rig.start(rowsOf({ output: 'csv' }))
    rig.send({ payload: bytes })
    const [{ error }] = await rig.until('caught')
    assert.equal(error.code, 'CONVERSION')
    assert.match(error.message, /'a\.b' twice/)
  })

  it('takes a table of apache-arrow', async () => {
    rig = await Rig.start(rowsOf())
    rig.send({ payload: tableFromArrays({ a: new Int32Array([1, 2]) }) as never })
    assert.deepEqual((await rig.until('out'))[0].payload, [{ a: 1 }, { a: 2 }])
  })

  it('takes a batch, and what Node-RED makes of it where a message goes two ways, or a value is copied', async () => {
    const { batch } = await arrow.Batch.fromRows([{ a: 1 }])
    const names = batch.schema.names
    const clones = [batch, clone({ payload: batch }).payload, clone(batch)]
    rig = await Rig.start(rowsOf({ int64: 'number' }))
    for (const payload of clones) rig.send({ payload: payload as never })
    for (const { payload, arrow } of await rig.until('out', 3)) {
      assert.deepEqual([payload, arrow.schema[0].name], [[{ a: 1 }], names[0]])
    }
    assert.ok(clone(batch.schema).equals(batch.schema))
  })

  const wrong: [title: string, given: () => unknown, config: Json, code: string][] = [
    ['text', () => 'x', {}, 'INVALID_INPUT'],
    ['rows', () => [{ a: 1 }], {}, 'INVALID_INPUT'],
    ['an object', () => ({ a: 1 }), {}, 'INVALID_INPUT'],
    ['other bytes', () => Buffer.from('no arrow at all'), {}, 'INVALID_INPUT'],
    ['half of it', () => payload.subarray(0, payload.length / 2), {}, 'INVALID_INPUT'],
  ]
  for (const [title, given, config, code] of wrong) {
    it(`refuses ${title}`, async () => {
      rig = await Rig.start(rowsOf(config))
      rig.send({ _msgid: 'a', payload: given() }, { payload })
      const [caught] = await rig.until('caught')
      assert.deepEqual([caught._msgid, caught.error.code], ['a', code])
      // The next one is none the worse for it.
      await rig.until('out')
    })
  }

  it('refuses what unpacks to more than it may, and numbers that would lose digits', async () => {
    const many = Array.from({ length: 300_000 }, () => ({ n: 2n ** 60n }))
    const bomb = await (await arrow.Batch.from(many, { schema: [{ name: 'n', type: 'int64' }] })).toIPC({
      compression: 'zstd',
    })
    rig = await Rig.start(rowsOf({ maxMb: 1, int64: 'number' }))
    const large = await (await arrow.Batch.from(many.slice(0, 1), { schema: [{ name: 'n', type: 'int64' }] })).toIPC()
    rig.send({ payload: bomb }, { payload: new Uint8Array(bomb) }, { payload: large })
    assert.deepEqual(
      (await rig.until('caught', 3)).map(({ error }) => error.code),
      ['TOO_LARGE', 'TOO_LARGE', 'CONVERSION'],
    )
  })
})

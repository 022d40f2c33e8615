/** What a table has is what was sent, value by value and whichever way; and what it does not take is refused. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { Batch, type Row, ZerobusClient } from '../../nodes/arrow/lib'
import type { Column } from './delta'
import { bytesField, numberField, textField } from './protobuf'
import { columns as columnsOfRig, endAll, open, start, table } from './rig'
import type { ZerobusServer } from './server'

const DELIVERIES = ['flight', 'protobuf', 'json'] as const

const kinds: [name: string, arrow: string, delta: string][] = [
  ['flag', 'bool', 'BOOLEAN'],
  ['tiny', 'int8', 'TINYINT'],
  ['small', 'uint8', 'SMALLINT'],
  ['whole', 'int32', 'INT'],
  ['long', 'int64', 'BIGINT'],
  ['single', 'float32', 'FLOAT'],
  ['real', 'float64', 'DOUBLE'],
  ['text', 'utf8', 'STRING'],
  ['price', 'decimal(10, 2)', 'DECIMAL(10, 2)'],
  ['bytes', 'binary', 'BINARY'],
  ['day', 'date32', 'DATE'],
  ['moment', 'timestamp(us, UTC)', 'TIMESTAMP'],
  ['local', 'timestamp(ms)', 'TIMESTAMP_NTZ'],
  ['list', 'list<int32>', 'ARRAY<INT>'],
  ['days', 'list<date32>', 'ARRAY<DATE>'],
  ['map', 'map<utf8, int64>', 'MAP<STRING, BIGINT>'],
  ['numbered', 'map<int32, utf8>', 'MAP<INT, STRING>'],
  [
    'nested',
    'struct<a: int32, moment: timestamp(us, UTC), inner: struct<price: decimal(5, 1), list: list<utf8>>>',
    'STRUCT<a: INT, moment: TIMESTAMP, inner: STRUCT<price: DECIMAL(5, 1), list: ARRAY<STRING>>>',
  ],
  ['people', 'list<struct<name: utf8, born: date32>>', 'ARRAY<STRUCT<name: STRING, born: DATE>>'],
]
const schema = kinds.map(([name, type]) => ({ name, type }))
const columns: Column[] = kinds.map(([name, , type]) => ({ name, type }))

const full: Row = {
  ...{ flag: true, tiny: -128, small: 255, whole: -(2 ** 31), long: -(2n ** 63n), single: 0.1, real: 1e300 },
  ...{ text: 'é😀\0"\\', price: '-12345678.90', bytes: Buffer.from([0, 255, 128]) },
  ...{ day: '1969-12-31', moment: '2024-02-29T23:59:59.000001Z', local: '9999-12-31T23:59:59.999' },
  ...{ list: [1, -2, 2 ** 31 - 1], days: ['1970-01-02', '2000-02-29'] },
  ...{ map: { a: 1n, '': 2n ** 62n }, numbered: new Map([[-7, 'x']]) },
  nested: { a: 0, moment: '1969-12-31T23:59:59.999999Z', inner: { price: '0.5', list: ['', 'b'] } },
  people: [
    { name: 'Ada', born: '1815-12-10' },
    { name: null, born: null },
  ],
}
const stored = {
  ...{
    flag: true,
    tiny: -128,
    small: 255,
    whole: -(2 ** 31),
    long: -(2n ** 63n),
    single: Math.fround(0.1),
    real: 1e300,
  },
  ...{ text: 'é😀\0"\\', price: '-12345678.90', bytes: Buffer.from([0, 255, 128]) },
  ...{ day: -1, moment: 1_709_251_199_000_001n, local: 253_402_300_799_999_000n },
  ...{ list: [1, -2, 2 ** 31 - 1], days: [1, 11_016] },
  ...{
    map: new Map([
      ['a', 1n],
      ['', 2n ** 62n],
    ]),
    numbered: new Map([[-7, 'x']]),
  },
  nested: { a: 0, moment: -1n, inner: { price: '0.5', list: ['', 'b'] } },
  people: [
    { name: 'Ada', born: -56_270 },
    { name: null, born: null },
  ],
}
const none = Object.fromEntries(kinds.map(([name]) => [name, null]))

describe('the values in the table', () => {
  afterEach(endAll)

  for (const delivery of DELIVERIES) {
    it(`are those that were sent by ${delivery}`, async () => {
      const server = await start({ tables: { [table]: columns } })
      const client = await open(server, { delivery })
      const inside = { nested: { a: null, moment: null, inner: { price: null, list: null } } }
      const { batch, rejected } = await Batch.fromRows([full, {}, inside, { nested: { inner: null } }], { schema })
      assert.deepEqual(rejected, [])
      const result = await client.send(batch)
      assert.equal(result.error, undefined)
      const hollow = { a: null, moment: null, inner: null }
      assert.deepEqual(server.rows(table), [stored, none, { ...none, ...inside }, { ...none, nested: hollow }])
    })

    it(`have their nulls within lists and maps, by ${delivery}`, async () => {
      const server = await start({ tables: { [table]: columns } })
      const client = await open(server, { delivery })
      const rows = [
        { list: [1, null, 3] },
        { map: { a: null, b: 2 } },
        { people: [null, { name: 'x' }] },
        { nested: { inner: { list: [null] } } },
        { list: [], map: {} },
      ]
      const { batch } = await Batch.fromRows(rows, { schema })
      const { successfulRows, failedRows } = await client.send(batch)
      // Protobuf has no way to tell an empty one from none.
      const empty = delivery === 'protobuf' ? none : { ...none, list: [], map: new Map() }
      const people = [null, { name: 'x', born: null }]
      const map = new Map([
        ['a', null],
        ['b', 2n],
      ])
      const inner = { price: null, list: [null] }
      const holed = [
        { ...none, list: [1, null, 3] },
        { ...none, map },
        { ...none, people },
        { ...none, nested: { a: null, moment: null, inner } },
      ]
      // Nor has it one for a null in a list: such a row is told of, and does not come without it.
      const refused = delivery === 'protobuf' ? ['list', 'map', 'people', 'nested'] : []
      assert.deepEqual(
        failedRows.map(({ row, code }) => [row, code]),
        refused.map((_, row) => [row, 'CONVERSION']),
      )
      assert.equal(successfulRows.length, rows.length - refused.length)
      assert.deepEqual(server.rows(table), refused.length > 0 ? [empty] : [...holed, empty])
    })

    it(`lack what was not sent by ${delivery}, if they may`, async () => {
      const wanted: Column[] = [
        { name: 'id', type: 'BIGINT', nullable: false },
        { name: 'more', type: 'STRING' },
      ]
      const server = await start({ tables: { [table]: wanted } })
      const client = await open(server, { delivery })
      const id = { name: 'id', type: 'int64', nullable: false }
      assert.equal((await client.send([{ id: 1 }], { schema: [id] })).error, undefined)
      assert.deepEqual(server.rows(table), [{ id: 1n, more: null }])
      const without = await client.send([{ more: 'x' }], { schema: [{ name: 'more', type: 'utf8' }] })
      assert.equal(without.error?.code, 'REFUSED')
      assert.equal(server.count(table), 1)
    })
  }

  for (const [title, arrow, delta, value] of [
    ['a longer integer', 'int64', 'INT', 1],
    ['an integer for text', 'int32', 'STRING', 1],
    ['text for a moment', 'utf8', 'TIMESTAMP', '2024-01-01T00:00:00Z'],
    ['one for many', 'int32', 'ARRAY<INT>', 1],
    ['many for one', 'list<int32>', 'INT', [1]],
    ['a struct of more', 'struct<a: int32, b: int32>', 'STRUCT<a: INT>', { a: 1, b: 2 }],
    ['a struct of others', 'struct<b: int32>', 'STRUCT<a: INT>', { b: 1 }],
    ['other items', 'list<utf8>', 'ARRAY<INT>', ['x']],
    ['other values in a map', 'map<utf8, utf8>', 'MAP<STRING, INT>', { a: 'x' }],
    ['a map for a struct', 'map<utf8, int32>', 'STRUCT<b: INT>', { a: 1 }],
  ] as const) {
    it(`are of the table's columns: ${title}`, async () => {
      for (const delivery of DELIVERIES) {
        const server = await start({ tables: { [table]: [{ name: 'c', type: delta }] } })
        const client = await open(server, { delivery })
        // Nothing tells in a record of JSON how long an integer may be.
        const fits = delivery === 'json' && arrow === 'int64'
        const { error } = await client.send([{ c: value }], { schema: [{ name: 'c', type: arrow }] })
        assert.equal(error?.code, fits ? undefined : 'REFUSED', delivery)
        assert.equal(server.count(table), fits ? 1 : 0, delivery)
      }
    })
  }
})

/** Says on a stream what the official client never would, and what the server ends it with. */
async function say(server: ZerobusServer, ...requests: object[]): Promise<{ code: status; causes: string[] }> {
  await ZerobusClient.test(server.config(table) as never, [{ name: 'id', type: 'int64', nullable: false }])
  const metadata = new Metadata()
  metadata.set('authorization', server.opened[0]?.authorization ?? '')
  metadata.set('x-databricks-zerobus-table-name', table)
  const service = loadSync(join(__dirname, 'zerobus.proto'), { keepCase: true })['databricks.zerobus.Zerobus']
  const method = (service as ServiceDefinition).EphemeralStream as MethodDefinition<object, object>
  const { path, requestSerialize, responseDeserialize } = method
  const client = new Client(server.endpoint.replace('http://', ''), credentials.createInsecure())
  try {
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata)
    const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve))
    call.on('error', () => {}).on('data', () => {})
    for (const request of requests) call.write(request)
    call.end()
    const { code, metadata: trailers } = await ended
    const [info = ''] = trailers.get('grpc-status-details-bin').map(String)
    assert.equal(info !== '', info.includes('SCHEMA_VALIDATION_FAILED'))
    return { code, causes: CAUSES.filter((cause) => info.includes(cause)) }
  } finally {
    client.close()
  }
}

const CAUSES = [
  ...['FIELD_NOT_IN_TABLE', 'MISSING_REQUIRED_COLUMN', 'FIELD_OUT_OF_ORDER', 'TYPE_INCOMPATIBLE'],
  'FIELD_COUNT_MISMATCH',
]
const readings: Column[] = [
  { name: 'id', type: 'BIGINT', nullable: false },
  { name: 'day', type: 'DATE' },
  { name: 'text', type: 'STRING' },
  { name: 'map', type: 'MAP<STRING, BIGINT>' },
]

/** By the numbers of a descriptor. */
const [INT64, INT32, STRING, MESSAGE, OPTIONAL, REPEATED] = [3, 5, 9, 11, 1, 3]

type FieldOf = [name: string, type: number, label?: number, message?: string]
const fitting: FieldOf[] = [
  ['id', INT64],
  ['day', INT32],
  ['text', STRING],
  ['map', MESSAGE, REPEATED, '.Row.MapEntry'],
]

function messageOf(name: string, fields: FieldOf[], rest: Buffer): Buffer {
  const written = fields.map(([name, type, label = OPTIONAL, message], place) => {
    const parts = [textField(1, name), numberField(3, place + 1), numberField(4, label), numberField(5, type)]
    return bytesField(2, Buffer.concat([...parts, ...(message ? [textField(6, message)] : [])]))
  })
  return Buffer.concat([textField(1, name), ...written, rest])
}

function descriptorOf(fields: FieldOf[]): Buffer {
  const pair: FieldOf[] = [
    ['key', STRING],
    ['value', INT64],
  ]
  const isEntry = bytesField(7, numberField(7, 1))
  return messageOf('Row', fields, bytesField(3, messageOf('MapEntry', pair, isEntry)))
}

const create = (record_type: string, descriptor_proto?: Buffer) => ({
  create_stream: { table_name: table, record_type, ...(descriptor_proto && { descriptor_proto }) },
})

describe('the Zerobus server of the tests', () => {
  afterEach(endAll)

  const records = async (form: 'PROTO' | 'JSON', ...sent: (string | number[])[]) => {
    const server = await start({ tables: { [table]: readings } })
    const requests = sent.map((record, offset_id) => ({
      ingest_record: {
        offset_id,
        ...(typeof record === 'string' ? { json_record: record } : { proto_encoded_record: Buffer.from(record) }),
      },
    }))
    const { code } = await say(server, create(form, form === 'PROTO' ? descriptorOf(fitting) : undefined), ...requests)
    return { code, rows: server.rows(table) }
  }

  it('keeps what it reads', async () => {
    const expected = { id: -1n, day: 3, text: 'é', map: new Map([['k', 7n]]) }
    const record = [8, ...Array(9).fill(255), 1, 16, 3, 26, 2, 0xc3, 0xa9, 34, 5, 10, 1, 0x6b, 16, 7]
    const [protobuf, json] = [
      await records('PROTO', record, [8, 5]),
      await records('JSON', '{"id":-1,"day":3,"text":"é","map":{"k":7}}', '{"id":5}'),
    ]
    const rows = [expected, { id: 5n, day: null, text: null, map: null }]
    for (const found of [protobuf, json]) assert.deepEqual(found, { code: status.OK, rows })
  })

  for (const [title, record] of [
    ['a field that its descriptor does not have', [8, 5, 40, 1]],
    ['another kind of field', [10, 1, 65]],
    ['a record that ends too early', [8, 5, 26, 9, 65]],
    ['a number without an end', [8, ...Array(10).fill(255)]],
    ['no required value', [16, 3]],
    ['a day out of range', [8, 5, 16, 255, 255, 255, 255, 255, 1]],
    ['text that is none', [8, 5, 26, 1, 255]],
    ['an entry without a value', [8, 5, 34, 3, 10, 1, 65]],
    ['JSON', '{"id":5}'],
  ] as const) {
    it(`refuses as a Protobuf record: ${title}`, async () => {
      const { code, rows } = await records('PROTO', [8, 4], record as string)
      assert.deepEqual([code, rows.map(({ id }) => id)], [status.INVALID_ARGUMENT, [4n]])
    })
  }

  for (const [title, record] of [
    ['an unknown column', '{"id":5,"other":1}'],
    ['text for an integer', '{"id":"5"}'],
    ['a fraction', '{"id":5.5}'],
    ['more than 64 bits', '{"id":9223372036854775808}'],
    ['a date in words', '{"id":5,"day":"2024-01-01"}'],
    ['no required value', '{"day":3}'],
    ['null for one', '{"id":null}'],
    ['a number for text', '{"id":5,"text":5}'],
    ['pairs for a map', '{"id":5,"map":[["a",1]]}'],
    ['an array', '[5]'],
    ['no JSON', '{"id":5'],
    ['a number that is none', '{"id":05}'],
    ['Protobuf', [8, 5]],
  ] as const) {
    it(`refuses as a JSON record: ${title}`, async () => {
      const { code, rows } = await records('JSON', '{"id":4}', record as string)
      assert.deepEqual([code, rows.map(({ id }) => id)], [status.INVALID_ARGUMENT, [4n]])
    })
  }

  for (const [title, fields, ...causes] of [
    ['a column more', [...fitting, ['other', INT32]], 'FIELD_NOT_IN_TABLE', 'FIELD_COUNT_MISMATCH'],
    ['another type', [['id', INT32]], 'TYPE_INCOMPATIBLE'],
    ['no required column', fitting.slice(1), 'MISSING_REQUIRED_COLUMN'],
    ['many for one', [['id', INT64, REPEATED]], 'TYPE_INCOMPATIBLE'],
    [
      'all at once',
      [
        ['other', INT32],
        ['day', INT64],
      ],
      ...CAUSES.slice(0, 2),
      'TYPE_INCOMPATIBLE',
    ],
  ] as [string, FieldOf[], ...string[]][]) {
    it(`refuses a descriptor with ${title}`, async () => {
      const server = await start({ tables: { [table]: readings } })
      const expected = { code: status.INVALID_ARGUMENT, causes }
      assert.deepEqual(await say(server, create('PROTO', descriptorOf(fields))), expected)
    })
  }

  it('refuses a descriptor that is none, and a form that it does not know', async () => {
    const server = await start({ tables: { [table]: readings } })
    const expected = { code: status.INVALID_ARGUMENT, causes: [] }
    for (const wrong of [create('PROTO'), create('PROTO', Buffer.from([10, 9])), create('AVRO')]) {
      assert.deepEqual(await say(server, wrong), expected)
    }
  })

  it('refuses columns out of their order, and more of them, from Arrow', async () => {
    const server = await start()
    for (const [schema, causes] of [
      [[...columnsOfRig].reverse(), 'FieldOutOfOrder'],
      [[...columnsOfRig, { name: 'more', type: 'utf8' }], 'FieldCountMismatch, FieldNotInTable'],
      [columnsOfRig.map(({ name, type }) => ({ name, type })), 'TypeIncompatible'],
    ] as const) {
      const { errorKind, error } = await (await open(server)).send([{ id: 1 }], { schema: schema as never })
      assert.equal(errorKind, 'schema')
      assert.ok(error?.message.includes(`(${causes})`), error?.message)
    }
  })
})

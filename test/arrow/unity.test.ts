import assert from 'node:assert/strict'
import { Batch, Schema } from '../../nodes/arrow/lib'
import { endAll, open, start, table } from '../zerobus/rig'

const typeOf = (type_text: string) => Schema.ofUnityCatalog([{ name: 'x', type_text }]).columns[0]?.type

describe('columns as Unity Catalog tells them', () => {
  afterEach(endAll)

  for (const [given, type] of [
    ['boolean', 'bool'],
    ['tinyint', 'int8'],
    ['smallint', 'int16'],
    ['INT', 'int32'],
    ['bigint', 'int64'],
    ['float', 'float32'],
    ['double', 'float64'],
    ['string', 'utf8'],
    ['varchar(20)', 'utf8'],
    ['binary', 'binary'],
    ['date', 'date32'],
    ['timestamp', 'timestamp(us, UTC)'],
    ['timestamp_ntz', 'timestamp(us)'],
    ['decimal(10,2)', 'decimal(10, 2)'],
    ['decimal', 'decimal(10, 0)'],
    ['array<array<int>>', 'list<list<int32>>'],
    ['map<string,decimal(38, 18)>', 'map<utf8, decimal(38, 18)>'],
    ['struct<a:int,`b: c`:array<struct<d``:string>>>', undefined],
    ['struct<a:int,`b: c`:array<struct<`d```:string>>>', 'struct<a: int32, "b: c": list<struct<"d`": utf8>>>'],
    ['struct<>', 'struct<>'],
  ] as const) {
    it(given, () => {
      if (type === undefined) assert.throws(() => typeOf(given), { code: 'INVALID_OPTION' })
      else assert.equal(typeOf(given), type)
    })
  }

  for (const odd of [
    ...[
      '',
      'variant',
      'interval day',
      'array',
      'array<int',
      'array<int>>',
      'map<int>',
      'struct<a>',
      'struct<a:int b:int>',
    ],
    ...['decimal(', 'list<int>', '`', 'constructor', `${'array<'.repeat(100)}int${'>'.repeat(100)}`],
  ]) {
    it(`refuses ${odd.slice(0, 30)}`, () => {
      assert.throws(() => typeOf(odd), { code: 'INVALID_OPTION' })
    })
  }

  it('have a variant as JSON where its type is given as a text, by Protobuf; else it is told what to do', async () => {
    const told = [
      { name: 'id', type_text: 'bigint', nullable: false },
      { name: 'more', type_text: 'variant' },
    ]
    assert.throws(
      () => Schema.ofUnityCatalog(told),
      ({ code, message }: { code: string; message: string }) => {
        assert.ok(message.includes("column 'more'") && message.includes("type_text as 'string'"), message)
        return code === 'INVALID_OPTION'
      },
    )
    const columns = [
      { name: 'id', type: 'BIGINT', nullable: false },
      { name: 'more', type: 'VARIANT' },
    ]
    const server = await start({ tables: { [table]: columns } })
    const schema = Schema.ofUnityCatalog(
      told.map((column) => (column.type_text === 'variant' ? { ...column, type_text: 'string' } : column)),
    )
    const row = { id: 1, more: '{"a":[1,null]}' }
    const byFlight = await (await open(server)).send([row], { schema })
    assert.deepEqual([byFlight.error?.code, byFlight.errorKind], ['REFUSED', 'schema'])
    const byProtobuf = await (await open(server, { delivery: 'protobuf' })).send([row], { schema })
    assert.equal(byProtobuf.error, undefined)
    assert.deepEqual(server.rows(table), [{ id: 1n, more: row.more }])
  })

  it('are a list, as the API tells them', () => {
    for (const none of [5, null, [5], [{ name: 'id' }]]) {
      assert.throws(() => Schema.ofUnityCatalog(none as never), {
        code: 'INVALID_OPTION',
        message: /^the columns are /,
      })
    }
  })

  it('are in the order of the table, and take nulls or not', async () => {
    const schema = Schema.ofUnityCatalog([
      { name: 'value', type_text: 'decimal(5,1)', nullable: true, position: 1 },
      { name: 'id', type_text: 'bigint', nullable: false, position: 0 },
    ])
    assert.equal(String(schema), 'id: int64!, value: decimal(5, 1)')
    const { batch, rejected } = await Batch.fromRows([{ id: 1, value: '12.5' }, { value: 1 }], { schema })
    assert.deepEqual([batch.numRows, rejected.length], [1, 1])
  })
})

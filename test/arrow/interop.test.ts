/** What others write we read, and what we write others read: npm's apache-arrow, both ways. */
import assert from 'node:assert/strict'
import {
  Binary,
  BinaryView,
  Bool,
  CompressionType,
  compressionRegistry,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeBinary,
  LargeList,
  LargeUtf8,
  List,
  Map_,
  makeBuilder,
  Null,
  type RecordBatch,
  Struct,
  Table,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  TimeSecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableFromIPC,
  tableFromJSON,
  tableToIPC,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Utf8View,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import { decompress as unzstd } from 'fzstd'
import { arrow } from '../../nodes'
import { fieldByField } from '../../nodes/arrow/lib/foreign'

const lz4 = require('lz4js') as Record<'compress' | 'decompress', (bytes: Uint8Array) => Uint8Array>

before(() => {
  compressionRegistry.set(CompressionType.LZ4_FRAME, {
    encode: (bytes) => lz4.compress(bytes),
    decode: (bytes) => Uint8Array.from(lz4.decompress(bytes)),
  })
  compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => Uint8Array.from(unzstd(bytes)) })
})

type Case = [name: string, type: DataType, given: unknown[], ours: unknown[]]
const bytes = (...items: number[]) => Uint8Array.from(items)
const decimal = new Decimal(2, 10)
const int8 = (name = 'item') => new Field(name, new Int8(), true)
const cases: Case[] = [
  ['null', new Null(), [], []],
  ['bool', new Bool(), [true, false], [true, false]],
  ['int8', new Int8(), [-128, 127], [-128, 127]],
  ['int16', new Int16(), [-32768], [-32768]],
  ['int32', new Int32(), [-(2 ** 31)], [-(2 ** 31)]],
  ['int64', new Int64(), [-(2n ** 63n)], [-(2n ** 63n)]],
  ['uint8', new Uint8(), [255], [255]],
  ['uint16', new Uint16(), [65535], [65535]],
  ['uint32', new Uint32(), [2 ** 32 - 1], [2 ** 32 - 1]],
  ['uint64', new Uint64(), [2n ** 64n - 1n], [2n ** 64n - 1n]],
  ['float16', new Float16(), [0.5, -2], [0.5, -2]],
  ['float32', new Float32(), [0.5, Number.NaN], [0.5, Number.NaN]],
  ['float64', new Float64(), [0.1, Number.NEGATIVE_INFINITY], [0.1, Number.NEGATIVE_INFINITY]],
  [
    'decimal(10, 2)',
    decimal,
    [new Uint32Array([150, 0, 0, 0]), new Uint32Array([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff])],
    ['1.50', '-0.01'],
  ],
  ['utf8', new Utf8(), ['', 'é😀', 'longer than twelve bytes'], ['', 'é😀', 'longer than twelve bytes']],
  ['large-utf8', new LargeUtf8(), ['x', 'yz'], ['x', 'yz']],
  ['binary', new Binary(), [bytes(0, 255)], [Buffer.from([0, 255])]],
  ['large-binary', new LargeBinary(), [bytes(1)], [Buffer.from([1])]],
  ['utf8-view', new Utf8View(), ['', 'é😀', 'longer than twelve bytes'], ['', 'é😀', 'longer than twelve bytes']],
  [
    'binary-view',
    new BinaryView(),
    [bytes(0, 255), new Uint8Array(13).fill(7)],
    [Buffer.from([0, 255]), Buffer.alloc(13, 7)],
  ],
  ['fixed-binary(2)', new FixedSizeBinary(2), [bytes(1, 2)], [Buffer.from([1, 2])]],
  ['date32', new DateDay(), [new Date(86_400_000)], ['1970-01-02']],
  ['date64', new DateMillisecond(), [new Date(86_400_000)], ['1970-01-02']],
  ['time(s)', new TimeSecond(), [61], ['00:01:01']],
  ['time(ms)', new TimeMillisecond(), [61], ['00:00:00.061']],
  ['time(us)', new TimeMicrosecond(), [61n], ['00:00:00.000061']],
  ['time(ns)', new TimeNanosecond(), [61n], ['00:00:00.000000061']],
  ['timestamp(s)', new TimestampSecond(), [5000], ['1970-01-01T00:00:05']],
  ['timestamp(ms, UTC)', new TimestampMillisecond('UTC'), [5], ['1970-01-01T00:00:00.005Z']],
  ['timestamp(us)', new TimestampMicrosecond(), [5], ['1970-01-01T00:00:00.005000']],
  ['timestamp(ns)', new TimestampNanosecond(), [5], ['1970-01-01T00:00:00.005000000']],
  ['list<int8>', new List(int8()), [[1, null], []], [[1, null], []]],
  ['large-list<int8>', new LargeList(int8()), [[1, null], []], [[1, null], []]],
  ['fixed-list(2)<int8>', new FixedSizeList(2, int8()), [[1, 2]], [[1, 2]]],
  [
    'struct<x: int8, y: utf8>',
    new Struct([int8('x'), new Field('y', new Utf8(), true)] as never),
    [{ x: 1, y: 'z' }],
    [{ x: 1, y: 'z' }],
  ],
  [
    'map<utf8, int8>',
    new Map_(
      new Field('entries', new Struct([new Field('key', new Utf8(), false), int8('value')] as never), false) as never,
    ),
    [new Map([['k', 1]])],
    [{ k: 1 }],
  ],
  ['dictionary<utf8>', new Dictionary(new Utf8(), new Int32()), ['a', 'b', 'a'], ['a', 'b', 'a']],
]

function vectorOf(type: DataType, given: unknown[]): Vector {
  const builder = makeBuilder({ type, nullValues: [null, undefined] as never })
  for (const value of given) builder.append(value as never)
  return builder.finish().toVector()
}

const ours = async (batch: arrow.Batch) => (await batch.toRows()).map(({ c }) => c)
const alike = (a: unknown, b: unknown) => assert.deepEqual(plain(a), plain(b))
/** What both sides call the same value. */
function plain(value: unknown): unknown {
  if (value instanceof Vector) return [...value].map(plain)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (ArrayBuffer.isView(value)) return [...(value as Uint32Array)].map(plain)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Date) return value.getTime()
  if (value !== null && typeof value === 'object') {
    const object = (value as { toJSON?(): object }).toJSON?.() ?? value
    const pairs = value instanceof Map ? [...value] : Object.entries(object)
    return Object.fromEntries(pairs.map(([name, item]) => [name, plain(item)]))
  }
  return value
}

describe('what apache-arrow writes', () => {
  for (const [name, type, given, expected] of cases) {
    const table = () => new Table({ c: vectorOf(type, [null, ...given, null]) })

    it(`is read: ${name}`, async () => {
      for (const form of ['stream', 'file'] as const) {
        const batch = await arrow.Batch.fromIPC(tableToIPC(table(), form))
        assert.equal(batch.schema.columns[0]?.type, name)
        assert.deepEqual(await ours(batch), [null, ...expected, null])
      }
    })

    // A slice of nulls says there that it has -1 of them; one of views has too few bytes.
    if (!['null', 'utf8-view', 'binary-view'].includes(name))
      it(`is read from a slice: ${name}`, async () => {
        const batch = await arrow.Batch.fromIPC(tableToIPC(table().slice(1, 1 + given.length), 'stream'))
        assert.deepEqual(await ours(batch), expected)
      })

    it(`is taken as it is, and field by field: ${name}`, async () => {
      assert.deepEqual(await ours(await arrow.Batch.from(table())), [null, ...expected, null])
      const slice = await arrow.Batch.from(name === 'null' ? table() : table().slice(1, 1 + given.length))
      assert.deepEqual(await ours(slice), name === 'null' ? [null, null] : expected)
      const [part] = table().batches as [RecordBatch]
      assert.deepEqual(await ours(await arrow.Batch.from(part)), [null, ...expected, null])
      for (const source of [table(), table().slice(1, 1 + given.length), part]) {
        const { rows, schema } = fieldByField(source as never)
        assert.equal(String(arrow.Schema.of([schema[0] as arrow.Column])), `c: ${name}`)
        const read = await ours(await arrow.Batch.from(rows, { schema }))
        assert.deepEqual(read, source.numRows === given.length ? expected : [null, ...expected, null])
      }
    })

    it(`is written back as it was: ${name}`, async () => {
      const batch = await arrow.Batch.from(table())
      for (const options of [{}, { form: 'file' }, { compression: 'lz4' }, { compression: 'zstd' }] as const) {
        const back = tableFromIPC(await batch.toIPC(options))
        alike(back.getChild('c'), table().getChild('c'))
        const part = tableFromIPC(await batch.slice(1, 1 + given.length).toIPC(options))
        alike(
          part.getChild('c'),
          table()
            .getChild('c')
            ?.slice(1, 1 + given.length),
        )
      }
    })
  }

  describe('as decimals', () => {
    /** Their bits, in words of 32. */
    const words = (bits: number, value: bigint) =>
      Uint32Array.from({ length: bits / 32 }, (_, place) => Number(BigInt.asUintN(32, value >> BigInt(32 * place))))
    const of = (bits: number, precision: number, values: (bigint | null)[], scale = 2) => {
      const given = values.map((value) => (value === null ? null : words(bits, value)))
      return new Table({ c: vectorOf(new Decimal(scale, precision, bits), given) })
    }
    const most = 10n ** 38n - 1n
    const text = (value: bigint) => `${value / 100n}.${String(value % 100n).padStart(2, '0')}`

    for (const [bits, precision, given, expected] of [
      [32, 9, [150n, -1n, null, 999_999_999n, 7n], ['1.50', '-0.01', null, '9999999.99', '0.07']],
      [64, 18, [150n, -(10n ** 18n) + 1n, null, 7n], ['1.50', `-${text(10n ** 18n - 1n)}`, null, '0.07']],
      [128, 38, [most, -1n, null], [text(most), '-0.01', null]],
      [256, 76, [most, -most, null, 7n], [text(most), `-${text(most)}`, null, '0.07']],
    ] as const) {
      it(`of ${bits} bits: widened, or made narrower where they fit`, async () => {
        const table = of(bits, precision, [...given])
        for (const source of [table, table.batches[0] as RecordBatch]) {
          const batch = await arrow.Batch.from(source)
          assert.equal(batch.schema.columns[0]?.type, `decimal(${Math.min(precision, 38)}, 2)`)
          assert.deepEqual(await ours(batch), expected)
        }
        const part = await arrow.Batch.from(table.slice(1, 3))
        assert.deepEqual(await ours(part), expected.slice(1, 3))
        const { rows } = fieldByField(table as never)
        assert.deepEqual(
          rows.map(({ c }) => c),
          expected,
        )
      })
    }

    it('that do not fit are told of where they lie', async () => {
      await assert.rejects(arrow.Batch.from(of(256, 76, [1n, most + 1n])), ({ code, message }: arrow.RowError) => {
        assert.match(message, /^row 1, column c: '10{36}\.00' is beyond/)
        return code === 'CONVERSION'
      })
      await assert.rejects(arrow.Batch.from(of(256, 76, [1n], 40)), { code: 'INVALID_OPTION', message: /column 'c'/ })
    })
  })

  it('is read or refused where it is compressed, and never something else', async () => {
    // That package writes the packed size where the format has the unpacked one; what did not get smaller is right.
    const of = (given: number[]) => new Table({ c: vectorFromArray(given, new Int32()) })
    const write = (given: number[]) => tableToIPC(of(given), 'stream', CompressionType.LZ4_FRAME as never)
    assert.deepEqual(await ours(await arrow.Batch.fromIPC(write([1]))), [1])
    await assert.rejects(arrow.Batch.fromIPC(write(Array.from({ length: 1000 }, () => 7))), { code: 'INVALID_INPUT' })
  })

  it('is read where it is compressed as the format has it', async () => {
    const given = Array.from({ length: 1000 }, () => 0x07070707)
    // A frame of one block that repeats one byte.
    const repeated = ({ length, 0: byte = 0 }: Uint8Array) => {
      const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0, 0, 0, 0, byte])
      frame.writeUInt32LE(length, 5)
      frame.writeUIntLE((length << 3) | (1 << 1) | 1, 9, 3)
      return frame
    }
    for (const [type, pack] of [
      [CompressionType.LZ4_FRAME, lz4.compress],
      [CompressionType.ZSTD, repeated],
    ] as const) {
      const before = compressionRegistry.get(type)
      const done: { packed: Buffer; length: number }[] = []
      const encode = (raw: Uint8Array) => {
        const packed = Buffer.from(pack(raw))
        if (packed.length < raw.length) done.push({ packed, length: raw.length })
        return packed
      }
      compressionRegistry.set(type, { ...before, encode } as never)
      const table = new Table({ c: vectorFromArray(given, new Int32()) })
      const written = Buffer.from(tableToIPC(table, 'stream', type as never))
      compressionRegistry.set(type, before as never)
      // What that package says of the size is put right.
      for (const { packed, length } of done) {
        const at = written.indexOf(packed)
        assert.ok(at > 8)
        written.writeBigInt64LE(BigInt(length), at - 8)
      }
      assert.equal(done.length, 1)
      assert.deepEqual(await ours(await arrow.Batch.fromIPC(written)), given)
    }
  })

  it('is read in several batches, each with its own dictionary, and without rows', async () => {
    const texts = (...all: string[]) => new Table({ c: vectorFromArray(all, new Dictionary(new Utf8(), new Int32())) })
    const both = texts('a', 'b').concat(texts('c', 'a'))
    assert.deepEqual(await ours(await arrow.Batch.from(both)), ['a', 'b', 'c', 'a'])
    const empty = tableFromJSON([{ c: 1 }]).slice(0, 0)
    assert.deepEqual(await ours(await arrow.Batch.from(empty)), [])
  })

  it('is read in slices that do not say how many nulls a column of nulls has', async () => {
    const nulls = vectorFromArray([null, null, null], new Null())
    const ids = vectorFromArray([1, 2, 3], new Int32())
    const inside = vectorFromArray([{ x: null }, null, { x: null }], new Struct([new Field('x', new Null(), true)]))
    const lists = vectorFromArray([[null], [], [null, null]], new List(new Field('item', new Null(), true)))
    const table = new Table({ nulls, ids, inside, lists })
    const rows = await (await arrow.Batch.from(table)).toRows()
    assert.deepEqual(rows[2], { nulls: null, ids: 3, inside: { x: null }, lists: [null, null] })
    for (const [from, to] of [
      [1, 3],
      [0, 2],
      [0, 0],
    ] as const) {
      const slice = table.slice(from, to)
      const expected = rows.slice(from, to)
      assert.deepEqual(await (await arrow.Batch.from(slice)).toRows(), expected)
      for (const form of ['stream', 'file'] as const) {
        assert.deepEqual(await (await arrow.Batch.fromIPC(tableToIPC(slice, form))).toRows(), expected, form)
      }
    }
    const [first] = tableFromIPC(tableToIPC(table)).batches
    assert.deepEqual(await (await arrow.Batch.from((first as RecordBatch).slice(1))).toRows(), rows.slice(1))
  })

  it('has lists in its rows, which are lists of ours', async () => {
    const schema = [{ name: 'c', type: 'struct<l: list<int8>, m: list<struct<t: list<utf8>>>>' }]
    const given = [
      { c: { l: [1, null, 3], m: [{ t: ['a', null] }, null] } },
      { c: { l: [], m: null } },
      { c: null },
      { c: { l: null, m: [{ t: [] }] } },
    ]
    const table = tableFromIPC(await (await arrow.Batch.from(given, { schema })).toIPC())
    const rows = table.toArray() as arrow.Row[]
    assert.deepEqual(await (await arrow.Batch.from(rows, { schema })).toRows(), given)
    const inferred = await arrow.Schema.infer(rows)
    assert.equal(String(inferred), 'c: struct<l: list<int64>, m: list<struct<t: list<utf8>>>>')
    const whole = await arrow.Batch.from(table.toArray().map((row) => row?.toJSON()) as arrow.Row[], { schema })
    assert.deepEqual(await whole.toRows(), given)
  })

  it('has decimals without their scale in its rows, which are row errors, and no lists', async () => {
    const schema = [{ name: 'c', type: 'decimal(10, 2)' }]
    const table = tableFromIPC(await (await arrow.Batch.from([{ c: '12.34' }, { c: null }], { schema })).toIPC())
    for (const options of [{}, { schema }]) {
      const { batch, rejected } = await arrow.Batch.fromRows(table.toArray() as arrow.Row[], options)
      assert.deepEqual(await batch.toRows(), [{ c: null }])
      assert.deepEqual(
        rejected.map(({ message }) => message),
        [
          'row 0, column c: 1234, a decimal without its scale (give the table, not its rows), ' +
            'is of a kind that the column does not take',
        ],
      )
    }
    assert.deepEqual(await (await arrow.Batch.from(table)).toRows(), [{ c: '12.34' }, { c: null }])
  })

  it('a type that is not taken is said by name', async () => {
    const { DurationSecond } = require('apache-arrow') as { DurationSecond: new () => DataType }
    const table = new Table({ c: vectorOf(new DurationSecond(), [1n]) })
    await assert.rejects(arrow.Batch.from(table), /Duration/)
    assert.throws(() => fieldByField(table as never), /18/)
  })
})

describe('what we write', () => {
  it('is read without rows, and in parts with dictionaries', async () => {
    const schema = [{ name: 'c', type: 'dictionary<utf8>' }]
    const a = await arrow.Batch.from([{ c: 'x' }, { c: 'y' }], { schema })
    const b = await arrow.Batch.from([{ c: 'z' }, { c: 'x' }], { schema })
    for (const form of ['stream', 'file'] as const) {
      const joined = tableFromIPC(await arrow.Batch.join(a.schema, [a, b]).toIPC({ form }))
      assert.deepEqual([...(joined.getChild('c') ?? [])], ['x', 'y', 'z', 'x'])
      const empty = tableFromIPC(await a.slice(0, 0).toIPC({ form }))
      assert.deepEqual([empty.numRows, empty.schema.fields.length], [0, 1])
    }
  })
})

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import vm from 'node:vm'
import { arrow, EngineError } from '../../nodes'
import { Inferred } from '../../nodes/arrow/lib/inferred'
import { Packer } from '../../nodes/arrow/lib/packer'
import { generator } from '../shared/random'
import { temporary } from './rig'

const { Batch, BatchBuilder, FileWriter, Schema, Spool } = arrow
const one = (type: string, nullable = true) => [{ name: 'c', type, nullable }]
const fails = (code: string) => (error: unknown) => error instanceof EngineError && error.code === code
const values = async (batch: arrow.Batch, options?: arrow.RowOptions) => (await batch.toRows(options)).map(({ c }) => c)

/** Rows that take their time, and the most of them that were read in one turn of the event loop. */
function watched(count: number): { rows: arrow.Row[]; most: () => number } {
  let turn = 0
  const next = () => {
    turn += 1
    if (read.length < count) setImmediate(next)
  }
  setImmediate(next)
  const read: number[] = []
  const rows = Array.from({ length: count }, (_, n) => ({
    get é() {
      read.push(turn)
      const until = performance.now() + 0.1
      while (performance.now() < until);
      return n
    },
    t: `text ${n}`,
  }))
  const perTurn = () => read.map((one) => read.filter((other) => other === one).length)
  return { rows, most: () => Math.max(...perTurn()) }
}

describe('arrow.Schema', () => {
  it('is declared in three ways', async () => {
    const declared = Schema.of([
      { name: 'a', type: 'int32', nullable: false, metadata: { unit: 'm' } },
      { name: 'b', type: 'list<utf8>' },
    ])
    assert.equal(String(declared), 'a: int32!, b: list<utf8>')
    assert.deepEqual(declared.names, ['a', 'b'])
    assert.ok(Schema.of(JSON.parse(JSON.stringify(declared))).equals(declared))
    assert.ok((await Schema.fromIPC(declared.toIPC())).equals(declared))
    assert.equal(Schema.of(declared), declared)
    const json = {
      fields: [{ name: 'x', nullable: true, type: { name: 'floatingpoint', precision: 'DOUBLE' }, children: [] }],
    }
    assert.equal(String(Schema.of(json)), 'x: float64')
    assert.throws(() => Schema.of([{ name: 'a', type: 'integer' }]), fails('INVALID_OPTION'))
    assert.throws(() => Schema.of(Buffer.alloc(0) as never), fails('INVALID_OPTION'))
    for (const none of [undefined, null, 'a']) {
      assert.throws(() => Schema.of(none as never), { code: 'INVALID_OPTION', message: /^schema: .* expected a list$/ })
    }
    await assert.rejects(Schema.fromIPC(Buffer.from('x')), fails('INVALID_INPUT'))
    const handedOn = new Uint8Array(8)
    structuredClone(handedOn, { transfer: [handedOn.buffer] })
    await assert.rejects(Schema.fromIPC(handedOn), fails('INVALID_INPUT'))
    await assert.rejects(Schema.fromIPC('x' as never), fails('INVALID_INPUT'))
  })

  it('is inferred from rows', async () => {
    const rows = [
      { n: 1, s: 'x', d: new Date(0), b: Buffer.alloc(1), l: [1, 0.5], m: new Map([['k', 1n]]), o: { p: true } },
    ]
    const schema = await Schema.infer(rows)
    const expected =
      'n: int64, s: utf8, d: timestamp(ms, UTC), b: binary, l: list<float64>, m: map<utf8, int64>, o: struct<p: bool>'
    assert.equal(String(schema), expected)
    await assert.rejects(Schema.infer([]), fails('INVALID_OPTION'))
    await assert.rejects(Schema.infer([5 as never]), fails('CONVERSION'))
    const sparse = [null, {}, { a: 'é', b: '' }, { a: '\ud800' }, { c: new ArrayBuffer(9), a: '' }]
    assert.equal(String(await Schema.infer(sparse as never)), 'a: utf8, b: utf8, c: binary')
    assert.equal(String(await Schema.infer([{ a: null, b: [] }, {}])), 'a: null, b: list<utf8>')
  })

  it('has the first kind of each column, and values of others are row errors', async () => {
    const rows = [{ t: 20, at: null }, { t: 21.5 }, { t: 'warm' }, { t: 22, at: new Date(0) }, { at: 'now' }]
    const { batch, rejected } = await Batch.fromRows(rows)
    assert.equal(String(batch.schema), 't: float64, at: timestamp(ms, UTC)')
    assert.deepEqual(
      (await batch.toRows()).map(({ t }) => t),
      [20, 21.5, 22],
    )
    const told = rejected.map(({ row, column, value, reason, code }) => [row, column, value, reason, code])
    assert.deepEqual(told, [
      [2, 't', 'warm', 'form', 'CONVERSION'],
      [4, 'at', 'now', 'form', 'CONVERSION'],
    ])
  })

  it('says in the errors of later rows that it was inferred, and how to do better', async () => {
    const rows = [
      { n: 1, at: new Date(0), o: { x: 1 } },
      { n: 21.5 },
      { at: 'now' },
      { o: { x: 0.5 } },
      { other: 1 },
      { o: { other: 1 } },
      null,
    ]
    const messages = async (schema: arrow.Schema) =>
      (await Batch.fromRows(rows as never, { schema })).rejected.map(({ message }) => message)
    const schema = await Schema.infer(rows.slice(0, 1) as never)
    const whys = [
      'row 1, column n: 21.5 is finer than the column can hold',
      "row 2, column at: 'now' is no text of the form that the column needs",
      'row 3, column o.x: 0.5 is finer than the column can hold',
      'row 4, column other: 1 is in no column of the schema',
      'row 5, column o.other: 1 is in no column of the schema',
      'row 6: null is of a kind that the column does not take',
    ]
    const ways = [
      '; the first rows made the column int64: declare it float64',
      '; the first rows made the column timestamp(ms, UTC): declare it where it has to be another',
      '; the first rows told its type: declare the column',
      ', which the first rows told; declare its columns',
      ', which the first rows told; declare its columns',
      '',
    ]
    assert.deepEqual(
      await messages(schema),
      whys.map((why, place) => `${why}${ways[place]}`),
    )
    assert.deepEqual(await messages(Schema.of(schema.columns)), whys)
    const inferred = new Inferred()
    await inferred.of([{ n: 1, t: null }])
    const { rejected } = await Batch.fromRows([{ n: 0.5 }], { schema: await inferred.of([{ t: 'x' }]) })
    assert.match(rejected[0]?.message ?? '', /declare it float64$/)
  })

  it('of a column of nulls is told by the first rows with a value there, and then stays', async () => {
    const inferred = new Inferred()
    await assert.rejects(inferred.of([5 as never]), fails('CONVERSION'))
    const calls = [
      [{ id: 1, t: null, s: null }],
      [{ id: 2.5, t: new Date(Number.NaN) }, null],
      [{ t: null }, { t: 20 }, { t: 21.5 }, { t: 'warm', other: 1 }],
      [{ t: 'warm', s: 'on' }],
    ]
    const schemas = await Promise.all(calls.map((rows) => inferred.of(rows as never)))
    assert.deepEqual(schemas.map(String), [
      'id: int64, t: null, s: null',
      'id: int64, t: null, s: null',
      'id: int64, t: float64, s: null',
      'id: int64, t: float64, s: utf8',
    ])
    assert.equal(await inferred.of([{ t: true }]), schemas[3])
  })

  it('is inferred beside what no column takes, which becomes row errors', async () => {
    const rows = [null, { at: new Date(Number.NaN) }, { at: new Date(0) }, { at: new Set() }, 'x', { n: [1, () => 1] }]
    const { batch, rejected } = await Batch.fromRows(rows as never)
    assert.equal(String(batch.schema), 'at: timestamp(ms, UTC), n: list<int64>')
    assert.deepEqual(await batch.toRows(), [{ at: '1970-01-01T00:00:00.000Z', n: null }])
    assert.deepEqual(
      rejected.map(({ row, column }) => [row, column]),
      [
        [0, ''],
        [1, 'at'],
        [3, 'at'],
        [4, ''],
        [5, 'n[1]'],
      ],
    )
  })

  it('is inferred slice by slice, so that others have the thread between', async () => {
    const { rows, most } = watched(640)
    assert.equal(String(await Schema.infer(rows)), 'é: int64, t: utf8')
    assert.ok(most() <= 64, `${most()} rows in one turn`)
  })

  it('is inferred from few rows where they are very large', async () => {
    let read = 0
    const large = Array.from({ length: 100_000 }, (_, n) => n)
    const rows = Array.from({ length: 100 }, () => ({
      get c() {
        read += 1
        return large
      },
    }))
    assert.equal(String(await Schema.infer(rows)), 'c: list<int64>')
    assert.ok(read < 20, `${read} rows`)
  })
})

describe('arrow.Batch', () => {
  const cases: [type: string, given: unknown[], expected?: unknown[]][] = [
    ['int64', [1, 2n ** 62n, -1n], [1n, 2n ** 62n, -1n]],
    ['uint64', [2n ** 64n - 1n]],
    ['float64', [0.1, -0, Number.NaN, Number.POSITIVE_INFINITY]],
    ['float32', [0.1, 2], [Math.fround(0.1), 2]],
    ['decimal(38, 1)', [10n ** 36n, 0.5], [`1${'0'.repeat(36)}.0`, '0.5']],
    ['utf8', ['', 'a', 'é', '😀', 'x'.repeat(33), 'é'.repeat(40), 'a', 'a', '\0']],
    [
      'binary',
      [Buffer.from([0, 255]), new Uint8Array([1]), new ArrayBuffer(2)],
      [Buffer.from([0, 255]), Buffer.from([1]), Buffer.alloc(2)],
    ],
    ['timestamp(ms, UTC)', [new Date(-1)], ['1969-12-31T23:59:59.999Z']],
    ['list<float64>', [new Float64Array([1, 2]), [null]], [[1, 2], [null]]],
    ['list<int64>', [new BigInt64Array([1n]), []], [[1n], []]],
    [
      'map<utf8, int64>',
      [new Map([['__proto__', 1n]]), { a: 2n }],
      [JSON.parse('{"__proto__":1}', (_, v) => (v === 1 ? 1n : v)), { a: 2n }],
    ],
    ['map<int64, binary>', [new Map([[1n, Buffer.from('x')]])], [[[1n, Buffer.from('x')]]]],
    ['struct<"a b": int64, c: fixed-list(1)<struct<d: float64!>!>>', [{ 'a b': 1n, c: [{ d: Number.NaN }] }]],
    ['dictionary<int8, utf8>', ['a', 'b', 'a']],
    ['dictionary<int64>', [5n]],
  ]
  for (const [type, given, expected = given] of cases) {
    it(`takes and gives ${type}`, async () => {
      const all = [null, ...given, undefined]
      const { batch, rejected } = await Batch.fromRows(
        all.map((c) => ({ c })),
        { schema: one(type) },
      )
      assert.deepEqual(rejected, [])
      assert.deepEqual(await values(batch), [null, ...expected, null])
      assert.deepEqual((await batch.toColumns()).c, [null, ...expected, null])
      assert.deepEqual(await values(batch.slice(1, -1)), expected)
      for (const form of ['stream', 'file'] as const) {
        const back = await Batch.fromIPC(await batch.toIPC({ form, compression: 'lz4' }))
        assert.deepEqual(await values(back), [null, ...expected, null])
        assert.ok(back.schema.equals(batch.schema))
      }
    })
  }

  it('gives a map as an object, and one that has a key twice as pairs', async () => {
    const pairs = [
      ['a', 1],
      ['a', 2],
    ]
    const { batch } = await Batch.fromRows([{ c: pairs }, { c: { a: 3 } }], { schema: one('map<utf8, int32>') })
    assert.deepEqual(await values(batch), [pairs, { a: 3 }])
  })

  it('tells of each row that does not fit, with what stands there', async () => {
    const loop: unknown[] = []
    loop.push(loop)
    const given: [unknown, type: string, reason: arrow.RowReason][] = [
      [Symbol('x'), 'utf8', 'kind'],
      [() => {}, 'utf8', 'kind'],
      ['\ud800', 'utf8', 'kind'],
      [new Date(Number.NaN), 'timestamp(ms)', 'kind'],
      [new Set([1]), 'list<int8>', 'kind'],
      [loop, 'list<list<int8>>', 'kind'],
      [{ '\udc00': 1 }, 'map<utf8, int8>', 'kind'],
      [1.5, 'int32', 'fraction'],
      [undefined, 'int32', 'null'],
    ]
    for (const [c, type, reason] of given) {
      const { batch, rejected } = await Batch.fromRows([{ c }, { c, d: 1 }], { schema: one(type, false) })
      assert.equal(batch.numRows, 0)
      assert.equal(rejected[0]?.reason, reason, type)
      assert.deepEqual(
        rejected.map(({ row, code }) => [row, code]),
        [
          [0, 'CONVERSION'],
          [1, 'CONVERSION'],
        ],
      )
    }
    const nested = { c: [{ x: 1 }, { x: 'y' }] }
    const { rejected } = await Batch.fromRows([nested], { schema: one('list<struct<x: int8>>') })
    assert.deepEqual([rejected[0]?.column, rejected[0]?.value], ['c[1].x', 'y'])
    await assert.rejects(Batch.from([{ c: 'x' }, { c: 'y' }], { schema: one('int8') }), fails('CONVERSION'))
    for (const wrong of [5, null, 'x', [1]]) {
      const { rejected } = await Batch.fromRows([wrong as never], { schema: one('int8') })
      assert.deepEqual([rejected[0]?.column, rejected[0]?.value], ['', wrong])
    }
  })

  it('never makes nulls of objects whose content is not in their properties', async () => {
    class Private {
      #x = 1
      get x() {
        return this.#x
      }
    }
    const opaque = [
      ...[new Set([1]), new URL('http://a/'), /x/, Object.assign(new Error('e'), { x: 1 }), new WeakMap()],
      ...[new Private(), new String('ab'), new DataView(new ArrayBuffer(1)), Promise.resolve(1), new Date(0)],
      ...[vm.runInNewContext('new Set([1])'), [1].values(), Object.create({})],
    ]
    for (const c of opaque) {
      const name = c.constructor.name
      await assert.rejects(Schema.infer([c]), fails('CONVERSION'), name)
      if (!(c instanceof Date)) assert.equal(String(await Schema.infer([{ c }])), 'c: null', name)
      for (const type of ['struct<x: int8>', 'map<utf8, int8>', 'list<int8>']) {
        const { rejected } = await Batch.fromRows([{ c }], { schema: one(type), unknown: 'ignore' })
        assert.deepEqual([rejected[0]?.column, rejected[0]?.value, rejected[0]?.reason], ['c', c, 'kind'], name)
      }
    }
    const [set] = opaque
    const { rejected } = await Batch.fromRows([{ c: set }], { schema: one('list<int8>') })
    assert.equal(rejected[0]?.message, 'row 0, column c: a Set is of a kind that the column does not take')
    // A getter is a property for who names it.
    for (const row of [...opaque, new Map([['x', 1]]), Buffer.from('x')] as object[]) {
      const { batch, rejected } = await Batch.fromRows([row as never, { x: 2 }], {
        schema: [{ name: 'x', type: 'int8' }],
        unknown: 'ignore',
      })
      const isRead = row instanceof Private
      assert.deepEqual(await batch.toRows(), isRead ? [{ x: 1 }, { x: 2 }] : [{ x: 2 }], row.constructor.name)
      assert.deepEqual(
        rejected.map(({ row, column, reason }) => [row, column, reason]),
        isRead ? [] : [[0, '', 'kind']],
      )
    }
    for (const row of [Object.create(null), vm.runInNewContext('({})'), {}]) {
      const { batch } = await Batch.fromRows([row, { c: row }], { schema: one('struct<x: int8>') })
      assert.deepEqual(await values(batch), [null, { x: null }])
    }
  })

  it('sees columns that the schema does not have beside the getters of a class', async () => {
    class Reading {
      z = 1
      get c() {
        return 2
      }
    }
    const { rejected } = await Batch.fromRows([new Reading() as never], { schema: one('int8') })
    assert.deepEqual(
      rejected.map(({ column, reason }) => [column, reason]),
      [['z', 'unknown-column']],
    )
  })

  it('takes no value that leads back to itself, and the rows beside it', async () => {
    const parent: { name: string; children: object[] } = { name: 'p', children: [] }
    parent.children = [{ parent }, { parent }]
    const rows = [{ c: parent }, { c: parent.children[0] }, { c: { name: 'q', children: [] } }]
    const type = 'struct<name: utf8, children: list<struct<parent: struct<name: utf8>>>>'
    const { batch, rejected } = await Batch.fromRows(rows, { schema: one(type), unknown: 'ignore' })
    assert.deepEqual(
      rejected.map(({ row, column, reason }) => [row, column, reason]),
      [[0, 'c.children[0].parent', 'kind']],
    )
    assert.deepEqual(await values(batch), [
      { name: null, children: null },
      { name: 'q', children: [] },
    ])
    const loop: object[] = []
    loop.push(loop)
    assert.equal(String(await Schema.infer([{ c: 1, loop }])), 'c: int64, loop: list<utf8>')
    // What is there twice beside each other leads nowhere.
    const x = { x: 1 }
    assert.equal(String(await Schema.infer([{ c: [x, x], d: x }])), 'c: list<struct<x: int64>>, d: struct<x: int64>')
  })

  it('keeps texts where a row of another call throws between two of its slices', async () => {
    const slow = Array.from({ length: 400 }, () => ({
      get c() {
        const until = performance.now() + 0.1
        while (performance.now() < until);
        return 'same'
      },
    }))
    let [ended, thrown] = [false, 0]
    const converted = Batch.fromRows(slow, { schema: one('utf8') }).finally(() => {
      ended = true
    })
    const broken = {
      get c() {
        throw new Error('no reading')
      },
    }
    while (!ended) {
      await assert.rejects(Batch.fromRows([{ c: 'same' }, broken as never], { schema: one('utf8') }), /no reading/)
      thrown += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(thrown > 1)
    assert.deepEqual([...new Set(await values((await converted).batch))], ['same'])
  })

  it('a half character in one text is told of, and its neighbours stay as they are', async () => {
    // The two halves would make a whole one if they met.
    const rows = [{ c: `${'x'.repeat(40)}\ud83d` }, { c: `\ude00${'y'.repeat(40)}` }, { c: 'fine' }, { c: 'fine' }]
    const { batch, rejected } = await Batch.fromRows(rows, { schema: one('utf8') })
    assert.deepEqual(
      rejected.map(({ row }) => row),
      [0, 1],
    )
    assert.deepEqual(await values(batch), ['fine', 'fine'])
  })

  it('names of columns are only names', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'a.b', '`', '"', '\\', "'", 'é\n']
    const schema = names.map((name) => ({ name, type: 'int8' }))
    const row = JSON.parse(`{${names.map((name, n) => `${JSON.stringify(name)}:${n}`).join()}}`)
    const { batch, rejected } = await Batch.fromRows([row, {}], { schema })
    assert.deepEqual(rejected, [])
    const [first, second] = await batch.toRows()
    assert.deepEqual(
      names.map((name) => Object.getOwnPropertyDescriptor(first, name)?.value),
      names.map((_, n) => n),
    )
    assert.ok(names.every((name) => Object.getOwnPropertyDescriptor(second, name)?.value === null))
  })

  it('takes objects of other realms', async () => {
    const row = vm.runInNewContext('({ c: new Map([["a", [new Date(0)]]]) })')
    const { batch } = await Batch.fromRows([row], { schema: one('map<utf8, list<timestamp(ms)>>') })
    assert.deepEqual(await values(batch), [{ a: ['1970-01-01T00:00:00.000'] }])
    assert.deepEqual(await values(batch, { times: 'date' }), [{ a: [new Date(0)] }])
    const bytes = vm.runInNewContext('Uint8Array.from(bytes)', { bytes: [...(await batch.toIPC())] })
    assert.deepEqual(await values(await Batch.from(bytes)), await values(batch))
    assert.ok((await Schema.fromIPC(bytes)).equals(batch.schema))
  })

  it('takes lists of rows alone, and not one as if it were none', async () => {
    for (const wrong of [undefined, null, 'ab', { a: 1 }, new Set([{ a: 1 }]), 5]) {
      await assert.rejects(Batch.fromRows(wrong as never, { schema: one('int8') }), fails('INVALID_INPUT'))
      await assert.rejects(Batch.fromRows(wrong as never), fails('INVALID_INPUT'))
      await assert.rejects(new BatchBuilder(one('int8')).append(wrong as never), fails('INVALID_INPUT'))
      await assert.rejects(Batch.from(wrong as never), fails('INVALID_INPUT'))
    }
  })

  it('numbers that would lose digits, and dates beyond those of JavaScript, are errors', async () => {
    const { batch } = await Batch.fromRows([{ c: 2n ** 60n }], { schema: one('int64') })
    await assert.rejects(batch.toRows({ int64: 'number' }), fails('CONVERSION'))
    const far = (await Batch.fromRows([{ c: 2n ** 60n }], { schema: one('timestamp(s)') })).batch
    await assert.rejects(far.toRows({ times: 'date' }), fails('CONVERSION'))
  })

  it('has slices as arrays have them', async () => {
    const { batch } = await Batch.fromRows(
      [0, 1, 2, 3, 4].map((c) => ({ c })),
      { schema: one('int8') },
    )
    for (const [from, to] of [
      [0, 2],
      [1, -1],
      [-2, 5],
      [3, 1],
      [9, 12],
      [-99, 99],
    ] as const) {
      assert.deepEqual(await values(batch.slice(from, to)), [0, 1, 2, 3, 4].slice(from, to))
    }
    assert.ok(batch.byteLength >= 5)
    const twice = Batch.join(batch.schema, [batch, batch.slice(0, 1)])
    assert.deepEqual(await values(twice), [0, 1, 2, 3, 4, 0])
    assert.throws(() => Batch.join(Schema.of(one('int16')), [batch]), fails('CONVERSION'))
    assert.equal(await batch.slice(0, 2).toNDJSON(), '{"c":0}\n{"c":1}\n')
    assert.deepEqual(await Batch.join(batch.schema, []).toRows(), [])
  })

  it('rows go slice by slice, so that others have the thread between', async () => {
    const { rows, most } = watched(640)
    const { batch } = await Batch.fromRows(rows, { schema: [{ name: 'é', type: 'int32' }], unknown: 'ignore' })
    assert.equal(batch.numRows, 640)
    assert.ok(most() <= 64, `${most()} rows in one turn`)
  })

  it('many rows go in pieces and keep their order', async () => {
    const rows = Array.from({ length: 60_000 }, (_, n) => ({ c: n % 1000 === 7 ? 'x' : n, t: 'the same text' }))
    const schema = [...one('int32'), { name: 't', type: 'utf8' }]
    const { batch, rejected } = await Batch.fromRows(rows as never, { schema })
    assert.deepEqual(
      rejected.map(({ row }) => row),
      Array.from({ length: 60 }, (_, n) => n * 1000 + 7),
    )
    const { c, t } = await batch.toColumns()
    const expected = rows.map((row) => row.c).filter((value) => value !== 'x')
    assert.deepEqual(c, expected)
    assert.deepEqual(
      t,
      expected.map(() => 'the same text'),
    )
  })

  it('reads a stream to its last byte: what lies behind it is refused', async () => {
    const { batch } = await arrow.Batch.fromRows([{ a: 1 }, { a: 2 }])
    const bytes = await batch.toIPC()
    for (const behind of [bytes, Buffer.from('x'), Buffer.concat([Buffer.alloc(1000), bytes])]) {
      const reading = arrow.Batch.fromIPC(Buffer.concat([bytes, behind]))
      await assert.rejects(reading, { code: 'INVALID_INPUT', message: /give each stream by itself/ })
    }
    // Buffers may be larger than what is in them.
    for (const behind of [0, 1, 4096]) {
      assert.equal((await arrow.Batch.fromIPC(Buffer.concat([bytes, Buffer.alloc(behind)]))).numRows, 2)
    }
    // Of a file that is cut off a part of the index is left.
    const file = await batch.toIPC({ form: 'file' })
    assert.equal((await arrow.Batch.fromIPC(file.subarray(0, -12))).numRows, 2)
  })

  it('unpacks no more than it may', async () => {
    const rows = Array.from({ length: 1000 }, () => ({ c: 'x'.repeat(20) }))
    const bytes = await (await Batch.from(rows, { schema: one('utf8') })).toIPC({ compression: 'zstd' })
    for (const maxBytes of [0, 1.5, 10_000]) {
      await assert.rejects(Batch.fromIPC(bytes, { maxBytes }), fails('TOO_LARGE'))
    }
    for (const maxBytes of [30_000, 1e300, Number.POSITIVE_INFINITY]) {
      assert.equal((await Batch.fromIPC(bytes, { maxBytes })).numRows, 1000)
    }
    for (const maxBytes of [-1, Number.NaN, '5', null]) {
      await assert.rejects(Batch.fromIPC(bytes, { maxBytes } as never), fails('INVALID_OPTION'))
    }
  })

  it('keeps large IPC bytes, and copies small ones', async () => {
    const rows = Array.from({ length: 200_000 }, (_, c) => ({ c }))
    const bytes = await (await Batch.from(rows, { schema: one('float64') })).toIPC()
    const kept = await Batch.fromIPC(bytes)
    const copied = await Batch.fromIPC(bytes, { copy: true })
    assert.equal((await kept.toIPC()).compare(await copied.toIPC()), 0)
    assert.ok(kept.byteLength < bytes.length + 1e6)
    await assert.rejects(Batch.fromIPC('x' as never), fails('INVALID_INPUT'))
    await assert.rejects(Batch.from(5 as never), fails('INVALID_INPUT'))
  })

  it('has small IPC bytes in memory that JavaScript knows of, and frees in time', async () => {
    const rows = Array.from({ length: 100_000 }, (_, c) => ({ c }))
    const bytes = await (await Batch.from(rows, { schema: one('float64') })).toIPC()
    assert.ok(bytes.length < 1 << 20)
    const batches: arrow.Batch[] = []
    while (batches.length < 400) batches.push(await Batch.fromIPC(bytes))
    assert.ok(process.memoryUsage().arrayBuffers >= batches.length * bytes.length)
    assert.equal(batches.at(-1)?.numRows, rows.length)
  })

  it('becomes what a Delta table takes', async () => {
    const { batch } = await Batch.fromRows([{ c: 1 }, { c: 2n ** 63n }], { schema: one('uint64') })
    const { batch: cast, rejected } = await batch.toDelta()
    assert.deepEqual([String(cast.schema), await values(cast)], ['c: int64', [1n]])
    assert.deepEqual(rejected, [{ row: 1, column: 'c', value: String(2n ** 63n), reason: 'overflow' }])
  })

  it('random rows come back as they went in, or are told of', async () => {
    const seed = 20_261
    const next = generator(seed)
    const pick = <T>(items: readonly T[]) => items[Math.floor(next() * items.length)] as T
    const numbers = [
      0,
      -1,
      127,
      128,
      255,
      256,
      32767,
      32768,
      2 ** 31,
      2 ** 53,
      1e30,
      0.5,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
    ]
    const limits: Record<string, [number, number]> = {
      int8: [-128, 127],
      uint8: [0, 255],
      int16: [-32768, 32767],
      int32: [-(2 ** 31), 2 ** 31 - 1],
      uint32: [0, 2 ** 32 - 1],
    }
    for (let round = 0; round < 200; round += 1) {
      const type = pick([...Object.keys(limits), 'float64', 'utf8', 'bool'])
      const given = Array.from({ length: Math.floor(next() * 20) }, () =>
        pick([...numbers, null, 'text', 'texte', '12', true, 5n, 300n]),
      )
      const model = (c: unknown): unknown => {
        if (c === null) return null
        if (type === 'utf8') return typeof c === 'string' ? c : undefined
        if (type === 'bool') return typeof c === 'boolean' ? c : undefined
        if (type === 'float64') return typeof c === 'number' ? c : typeof c === 'bigint' ? Number(c) : undefined
        const [min, max] = limits[type] as [number, number]
        const number = c === '12' ? 12 : typeof c === 'bigint' || typeof c === 'number' ? Number(c) : Number.NaN
        return Number.isInteger(number) && number >= min && number <= max ? number : undefined
      }
      const { batch, rejected } = await Batch.fromRows(
        given.map((c) => ({ c })),
        { schema: one(type) },
      )
      const why = `seed ${seed}, round ${round}, ${type}`
      assert.deepEqual(
        await values(batch),
        given.map(model).filter((c) => c !== undefined),
        why,
      )
      assert.deepEqual(
        rejected.map(({ row }) => row),
        given.flatMap((c, row) => (model(c) === undefined ? [row] : [])),
        why,
      )
    }
  })
})

describe('options', () => {
  const folder = temporary()
  after(() => rmSync(folder, { recursive: true, force: true }))
  const schema = one('int8')
  const batch = Batch.from([{ c: 1 }], { schema })
  const writer = { folder, prefix: 'x', maxBytes: 1 }
  const calls: Record<string, (options: never) => unknown> = {
    'Batch.fromRows': (options: object) => Batch.fromRows([], { schema, ...options }),
    'Batch.from': (options: object) => Batch.from([], { schema, ...options }),
    'Batch.fromIPC': async (options: object) => Batch.fromIPC(await (await batch).toIPC(), options),
    toIPC: async (options: object) => (await batch).toIPC(options),
    toRows: async (options: object) => (await batch).toRows(options),
    toColumns: async (options: object) => (await batch).toColumns(options),
    BatchBuilder: async (options: object) => new BatchBuilder(schema, options),
    'Spool.open': async (options: object) => (await Spool.open({ folder, ...options })).close(),
    'FileWriter.open': async (options: object) => (await FileWriter.open({ ...writer, ...options })).close(),
  }
  for (const [name, call] of Object.entries(calls)) {
    it(`that are none are refused by ${name}`, async () => {
      await call({} as never)
      await assert.rejects(async () => call({ maxBytse: 5 } as never), { code: 'INVALID_OPTION', message: /maxBytse/ })
    })
  }

  const wrong: [name: string, options: object][] = [
    ['Batch.fromRows', { unknown: 'drop' }],
    ['Batch.fromIPC', null as never],
    ['BatchBuilder', { unknown: null }],
    ['toIPC', { form: 'feather' }],
    ['toIPC', { compression: 'gzip' }],
    ['toRows', { times: 'Date' }],
    ['Spool.open', { whenFull: 'drop' }],
    ['Spool.open', { maxBytes: Number.NaN }],
    ['Spool.open', { folder: undefined }],
    ['FileWriter.open', { maxBytes: Number.NaN }],
  ]
  for (const [name, options] of wrong) {
    it(`like ${JSON.stringify(options)} are refused by ${name}`, () =>
      assert.rejects(async () => calls[name]?.(options as never), { code: 'INVALID_OPTION' }))
  }
})

describe('bytes from anywhere', () => {
  for (const [form, seed] of [
    ['stream', 90_125],
    ['file', 90_126],
  ] as const) {
    it(`are a batch or an error with a code, as a ${form}`, () => damaged(form, seed)).timeout(600_000)
  }

  async function damaged(form: 'stream' | 'file', seed: number): Promise<void> {
    const next = generator(seed)
    const below = (limit: number) => Math.floor(next() * limit)
    const cases = process.env.MILLRACE_LONG ? 100_000 : 3000
    const rows = Array.from({ length: 5 }, (_, n) => ({
      n,
      t: `text ${n}`,
      l: [n, null],
      s: { x: n },
      b: Buffer.from([n]),
    }))
    const { batch } = await Batch.fromRows(rows)
    const samples = await Promise.all(
      (['none', 'lz4', 'zstd'] as const).map((compression) => batch.toIPC({ form, compression })),
    )
    const before = process.resourceUsage().maxRSS
    const counts = { read: 0, refused: 0 }
    for (let done = 0; done < cases; done += 1) {
      let bytes = Buffer.from(samples[below(samples.length)] as Buffer)
      if (done % 10 === 0) bytes = Buffer.from(Array.from({ length: below(64) }, () => below(256)))
      for (let change = below(5); change >= 0 && bytes.length > 0; change -= 1) bytes[below(bytes.length)] = below(256)
      if (done % 7 === 0) bytes = bytes.subarray(0, below(bytes.length))
      try {
        await (await Batch.fromIPC(bytes, { maxBytes: 1 << 20 })).toRows()
        counts.read += 1
      } catch (error) {
        const { code } = error as EngineError
        assert.ok(['INVALID_INPUT', 'TOO_LARGE', 'CONVERSION'].includes(code), `seed ${seed}, case ${done}: ${error}`)
        counts.refused += 1
      }
    }
    assert.ok(counts.read > 0 && counts.refused > 0, JSON.stringify(counts))
    // Kilobytes; each of them may unpack 1 MB, and what is garbage waits to be collected.
    const grown = process.resourceUsage().maxRSS - before
    assert.ok(grown < 256 * 1024, `seed ${seed}: ${grown} kB`)
    if (process.env.MILLRACE_LONG) console.log({ form, cases, ...counts, grown })
  }

  it('names the column whose dictionary has no room for all values, of one batch and of batches joined', async () => {
    const schema = [{ name: 'kind', type: 'dictionary<int8, utf8>' }]
    const kinds = (first: number) => Array.from({ length: 100 }, (_, n) => ({ kind: `kind ${first + n}` }))
    const error = { code: 'CONVERSION', message: /column 'kind'.*take a larger key/ }
    await assert.rejects(Batch.fromRows([...kinds(0), ...kinds(100)], { schema }), error)
    const halves = await Promise.all([0, 100].map((first) => Batch.from(kinds(first), { schema })))
    await assert.rejects(Batch.join(Schema.of(schema), halves).toIPC(), error)
  })

  it('joins batches with the same values in a dictionary that they nearly fill', async () => {
    const schema = [{ name: 'kind', type: 'dictionary<int8, utf8>' }]
    const turned = (by: number) => Array.from({ length: 127 }, (_, n) => ({ kind: `kind ${(n + by) % 127}` }))
    const turns = Array.from({ length: 10 }, (_, n) => turned(n * 7))
    const parts = await Promise.all(turns.map((rows) => Batch.from(rows, { schema })))
    const ipc = await Batch.join(Schema.of(schema), parts).toIPC()
    assert.deepEqual(await (await Batch.fromIPC(ipc)).toRows(), turns.flat())
  })
})

describe('rows on their way to the engine', () => {
  it('are counted with their texts, which end a slice', () => {
    const packer = new Packer(['c'], false)
    packer.row({ c: 'x'.repeat(1000) })
    assert.ok(packer.size > 1000)
    const long = 'é'.repeat(1 << 20)
    const { size } = packer
    packer.row({ c: long })
    assert.ok(packer.size > size + long.length)
    packer.finish(() => assert.fail())
    assert.equal(packer.size, 0)
  })
})

describe('arrow.BatchBuilder', () => {
  it('collects what calls bring, in their order', async () => {
    const builder = new BatchBuilder(one('int32'))
    const told = await Promise.all([builder.append([{ c: 1 }, { c: 'x' }]), builder.append([{ c: 2 }])])
    assert.deepEqual(
      told.map((errors) => errors.map(({ row }) => row)),
      [[1], []],
    )
    assert.deepEqual([builder.numRows, builder.byteLength >= 8], [2, true])
    assert.deepEqual(await values(await builder.finish()), [1, 2])
    assert.equal((await builder.finish()).numRows, 0)
  })
})

describe('arrow.Spool', () => {
  let folder: string
  beforeEach(() => {
    folder = temporary()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('keeps batches until they are acknowledged', async () => {
    const spool = await Spool.open({ folder })
    const first = await spool.append([{ a: 1 }])
    const second = await spool.append(await (await Batch.from([{ a: 2 }])).toIPC())
    await spool.close()
    await assert.rejects(spool.append([{ a: 3 }]), fails('CLOSED'))
    assert.throws(() => spool.stats(), fails('CLOSED'))
    await using again = await Spool.open({ folder })
    const waiting = await again.read()
    assert.deepEqual(
      waiting.map(({ seq }) => seq),
      [first, second],
    )
    assert.deepEqual(await (await Batch.from(waiting[1]?.data as Buffer)).toRows(), [{ a: 2n }])
    await again.ack(first)
    assert.deepEqual([again.stats().records, (await again.read()).length], [1, 1])
  })

  it('takes no number for that of another record', async () => {
    await using spool = await Spool.open({ folder })
    const numbers = [await spool.append([{ a: 1 }]), await spool.append([{ a: 2 }])]
    for (const wrong of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, '0', undefined, numbers]) {
      await assert.rejects(spool.ack(wrong as never), fails('INVALID_INPUT'))
      if (wrong !== undefined) await assert.rejects(spool.read(wrong as never), fails('INVALID_INPUT'))
    }
    // Those that it has not are nobody's.
    await spool.ack(-1, 2, 77)
    await spool.append([{ a: 3 }])
    assert.deepEqual(
      (await spool.read()).map(({ seq }) => seq),
      [0, 1, 2],
    )
  })

  it('sees room that comes while an append is being refused, and an end', async () => {
    const data = Buffer.alloc(300_000, 7)
    const spool = await Spool.open({ folder, maxBytes: 1 << 20 })
    await spool.append(data)
    // What the engine says, and what happens before that is heard.
    const { handle } = spool as unknown as { handle: { append(records: Buffer[]): Promise<number> } }
    const append = handle.append.bind(handle)
    let meanwhile: () => unknown = () => {}
    handle.append = async (records) => {
      const answer = append(records)
      const isRefused = await answer.then(
        () => false,
        () => true,
      )
      if (isRefused) await meanwhile()
      return answer
    }
    let refusals = 0
    meanwhile = async () => {
      refusals += 1
      await spool.ack(...(await spool.read()).map(({ seq }) => seq))
    }
    for (let count = 0; count < 8; count += 1) await spool.append(data)
    assert.ok(refusals > 0)
    let closed: Promise<void> | undefined
    meanwhile = () => {
      closed = spool.close()
    }
    const stuck = Array.from({ length: 8 }, () => spool.append(data))
    const codes = await Promise.all(stuck.map((one) => one.then(String, ({ code }) => code)))
    assert.equal(codes.at(-1), 'CLOSED')
    await closed
  })

  it('blocks until there is room, or does as it is told', async () => {
    const data = Buffer.alloc(300_000, 7)
    const spool = await Spool.open({ folder, maxBytes: 1 << 20 })
    const appended: number[] = []
    const all = Array.from({ length: 8 }, () => spool.append(data).then((seq) => appended.push(seq)))
    while (appended.length < 8) {
      const waiting = await spool.read()
      await spool.ack(...waiting.map(({ seq }) => seq))
    }
    await Promise.all(all)
    assert.deepEqual(
      appended,
      [...appended].sort((a, b) => a - b),
    )
    const stuck = Promise.all(Array.from({ length: 8 }, () => spool.append(data)))
    stuck.catch(() => {})
    while (spool.stats().records < 2) await new Promise((resolve) => setImmediate(resolve))
    await spool.close()
    await assert.rejects(stuck, fails('CLOSED'))
    const refusing = await Spool.open({ folder, maxBytes: 1 << 20, whenFull: 'refuse' })
    await assert.rejects(Promise.all(Array.from({ length: 8 }, () => refusing.append(data))), fails('BUFFER_FULL'))
    await refusing.close()
    const dropping = await Spool.open({ folder, maxBytes: 1 << 20, whenFull: 'drop-oldest' })
    for (let count = 0; count < 8; count += 1) await dropping.append(data)
    assert.ok(dropping.stats().dropped > 0)
    await dropping.close()
  })
})

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { arrow } from '../../nodes'
import { Collector } from '../../nodes/arrow/collector'
import { sizeOfRows } from '../../nodes/arrow/size'
import { type Json, Rig, type Seen } from './rig'

const columns = [
  { name: 'id', type: 'int32', nullable: false },
  { name: 'text', type: 'utf8', nullable: true },
]
const batchOf = (more: Json = {}): Json => ({ type: 'millrace-arrow-batch', columns, maxMs: 60_000, ...more })
const rowsOf = async (message: { payload: Buffer }) => (await arrow.Batch.fromIPC(message.payload)).toRows()

describe('the size of rows', () => {
  it('is about that of their values', () => {
    const row = {
      text: 'x'.repeat(100),
      bytes: Buffer.alloc(50),
      floats: new Float64Array(10),
      list: [1, 2],
      none: null,
    }
    assert.equal(sizeOfRows([row]), 8 + 100 + 50 + 80 + 16 + 8)
    assert.equal(sizeOfRows([]), 0)
    assert.equal(sizeOfRows([{ list: [] }]), 8)
    const rows = Array.from({ length: 10_000 }, (_, n) => ({ text: 'x'.repeat(n % 100) }))
    const exact = rows.reduce((sum, { text }) => sum + 8 + text.length, 0)
    assert.ok(Math.abs(sizeOfRows(rows) / exact - 1) < 0.05)
  })

  it('takes few looks, however many there are', () => {
    let looks = 0
    const value = () => ({
      get c() {
        looks += 1
        return 1
      },
    })
    const list = Array.from({ length: 20_000 }, value)
    assert.equal(sizeOfRows(list), 16 * list.length)
    assert.equal(sizeOfRows([{ list }]), 8 + 16 * list.length)
    assert.ok(looks < 1000, `${looks} looks`)
  })
})

describe('millrace-arrow-batch', () => {
  let rig: Rig
  afterEach(() => rig.remove())

  it('makes a batch of so many rows, in the message that began it', async () => {
    rig = await Rig.start(batchOf({ maxRows: 3 }))
    rig.send(
      { _msgid: 'a', topic: 't', payload: { id: 1, text: 'x' } },
      { _msgid: 'b', payload: [{ id: 2 }, { id: 3 }] },
    )
    const [message] = await rig.until('out')
    assert.deepEqual(await rowsOf(message), [
      { id: 1, text: 'x' },
      { id: 2, text: null },
      { id: 3, text: null },
    ])
    assert.deepEqual([message._msgid, message.topic, message.arrow.rows], ['a', 't', 3])
    assert.equal(message.arrow.bytes, message.payload.length)
    assert.deepEqual(
      message.arrow.schema.map(({ type }: { type: string }) => type),
      ['int32', 'utf8'],
    )
    assert.deepEqual(
      (await rig.until('completed', 2)).map(({ _msgid }) => _msgid),
      ['a', 'b'],
    )
  })

  const due: [title: string, config: Json][] = [
    ['bytes', { maxKb: 1 }],
    ['time', { maxMs: 5 }],
  ]
  for (const [title, config] of due) {
    it(`makes a batch by ${title}`, async () => {
      rig = await Rig.start(batchOf(config))
      rig.send({ payload: { id: 1, text: 'x'.repeat(2000) } })
      const [message] = await rig.until('out')
      assert.equal(message.arrow.rows, 1)
    })
  }

  it('makes a batch when it is told to, alone or with rows', async () => {
    rig = await Rig.start(batchOf({ compression: 'zstd' }))
    rig.send({ payload: { id: 1 } }, { flush: true }, { payload: { id: 2 }, flush: true })
    const messages = await rig.until('out', 2)
    assert.deepEqual(
      (await Promise.all(messages.map(rowsOf))).flat().map(({ id }) => id),
      [1, 2],
    )
    assert.ok(messages.every(({ flush }) => flush === undefined))
    await rig.until('completed', 3)
  })

  for (const payload of [Date.now(), 'now', true, '']) {
    it(`makes a batch when it is told to by what brings ${typeof payload === 'number' ? 'a time' : `'${payload}'`}`, async () => {
      rig = await Rig.start(batchOf())
      rig.send({ payload: { id: 1 } }, { flush: true, payload })
      const [message] = await rig.until('out')
      assert.equal(message.arrow.rows, 1)
      await rig.until('completed', 2)
      assert.deepEqual(rig.seen.caught, [])
    })
  }

  it('makes batches of all rows that come at once, however small it makes them', async () => {
    rig = await Rig.start(batchOf({ maxRows: 10 }))
    const ids = Array.from({ length: 1000 }, (_, id) => id)
    rig.send(...ids.map((id) => ({ payload: { id } })))
    const messages = await rig.until('out', 100)
    assert.deepEqual(
      (await Promise.all(messages.map(rowsOf))).flat().map(({ id }) => id),
      ids,
    )
    await rig.until('completed', 1000)
    assert.deepEqual(rig.seen.caught, [])
  })

  const many = Array.from({ length: 10_000 }, (_, id) => ({ id }))
  const large = [{ id: 1, text: 'x'.repeat(8 * 2 ** 20) }]
  for (const [title, payload] of [
    ['rows', many],
    ['bytes', large],
  ]) {
    it(`refuses more when too many ${title} wait to be batches`, async () => {
      rig = await Rig.start(batchOf())
      rig.send(...Array.from({ length: 5 }, (_, number) => ({ _msgid: `${number}`, payload })))
      const [{ _msgid: refused, error }] = await rig.until('caught')
      assert.deepEqual([refused, error.code], ['4', 'BUFFER_FULL'])
      await rig.until('completed', 4)
      rig.send({ payload })
      await rig.until('completed', 5)
      assert.equal(rig.seen.caught.length, 1)
    })
  }

  it('infers the columns from the first batch, and keeps them', async () => {
    rig = await Rig.start(batchOf({ columns: [], maxRows: 1 }))
    rig.send({ payload: { a: 1, at: new Date(5) } }, { payload: { a: 0.5 } })
    const [message] = await rig.until('out')
    assert.deepEqual(await rowsOf(message), [{ a: 1n, at: '1970-01-01T00:00:00.005Z' }])
    const [rejected] = await rig.until('reject')
    assert.equal(rejected.arrow.reason, 'fraction')
  })

  it('makes a batch of a column with several kinds, without the rows that do not fit the first', async () => {
    rig = await Rig.start(batchOf({ columns: [], maxRows: 3 }))
    rig.send({ payload: [{ t: 20 }, { t: 'warm' }, { t: 21.5 }] })
    assert.deepEqual(await rowsOf((await rig.until('out'))[0]), [{ t: 20 }, { t: 21.5 }])
    const [{ payload, arrow }] = await rig.until('reject')
    assert.deepEqual([payload, arrow.column, arrow.value, arrow.reason], [{ t: 'warm' }, 't', 'warm', 'form'])
  })

  it('has the type of a column that begins with nulls from its first value', async () => {
    rig = await Rig.start(batchOf({ columns: [], maxRows: 1 }))
    for (const t of [null, 20.5, 'warm']) rig.send({ payload: { id: 1, t } })
    const batches = await rig.until('out', 2)
    const types = batches.map(({ arrow }) => arrow.schema.map(({ type }: { type: string }) => type))
    assert.deepEqual(types, [
      ['int64', 'null'],
      ['int64', 'float64'],
    ])
    assert.deepEqual(await rowsOf(batches[1]), [{ id: 1n, t: 20.5 }])
    assert.equal((await rig.until('reject'))[0].payload.t, 'warm')
  })

  it('learns no columns from a row that has none', async () => {
    rig = await Rig.start(batchOf({ columns: [], maxRows: 1 }))
    rig.send({ payload: {} }, { payload: { id: 1 } })
    const batches = await rig.until('out', 2)
    assert.deepEqual(await rowsOf(batches[1]), [{ id: 1n }])
  })

  it('tells of each row that is none, also of a hole in a list', async () => {
    rig = await Rig.start(batchOf({ maxRows: 4 }))
    // What a flow may bring: its first item was never set.
    const sparse: unknown[] = []
    sparse[1] = { id: 1 }
    rig.send({ _msgid: 'a', payload: sparse }, { _msgid: 'b', payload: [{ id: 'bad' }] }, { payload: { id: 4 } })
    const rejected = await rig.until('reject', 2)
    assert.deepEqual(
      rejected.map(({ _msgid, payload, arrow: { row } }) => [_msgid, payload, row]),
      [
        ['a', undefined, 0],
        ['b', { id: 'bad' }, 0],
      ],
    )
    assert.deepEqual(
      (await rowsOf((await rig.until('out'))[0])).map(({ id }) => id),
      [1, 4],
    )
  })

  it('sends rows that do not fit to the second output with the reason', async () => {
    rig = await Rig.start(batchOf({ maxRows: 4 }))
    rig.send(
      { _msgid: 'a', payload: [{ id: 1 }, { id: 2 ** 40 }] },
      { _msgid: 'b', payload: [{ id: 3, more: 1 }, { id: 4 }] },
    )
    const rejected = await rig.until('reject', 2)
    const told = rejected.map(({ _msgid, payload, arrow: { row, column, value, reason, code } }) => [
      _msgid,
      payload.id,
      row,
      column,
      value,
      reason,
      code,
    ])
    assert.deepEqual(told, [
      ['a', 2 ** 40, 1, 'id', 2 ** 40, 'overflow', 'CONVERSION'],
      ['b', 3, 0, 'more', 1, 'unknown-column', 'CONVERSION'],
    ])
    const [message] = await rig.until('out')
    assert.deepEqual(
      (await rowsOf(message)).map(({ id }) => id),
      [1, 4],
    )
    await rig.until('completed', 2)
    assert.deepEqual(rig.seen.caught, [])
  })

  it('makes errors of them where nobody hears that output', async () => {
    rig = await Rig.start(batchOf({ maxRows: 2 }), { rejects: false })
    rig.send({ _msgid: 'a', payload: { id: 'x' } }, { _msgid: 'b', payload: { id: 2 } })
    const [caught] = await rig.until('caught')
    assert.deepEqual([caught._msgid, caught.error.code], ['a', 'CONVERSION'])
    assert.deepEqual(
      (await rig.until('completed')).map(({ _msgid }) => _msgid),
      ['b'],
    )
    assert.equal((await rig.until('out')).length, 1)
  })

  it('leaves unknown columns out if it shall', async () => {
    rig = await Rig.start(batchOf({ maxRows: 1, unknown: 'ignore' }))
    rig.send({ payload: { id: 3, more: 1 } })
    assert.deepEqual(await rowsOf((await rig.until('out'))[0]), [{ id: 3, text: null }])
  })

  for (const payload of ['text', 5, null, undefined, Buffer.from('x'), new Float64Array(2)]) {
    it(`refuses ${payload?.constructor.name ?? payload} as rows`, async () => {
      rig = await Rig.start(batchOf())
      rig.send({ payload })
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    })
  }

  it('takes no flush that is false for one', async () => {
    rig = await Rig.start(batchOf())
    rig.send({ payload: { id: 1 }, flush: false }, { flush: false })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    assert.equal(rig.seen.out.length, 0)
  })

  it('a type that is none shows at the node', async () => {
    rig = await Rig.start(batchOf({ columns: [{ name: 'a', type: 'integer' }] }))
    rig.send({ payload: {} })
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    assert.equal(rig.seen.status[0]?.fill, 'red')
  })

  it('takes rows from another property', async () => {
    rig = await Rig.start(batchOf({ maxRows: 1, rowsFrom: 'data.row' }))
    rig.send({ payload: 'stays away', data: { row: { id: 9 } } })
    assert.deepEqual(await rowsOf((await rig.until('out'))[0]), [{ id: 9, text: null }])
  })

  it('keeps what waits over a restart, and sends it first', async () => {
    rig = await Rig.start(batchOf())
    rig.send({ payload: [{ id: 1 }, { id: 2 }] })
    await rig.stop()
    assert.equal(rig.seen.out.length, 0)
    rig = await Rig.start(batchOf(), { userDir: rig.userDir })
    const [message] = await rig.until('out')
    assert.deepEqual(
      (await rowsOf(message)).map(({ id }) => id),
      [1, 2],
    )
    await rig.stop()
    // Once, and not again.
    rig = await Rig.start(batchOf(), { userDir: rig.userDir })
    rig.send({ payload: { id: 3 }, flush: true })
    const [next] = await rig.until('out')
    assert.deepEqual(
      (await rowsOf(next)).map(({ id }) => id),
      [3],
    )
  })

  it('sends what waits when it goes for good', async () => {
    rig = await Rig.start(batchOf())
    rig.send({ payload: { id: 1 } })
    await rig.removeNode()
    assert.equal((await rig.until('out')).length, 1)
  })

  it('keeps what waits when all that could hear it goes, too', async () => {
    rig = await Rig.start(batchOf())
    rig.send({ payload: [{ id: 1 }, { id: 2 }] })
    await rig.removeFlow()
    assert.equal(rig.seen.out.length, 0)
    assert.deepEqual(rig.seen.warn, ['warning.kept'])
    await rig.stop()
    rig = await Rig.start(batchOf(), { userDir: rig.userDir })
    const [message] = await rig.until('out')
    assert.deepEqual(
      (await rowsOf(message)).map(({ id }) => id),
      [1, 2],
    )
  })

  describe('what an earlier life kept', () => {
    /** A collector in whose folder three batches wait, and what it sends; `sent` is called with each. */
    async function collect(sent: (collector: Collector, ids: unknown[]) => void, heard: string[] = []) {
      rig = await Rig.start(batchOf())
      const folder = join(rig.userDir, 'millrace', 'arrow', 'batch-other')
      const spool = await arrow.Spool.open({ folder })
      for (const id of [1, 2, 3]) {
        await spool.append((await arrow.Batch.fromRows([{ id }], { schema: columns })).batch)
      }
      await spool.close()
      const out: number[] = []
      const host = {
        RED: {
          settings: { userDir: rig.userDir },
          nodes: { getNode: (id: string) => (heard.includes(id) ? {} : null) },
          util: { getMessageProperty: ({ payload }: Json) => payload },
        },
        node: {
          id: 'other',
          wires: [['next']],
          send: ([{ arrow }]: [Seen]) => {
            out.push(arrow.rows)
            sent(collector, out)
          },
          warn: assert.fail,
        },
        config: { ...batchOf(), rowsFrom: 'payload', maxRows: 9, maxKb: 9, unknown: 'error', compression: 'none' },
        text: (key: string) => key,
        status: () => {},
        wired: () => true,
        guard: (call: () => void) => call,
      }
      const collector = new Collector(host as never)
      return { collector, out, folder }
    }
    async function left(folder: string): Promise<unknown[]> {
      await using spool = await arrow.Spool.open({ folder })
      const batches = await Promise.all((await spool.read()).map(({ data }) => arrow.Batch.fromIPC(data)))
      return (await Promise.all(batches.map((batch) => batch.toRows()))).flat().map(({ id }) => id)
    }

    for (const [title, heard, rest] of [
      ['stays where the node ends before it has left', ['next'], [2, 3]],
      ['stays, too, where it was under way to nodes that ended', [], [1, 2, 3]],
    ] as const) {
      it(title, async () => {
        let closed: Promise<void> | undefined
        const { collector, out, folder } = await collect(
          (collector) => {
            closed = collector.close(false)
          },
          [...heard],
        )
        await idle(collector)
        await closed
        assert.deepEqual([out.length, await left(folder)], [1, rest])
      })
    }

    it('leaves where the node goes for good, and others stay who hear it', async () => {
      const { collector, out, folder } = await collect((collector) => void collector.close(true), ['next'])
      await idle(collector)
      assert.deepEqual([out.length, await left(folder)], [3, []])
    })

    it('waits no more for rows that come at the end', async () => {
      const { collector, folder } = await collect(() => {})
      await idle(collector)
      const done: unknown[] = []
      const closed = collector.close(false)
      collector.input({ payload: { id: 4 } } as never, { send: assert.fail, done: (error) => done.push(error) })
      await closed
      assert.deepEqual([done, await left(folder)], [[undefined], [4]])
    })

    /** When all that it has to do is done, whether it was closed or not. */
    async function idle(collector: Collector): Promise<void> {
      const { making } = collector as unknown as { making: Promise<void> }
      await making
    }
  })

  describe('when nothing can be kept', () => {
    const file = () => {
      mkdirSync(join(rig.userDir, 'millrace', 'arrow'), { recursive: true })
      writeFileSync(join(rig.userDir, 'millrace', 'arrow', 'batch-node'), '')
    }

    it('sends what waits at a deploy to those who stay', async () => {
      rig = await Rig.start(batchOf())
      file()
      rig.send({ payload: [{ id: 1 }, { id: 2 }] })
      await rig.changeNode(batchOf({ maxRows: 7 }))
      const [message] = await rig.until('out')
      assert.deepEqual(
        (await rowsOf(message)).map(({ id }) => id),
        [1, 2],
      )
      assert.ok(rig.seen.warn.length > 0)
    })

    it('makes errors of the messages at a stop, when nobody hears them any more', async () => {
      rig = await Rig.start(batchOf())
      file()
      const node = rig.node
      const failed: unknown[] = []
      node.error = (error: { code?: string }) => failed.push(error.code)
      rig.send({ payload: { id: 1 } }, { payload: { id: 2 } })
      await rig.stop()
      assert.deepEqual(failed, ['STORE_FAILED', 'STORE_FAILED'])
      assert.equal(rig.seen.out.length, 0)
    })
  })
})

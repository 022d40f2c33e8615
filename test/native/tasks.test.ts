/** The border of the embedded task queue, as `native/src/bindings/tasks.rs` describes it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Native from '#native'
import { toEngineError } from '../../nodes/shared/errors'
import { native } from '../../nodes/shared/native'

interface Taken {
  worker: number
  token: number
  retries: number
  deliveries: number
  queue: string
  message: { id: string; name: string; args?: unknown[] }
}

type Told = Record<string, unknown>

let counter = 0
/** Unique and in order; whether it is random does not matter here. */
function newId() {
  counter += 1
  return `01890000-0000-7000-8000-${counter.toString(16).padStart(12, '0')}`
}

/** One side of the border: tickets to promises, frames to what they say. */
class Peer {
  readonly tasks: Taken[] = []
  readonly signals: [kind: number, token: number][] = []
  readonly results: Told[] = []
  readonly events: Told[] = []
  queue!: Native.TaskQueue
  private readonly tickets = new Map<number, (answer: [done: boolean, value: unknown]) => void>()
  private waiting: (() => void)[] = []
  private next = 0

  static async open(path: string, options: object = {}): Promise<Peer> {
    const peer = new Peer()
    peer.queue = await native().TaskQueue.open(path, JSON.stringify(options), () => peer.drain())
    return peer
  }

  /** The answer to a call that takes a ticket. */
  async ask<T>(call: (ticket: number) => void): Promise<T> {
    this.next += 1
    const ticket = this.next
    const answered = new Promise<[boolean, unknown]>((resolve) => this.tickets.set(ticket, resolve))
    call(ticket)
    const [done, value] = await answered
    if (done) return value as T
    const { code, message } = value as { code: string; message: string }
    throw Object.assign(new Error(message), { code })
  }

  async until(holds: () => boolean) {
    while (!holds()) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  send = (...messages: object[]) =>
    this.ask<{ index: number; id?: string; code?: string }[]>((ticket) =>
      this.queue.send(ticket, frames(messages.map((message) => Buffer.from(JSON.stringify({ v: 1, ...message }))))),
    )

  report = (kind: number, token: number, payload?: unknown) =>
    this.ask<number[]>((ticket) => this.queue.report(ticket, frames([report(kind, token, payload)])))

  control = <T = Told>(command: object) => this.ask<T>((ticket) => this.queue.control(ticket, JSON.stringify(command)))

  worker = (options: object) => this.ask<number>((ticket) => this.queue.openWorker(ticket, JSON.stringify(options)))

  private drain() {
    const drained = this.queue.drain()
    for (let at = 0; drained && at < drained.length; ) {
      const end = at + 4 + drained.readUInt32LE(at)
      this.frame(drained.readUInt8(at + 4), drained.subarray(at + 5, end))
      at = end
    }
    for (const resume of this.waiting.splice(0)) resume()
  }

  private frame(kind: number, body: Buffer) {
    const json = (from: number) => JSON.parse(body.toString('utf8', from))
    if (kind === 0) {
      const [worker, token] = [body.readUInt32LE(0), body.readDoubleLE(4)]
      const [retries, deliveries, length] = [12, 16, 20].map((at) => body.readUInt32LE(at)) as [number, number, number]
      const queue = body.toString('utf8', 24, 24 + length)
      this.tasks.push({ worker, token, retries, deliveries, queue, message: json(24 + length) })
    } else if (kind <= 2) this.signals.push([kind, body.readDoubleLE(4)])
    else if (kind === 3) this.results.push(json(0))
    else if (kind === 4) {
      const ticket = body.readDoubleLE(0)
      this.tickets.get(ticket)?.([body.readUInt8(8) === 1, json(9)])
      this.tickets.delete(ticket)
    } else this.events.push(json(0))
  }
}

function frames(parts: Buffer[]) {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(part.length)
      return [length, part]
    }),
  )
}

function report(kind: number, token: number, payload?: unknown) {
  const head = Buffer.alloc(9)
  head.writeUInt8(kind)
  head.writeDoubleLE(token, 1)
  return Buffer.concat([head, Buffer.from(payload === undefined ? '' : JSON.stringify(payload))])
}

const STARTED = 0
const DONE = 1
const FAILED = 2

describe('the border of the embedded task queue', () => {
  let folder: string
  let peer: Peer
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-tasks-'))
    peer = await Peer.open(folder)
  })
  afterEach(async () => {
    await peer.queue.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('sends, hands out, takes reports and tells results', async () => {
    const worker = await peer.worker({ name: 'w', prefetch: 2 })
    const ids = [newId(), newId()]
    assert.deepEqual(await peer.send(...ids.map((id, n) => ({ id, name: 'add', args: [n, 1], queue: 'sums' }))), [])
    peer.queue.watch(ids)
    await peer.until(() => peer.tasks.length === 2)
    const [first, second] = peer.tasks as [Taken, Taken]
    assert.deepEqual(
      [first.worker, first.queue, first.retries, first.deliveries, first.message.args],
      [worker, 'sums', 0, 1, [0, 1]],
    )
    assert.deepEqual(await peer.report(STARTED, first.token), [])
    assert.deepEqual(await peer.report(DONE, first.token, 1), [])
    assert.deepEqual(await peer.report(DONE, first.token, 2), [0], 'late')
    const error = { type: 'TypeError', message: 'no', traceback: 'at x' }
    await peer.report(FAILED, second.token, error)
    assert.equal((await peer.control({ op: 'get', id: ids[1] })).state, 'retry')
    await peer.control({ op: 'revoke', id: ids[1] })
    peer.queue.watch(ids)
    await peer.until(() => peer.results.length >= 3)
    const states = peer.results.map(({ id, state }) => [id, state])
    assert.deepEqual(states.slice(0, 2), [
      [ids[0], 'success'],
      [ids[1], 'revoked'],
    ])
    assert.equal(peer.results[0]?.workerId, 'w')
  })

  it('tells in one answer what of a batch was refused and what is a duplicate', async () => {
    const id = newId()
    const odd = await peer.send(
      { id, name: 'a' },
      { id, name: 'a' },
      { id: 'x', name: 'a' },
      { id: newId(), name: 'b' },
    )
    assert.deepEqual(
      odd.map(({ index, id, code }) => ({ index, id, code })),
      [
        { index: 1, id, code: undefined },
        { index: 2, id: undefined, code: 'INVALID_INPUT' },
      ],
    )
    assert.equal((await peer.control<{ pending: number }>({ op: 'count' })).pending, 2)
    for (const broken of [Buffer.from([9, 0, 0, 0, 1]), Buffer.from([255, 255, 255, 255])]) {
      await assert.rejects(
        peer.ask((ticket) => peer.queue.send(ticket, broken)),
        { code: 'INVALID_INPUT' },
      )
    }
  })

  it('runs workflows, and signals a task that is called off', async () => {
    await peer.worker({ prefetch: 10 })
    const add = (...args: number[]) => ({ task: 'add', args })
    const signature = { id: newId(), chord: { header: [add(1, 2), add(3, 4)], body: { task: 'add' } } }
    const sent = await peer.ask((ticket) => peer.queue.sendWorkflow(ticket, JSON.stringify(signature)))
    peer.queue.watch([signature.id])
    assert.deepEqual(sent, { id: signature.id, duplicate: false })
    const sum = (value: unknown): number =>
      Array.isArray(value) ? value.reduce((total, each) => total + sum(each), 0) : (value as number)
    for (let done = 0; done < 3; done += 1) {
      await peer.until(() => peer.tasks.length > done)
      const task = peer.tasks[done] as Taken
      await peer.report(DONE, task.token, sum(task.message.args))
    }
    await peer.until(() => peer.results.length > 0)
    assert.equal(peer.results[0]?.result, 10)

    const id = newId()
    await peer.send({ id, name: 'long' })
    await peer.until(() => peer.tasks.length === 4)
    await peer.control({ op: 'revoke', id })
    await peer.until(() => peer.signals.length > 0)
    assert.deepEqual(peer.signals, [[1, peer.tasks[3]?.token]])
    await assert.rejects(
      peer.ask((ticket) => peer.queue.sendWorkflow(ticket, '{"chain":[]}')),
      { code: 'INVALID_WORKFLOW' },
    )
  })

  it('tells events while they are wanted, and closes workers', async () => {
    peer.queue.wantEvents(true)
    const worker = await peer.worker({ name: 'w' })
    await peer.send({ id: newId(), name: 'a' })
    await peer.until(() => peer.events.length >= 3)
    await peer.ask((ticket) => peer.queue.drainWorker(ticket, worker))
    await peer.ask((ticket) => peer.queue.closeWorker(ticket, worker))
    await peer.until(() => peer.events.length >= 4)
    assert.deepEqual(
      peer.events.map(({ event }) => event),
      ['worker-online', 'sent', 'received', 'worker-offline'],
    )
    peer.queue.wantEvents(false)
    peer.queue.unwatch([newId()])
  })

  it('keeps everything over a close, and is locked while it is open', async () => {
    const id = newId()
    await peer.send({ id, name: 'a' })
    await assert.rejects(Peer.open(folder), { code: 'STORE_LOCKED' })
    await peer.queue.close()
    assert.throws(
      () => peer.queue.wantEvents(true),
      (error) => toEngineError(error).code === 'CLOSED',
    )
    await peer.queue.close()
    peer = await Peer.open(folder, { durability: 'fsync' })
    assert.equal((await peer.control({ op: 'get', id })).state, 'pending')
    await assert.rejects(Peer.open(folder, { syncMs: 'x' }), { code: 'INVALID_OPTION' })
  })

  it('has the steps of workflows for a broker with a store of its own', () => {
    const { prepareWorkflow, beginWorkflow, advanceWorkflow, completeJoin, nextFiring } = native()
    const tree = { chord: { header: [{ task: 'a' }, { task: 'b' }], body: { task: 'c' } } }
    const { signature, tasks } = JSON.parse(prepareWorkflow(JSON.stringify(tree)))
    assert.equal(tasks, 3)
    const begun = JSON.parse(beginWorkflow(JSON.stringify(signature)))
    const names = (effects: { sends: { name: string }[] }) => effects.sends.map(({ name }) => name)
    assert.deepEqual([names(begun), begun.joins[0].count], [['a', 'b'], 2])
    const [a] = begun.sends
    const advance = () =>
      JSON.parse(advanceWorkflow(JSON.stringify(a.then), '{"result":1}', signature.id, a.id)) as { parts: object[] }
    assert.deepEqual(advance(), advance(), 'the same twice')
    assert.deepEqual(advance().parts, [{ part: { id: begun.joins[0].id, index: 0 }, outcome: { result: 1 } }])
    const complete = () => JSON.parse(completeJoin(JSON.stringify(begun.joins[0]), '[{"result":1},{"result":2}]'))
    const [callback] = complete().sends
    assert.deepEqual([callback.args, callback.id], [[[1, 2]], complete().sends[0].id])
    const code = (call: () => unknown) => {
      try {
        call()
      } catch (error) {
        return toEngineError(error).code
      }
    }
    assert.equal(
      code(() => completeJoin('{}', '[]')),
      'INVALID_WORKFLOW',
    )
    assert.equal(nextFiring('{"everyMs":50}', 1000), 1050)
    for (const cron of ['x', '0 0 30 2 *']) {
      assert.equal(
        code(() => nextFiring(JSON.stringify({ cron }), 0)),
        'INVALID_OPTION',
      )
    }
  })
})

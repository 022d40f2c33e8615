import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import helper from 'node-red-node-test-helper'
import httpNode from '../../nodes/action/http'
import {
  ActionDriver,
  createDriver,
  type DeliveryOptions,
  DriverError,
  type OutboxOptions,
  OutboxSender,
  type Settled,
} from '../../nodes/action/lib'
import { native } from '../../nodes/shared/native'
import { age } from '../../nodes/shared/status'
import { alert, type Json, measurement, Rig } from './rig'
import { code, down, gate, message, never, type Outcome, refused, Scripted } from './scripted'

const fast: DeliveryOptions = { backoffMs: 1, maxBackoffMs: 5, timeoutMs: 2000, breakAfter: null }

let folder: string
const open: OutboxSender[] = []

/** A sender that notes what became of what it took. */
function outbox(transport: Scripted, options: DeliveryOptions = {}, own: Partial<OutboxOptions> = {}) {
  const sender = new OutboxSender(transport, { folder: join(folder, 'box'), ...own }, { ...fast, ...options })
  const settled: Settled[] = []
  sender.onSettled = (one) => settled.push(one)
  open.push(sender)
  return Object.assign(sender, { settled })
}

const eventually = async (fits: () => boolean) => {
  while (!fits()) await new Promise((resolve) => setTimeout(resolve, 2))
}
const empty = (sender: OutboxSender) => eventually(() => sender.status().outbox?.records === 0)
const dataOf = (transport: Scripted) => transport.calls.map(({ delivery }) => delivery.data)

describe('outbox', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((sender) => sender.close(100)))
    rmSync(folder, { recursive: true, force: true })
  })

  it('gives its receipt when the delivery is on the disk, and delivers it later', async () => {
    const { wait, open: letGo } = gate()
    const transport = new Scripted([wait])
    const sender = outbox(transport)
    const receipt = await sender.send(message('a', 's'))
    assert.deepEqual([receipt.stored, receipt.attempts, receipt.result], [0, 0, undefined])
    const { records, oldestMs } = sender.status().outbox ?? {}
    assert.equal(records, 1)
    assert.ok(Math.abs((oldestMs ?? 0) - Date.now()) < 60_000)
    letGo('fine')
    await empty(sender)
    assert.deepEqual(dataOf(transport), ['a'])
    const { sent, failed, waiting } = sender.status()
    assert.deepEqual([sent, failed, waiting], [1, 0, 0])
    assert.deepEqual(
      sender.settled.map(({ attempts, error }) => [attempts, error]),
      [[1, null]],
    )
  })

  it('gives back what was put in: Buffers, dates, numbers that JSON does not have', async () => {
    const transport = new Scripted()
    const data = { bytes: Buffer.from([0, 255]), at: new Date(5), big: 7n, none: undefined, not: Number.NaN }
    const sender = outbox(transport)
    await sender.send({ kind: 'alert', data, source: 's' })
    await empty(sender)
    const [{ delivery } = assert.fail()] = transport.calls
    assert.deepEqual(delivery, { kind: 'alert', data, source: 's' })
    assert.ok(Buffer.isBuffer((delivery.data as typeof data).bytes))
  })

  it('tries what may work later until it works, however often, and tells each attempt its number', async () => {
    const transport = new Scripted(Array.from({ length: 20 }, down))
    const sender = outbox(transport, { retries: 1 })
    await sender.send(message(1))
    await empty(sender)
    assert.deepEqual(
      transport.attempts(),
      Array.from({ length: 21 }, (_, at) => at + 1),
    )
    const { sent, failed, retried, recovered } = sender.status()
    assert.deepEqual([sent, failed, retried, recovered], [1, 0, 20, true])
    assert.equal(sender.settled[0]?.attempts, 21)
  })

  it('tries what may itself be at fault no more often than wanted, and goes on with its source', async () => {
    const hangs = () => new DriverError('TIMEOUT', 'too long', { suspect: true })
    const transport = new Scripted([hangs(), hangs(), hangs()])
    const sender = outbox(transport, { retries: 2 })
    await Promise.all([sender.send(message('bad', 's')), sender.send(message('good', 's'))])
    await empty(sender)
    assert.deepEqual(dataOf(transport), ['bad', 'bad', 'bad', 'good'])
    assert.deepEqual(
      sender.settled.map(({ attempts, error }) => [attempts, error?.code]),
      [
        [3, 'TIMEOUT'],
        [1, undefined],
      ],
    )
  })

  it('keeps the order of a source over an outage, and lets other sources go on', async () => {
    const transport = new Scripted()
    const refuseFirst = new Set(['a'])
    transport.deliver = async (delivery, attempt) => {
      transport.calls.push({ delivery, attempt, at: 0 })
      if (refuseFirst.has(delivery.source ?? '')) throw down()
    }
    const sender = outbox(transport, { concurrency: 2 })
    await Promise.all([1, 2, 3].flatMap((data) => [sender.send(message(data, 'a')), sender.send(message(data, 'b'))]))
    await eventually(() => sender.settled.length === 3)
    assert.deepEqual(
      sender.settled.map(({ delivery }) => [delivery.source, delivery.data]),
      [1, 2, 3].map((data) => ['b', data]),
    )
    refuseFirst.clear()
    await empty(sender)
    assert.deepEqual(
      sender.settled.slice(3).map(({ delivery }) => delivery.data),
      [1, 2, 3],
    )
  })

  it('a source that is stuck holds up no other, however much of it waits', async () => {
    const transport = new Scripted()
    const stuck = new Set(['a'])
    transport.deliver = async (delivery, attempt) => {
      transport.calls.push({ delivery, attempt, at: 0 })
      if (stuck.has(delivery.source ?? '')) throw down()
    }
    const many = Array.from({ length: 3000 }, (_, at) => at)
    const sender = outbox(transport, { queue: 10_000 })
    await Promise.all(many.map((data) => sender.send(message(data, 'a'))))
    await Promise.all([1, 2, 3].map((data) => sender.send(message(data, 'b'))))
    await eventually(() => sender.settled.length === 3)
    await Promise.all(
      [3000, 3001].flatMap((data) => [sender.send(message(data, 'a')), sender.send(message(data, 'b'))]),
    )
    await eventually(() => sender.settled.length === 5)
    // What is settled is acknowledged after it.
    await eventually(() => sender.status().outbox?.records === 3002)
    stuck.clear()
    await empty(sender)
    const settledOf = (source: string) =>
      sender.settled.filter(({ delivery }) => delivery.source === source).map(({ delivery }) => delivery.data)
    assert.deepEqual(settledOf('a'), [...many, 3000, 3001])
    assert.deepEqual(settledOf('b'), [1, 2, 3, 3000, 3001])
  })

  it('what is refused later is told, acknowledged, and holds up nobody', async () => {
    const transport = new Scripted([down(), refused()])
    const sender = outbox(transport, { concurrency: 1 })
    await sender.send(message('bad', 's'))
    await sender.send(message('good', 's'))
    await empty(sender)
    assert.deepEqual(
      sender.settled.map(({ delivery, attempts, error }) => [delivery.data, attempts, error?.code]),
      [
        ['bad', 2, 'REFUSED'],
        ['good', 1, undefined],
      ],
    )
    assert.deepEqual([sender.status().sent, sender.status().failed], [1, 1])
    await sender.close(1000)
    const later = outbox(transport)
    await later.open()
    assert.equal(later.status().outbox?.records, 0)
  })

  it('an open circuit is waited for, and costs no attempt', async () => {
    const transport = new Scripted([down(), down()])
    const sender = outbox(transport, { breakAfter: 2, breakMs: 50, concurrency: 3 })
    await Promise.all([1, 2, 3, 4, 5].map((data) => sender.send(message(data, `s${data}`))))
    await empty(sender)
    assert.equal(transport.calls.length, 7)
    assert.equal(
      sender.settled.reduce((sum, { attempts }) => sum + attempts, 0),
      7,
    )
    assert.equal(sender.status().circuit, 'closed')
  })

  it('waits as long as the other side wants', async () => {
    const transport = new Scripted([new DriverError('TRANSPORT', 'busy', { retryAfterMs: 60 })])
    const sender = outbox(transport)
    await sender.send(message(1))
    await empty(sender)
    const [first, second] = transport.calls
    assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 58)
  })

  it('close leaves what waits on the disk, at once; the next one delivers it in its order', async () => {
    const dead = new Scripted(Array.from({ length: 1000 }, down))
    const sender = outbox(dead, { backoffMs: 60_000, maxBackoffMs: 60_000 })
    await Promise.all(Array.from({ length: 100 }, (_, data) => sender.send(message(data, 's'))))
    await dead.until(1)
    const begun = performance.now()
    await sender.close(6500)
    assert.ok(performance.now() - begun < 6000)
    assert.equal(await code(sender.send(message(1))), 'CLOSED')
    assert.equal(sender.settled.length, 0)
    const transport = new Scripted()
    const next = outbox(transport)
    await next.open()
    await empty(next)
    assert.deepEqual(
      dataOf(transport),
      Array.from({ length: 100 }, (_, data) => data),
    )
  })

  it('what was under way when it closed leaves again', async () => {
    const sender = outbox(new Scripted([never]))
    await sender.send(message('a'))
    await eventually(() => sender.status().inFlight === 1)
    await sender.close(20)
    const transport = new Scripted()
    const next = outbox(transport)
    await next.open()
    await empty(next)
    assert.deepEqual(dataOf(transport), ['a'])
  })

  it('a failure to open the other side is visible, and loses nothing', async () => {
    const transport = new Scripted([], [down()])
    const sender = outbox(transport)
    assert.equal(await code(sender.open()), 'TRANSPORT')
    await sender.send(message('a'))
    await empty(sender)
    assert.deepEqual(dataOf(transport), ['a'])
  })

  it('a full one refuses, and keeps what it took', async () => {
    const { wait, open: letGo } = gate()
    const transport = new Scripted([wait])
    const sender = outbox(transport, {}, { maxBytes: 4000 })
    const sends = Array.from({ length: 10 }, (_, data) => sender.send(message({ data, fill: 'x'.repeat(700) }, 's')))
    const ends = await Promise.all(sends.map(code))
    const taken = ends.filter((end) => end === 'delivered').length
    assert.ok(taken > 0 && taken < 10, String(taken))
    assert.deepEqual(new Set(ends.slice(taken)), new Set(['BUFFER_FULL']))
    assert.equal(sender.status().lastError?.code, 'BUFFER_FULL')
    assert.equal(await code(sender.send(message('x'.repeat(3000)))), 'TOO_LARGE')
    letGo()
    await empty(sender)
    assert.deepEqual(
      dataOf(transport).map((data) => (data as { data: number }).data),
      Array.from({ length: taken }, (_, at) => at),
    )
    assert.equal(sender.status().failed, 11 - taken)
    // There is room again.
    await sender.send(message('more'))
    await empty(sender)
    assert.equal(sender.status().state, 'ready')
  })

  it('or lets the oldest go, which is counted', async () => {
    const transport = new Scripted([never])
    const sender = outbox(transport, { timeoutMs: 60_000 }, { maxBytes: 8000, whenFull: 'drop-oldest' })
    for (let data = 0; data < 40; data += 1) await sender.send(message('x'.repeat(500), 's'))
    const { dropped, outbox: stored } = sender.status()
    assert.ok(dropped > 0)
    assert.equal((stored?.records ?? 0) + dropped, 40)
  })

  it('more than the queue may not wait for the disk', async () => {
    const sender = outbox(new Scripted(), { queue: 2 })
    const ends = await Promise.all([1, 2, 3, 4].map((data) => code(sender.send(message(data)))))
    assert.ok(ends.includes('BUFFER_FULL') && ends.includes('delivered'), String(ends))
  })

  it('one that another has is said, and used when it is free', async () => {
    const first = outbox(new Scripted())
    await first.open()
    const transport = new Scripted()
    const second = outbox(transport)
    assert.equal(await code(second.open()), 'STORE_LOCKED')
    assert.equal(await code(second.send(message('lost'))), 'STORE_LOCKED')
    assert.deepEqual([second.status().state, second.status().lastError?.code], ['failed', 'STORE_LOCKED'])
    await first.close(100)
    await eventually(() => second.status().lastError === null)
    await second.send(message('a'))
    await empty(second)
    assert.deepEqual(dataOf(transport), ['a'])
  })

  it('a folder that cannot be used is said, and used once it can be', async () => {
    writeFileSync(join(folder, 'box'), 'in the way')
    const transport = new Scripted()
    const sender = outbox(transport)
    assert.equal(await code(sender.open()), 'STORE_FAILED')
    assert.equal(await code(sender.send(message('lost'))), 'STORE_FAILED')
    rmSync(join(folder, 'box'))
    await sender.send(message('a'))
    await empty(sender)
    assert.deepEqual([dataOf(transport), sender.status().lastError], [['a'], null])
  })

  it('a store whose folder was removed takes nothing, and is opened anew by itself', async () => {
    const { wait, open: letGo } = gate()
    const transport = new Scripted([wait])
    const sender = outbox(transport)
    await sender.send(message('a', 's'))
    await transport.until(1)
    rmSync(join(folder, 'box'), { recursive: true })
    assert.equal(await code(sender.send(message('lost'))), 'STORE_FAILED')
    assert.deepEqual([sender.status().state, sender.status().lastError?.code], ['failed', 'STORE_FAILED'])
    await eventually(() => sender.status().lastError === null)
    // It has the number that 'a' had.
    assert.equal((await sender.send(message('b', 's'))).stored, 0)
    letGo()
    await empty(sender)
    assert.deepEqual(dataOf(transport), ['a', 'b'])
  })

  it('and delivers what it still has', async () => {
    const { wait, open: letGo } = gate()
    const transport = new Scripted([wait])
    const box = join(folder, 'box')
    // Few records a file.
    const sender = outbox(transport, { concurrency: 1 }, { maxBytes: 4000 })
    for (let data = 0; data < 4; data += 1) await sender.send(message({ data, fill: 'x'.repeat(600) }, 's'))
    const [newest = ''] = readdirSync(box)
      .filter((name) => name.endsWith('.spool'))
      .sort()
      .reverse()
    rmSync(join(box, newest))
    assert.equal(await code(sender.send(message('lost'))), 'STORE_FAILED')
    await eventually(() => sender.status().lastError === null)
    await sender.send(message({ data: 4 }, 's'))
    letGo()
    await empty(sender)
    // What was under way leaves again.
    const arrived = dataOf(transport).map((data) => (data as { data: number }).data)
    assert.deepEqual(arrived, [0, 0, 1, 2, 4])
  })

  it('an acknowledgement that fails is said, and tried again by itself; nothing leaves twice', async () => {
    const { prototype } = native().Spool
    const { ack } = prototype
    let broken = true
    prototype.ack = function (numbers) {
      if (!broken) return ack.call(this, numbers)
      return Promise.reject(Object.assign(new Error('no disk'), { code: 'STORE_FAILED' }))
    }
    try {
      const transport = new Scripted()
      const sender = outbox(transport)
      await sender.send(message('a', 's'))
      await sender.send(message('b', 's'))
      await eventually(() => sender.settled.length === 2 && sender.status().lastError?.code === 'STORE_FAILED')
      assert.equal(sender.status().outbox?.records, 2)
      broken = false
      await empty(sender)
      await eventually(() => sender.status().lastError === null)
      assert.equal(sender.status().state, 'ready')
      assert.deepEqual(dataOf(transport), ['a', 'b'])
    } finally {
      prototype.ack = ack
    }
  })

  it('a record that nobody can read is given as it is', async () => {
    const spool = await native().Spool.open(join(folder, 'box'), '{}')
    await spool.append([Buffer.from('no delivery')])
    await spool.close()
    const transport = new Scripted()
    const sender = outbox(transport)
    await sender.send(message('a'))
    await empty(sender)
    assert.deepEqual(dataOf(transport), ['a'])
    const [strange] = sender.settled
    assert.equal(strange?.error?.code, 'STORE_CORRUPT')
    assert.equal(String(strange?.delivery.data), 'no delivery')
  })

  it('data that cannot be stored is an error of the message', async () => {
    assert.equal(await code(outbox(new Scripted()).send(message(() => {}))), 'INVALID_INPUT')
  })

  it('wrong settings are refused', () => {
    const wrong: Partial<Record<keyof OutboxOptions, unknown>>[] = [
      { folder: '' },
      { maxBytes: 0 },
      { whenFull: 'wait' },
    ]
    for (const own of wrong) {
      assert.throws(() => outbox(new Scripted(), {}, own as never), { code: 'INVALID_OPTION' })
    }
  })

  it('5,000 deliveries of 50 sources over failures of every kind arrive in their order', async () => {
    const outcomes: Outcome[] = Array.from({ length: 3000 }, (_, at) => (at % 3 === 0 ? down() : undefined))
    const transport = new Scripted(outcomes)
    const sender = outbox(transport, { queue: 10_000, concurrency: 16 })
    const sends = Array.from({ length: 5000 }, (_, at) => sender.send(message(Math.floor(at / 50), `s${at % 50}`)))
    await Promise.all(sends)
    await empty(sender)
    const bySource = new Map<string, unknown[]>()
    for (const { delivery } of sender.settled) {
      const source = delivery.source as string
      bySource.set(source, [...(bySource.get(source) ?? []), delivery.data])
    }
    assert.equal(bySource.size, 50)
    for (const data of bySource.values()) {
      assert.deepEqual(
        data,
        Array.from({ length: 100 }, (_, at) => at),
      )
    }
  })

  it('a full disk is said, and loses nothing that was taken', async function () {
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', disk]).status !== 0) {
      console.log('\nSKIPPED outbox: a full disk (needs the right to mount one)\n')
      return this.skip()
    }
    try {
      const { wait, open: letGo } = gate()
      const transport = new Scripted([wait])
      const sender = outbox(transport, {}, { folder: join(disk, 'box'), maxBytes: 1 << 20 })
      let taken = 0
      let end = 'delivered'
      while (end === 'delivered') {
        end = await code(sender.send(message({ taken, fill: 'x'.repeat(3000) }, 's')))
        if (end === 'delivered') taken += 1
      }
      assert.equal(end, 'DISK_FULL')
      assert.equal(sender.status().lastError?.code, 'DISK_FULL')
      letGo()
      await empty(sender)
      assert.deepEqual(
        dataOf(transport).map((data) => (data as { taken: number }).taken),
        Array.from({ length: taken }, (_, at) => at),
      )
      assert.equal(await code(sender.send(message('x'.repeat(3000)))), 'delivered')
      await sender.close(1000)
    } finally {
      spawnSync('umount', ['--lazy', disk])
    }
  })
})

describe('a driver with an outbox', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('has in its history what became of a delivery, once, and tells what failed', async () => {
    const transport = new Scripted([down(), undefined, refused()])
    const sender = new OutboxSender(transport, { folder }, fast)
    const failures: unknown[] = []
    const driver = new ActionDriver(transport, sender, 10, (delivery, error, attempts) =>
      failures.push([delivery.data, error.code, attempts]),
    )
    await driver.onMessage('a')
    await eventually(() => driver.history().length === 1)
    await driver.onMessage('b')
    await eventually(() => driver.history().length === 2)
    assert.deepEqual(
      driver.history().map(({ data, attempts, code }) => [data, attempts, code]),
      [
        ['b', 1, 'REFUSED'],
        ['a', 2, null],
      ],
    )
    assert.deepEqual(failures, [['b', 'REFUSED', 1]])
    await driver.shutdown()
    assert.equal(await code(driver.onMessage('c')), 'CLOSED')
  })

  it('every kind has one', async () => {
    const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const driver = createDriver('http', { url: `http://127.0.0.1:${port}/`, outbox: { folder } })
    assert.equal(typeof (await driver.onMeasurement(measurement(1) as never)).stored, 'number')
    await eventually(() => driver.state.sent === 1)
    await driver.shutdown()
    server.close()
  })
})

describe('millrace-action-http with an outbox', () => {
  let server: Server
  let answer: number
  let bodies: Json[]
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-outbox-'))
    helper.settings({ userDir: folder } as never)
    answer = 200
    bodies = []
    server = createServer((request, response) => {
      let text = ''
      request.on('data', (part) => {
        text += part
      })
      request.on('end', () => {
        if (answer === 200) bodies.push(JSON.parse(text))
        response.writeHead(answer).end()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(async () => {
    await Rig.stop()
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const settings = (config: Json = {}) => {
    const { port } = server.address() as { port: number }
    return { url: `http://127.0.0.1:${port}/`, durable: true, backoffMs: 1, maxBackoffMs: 20, ...config }
  }
  const start = (config: Json = {}, wiring = {}) =>
    Rig.start(httpNode, 'millrace-action-http', settings(config), wiring)

  it('is done when it is stored, though the other side is down; delivers after a deploy', async () => {
    answer = 503
    const rig = await start()
    rig.send({ _msgid: 'm', action: 'alert', payload: alert('a') })
    const [stored] = await rig.until('first')
    assert.deepEqual([stored._msgid, stored.delivery.stored, stored.result], ['m', 0, undefined])
    await rig.until('completed')
    await rig.status(({ text, fill }) => text === 'status.stored' && fill === 'yellow')
    await rig.redeploy(settings({ name: 'new' }))
    assert.equal(bodies.length, 0)
    answer = 200
    await eventually(() => bodies.length === 1)
    assert.equal(bodies[0]?.alertId, 'a')
    assert.deepEqual(rig.seen.second, [])
  })

  it('what is refused later leaves by the second output, with the delivery', async () => {
    answer = 400
    const rig = await start()
    rig.send({ action: 'alert', payload: alert('a') })
    const [failure] = await rig.until('second')
    assert.deepEqual([failure.action, failure.topic, failure.payload], ['alert', 'sensor', alert('a')])
    assert.deepEqual([failure.delivery.error.code, failure.delivery.attempts], ['REFUSED', 1])
    await rig.until('first')
  })

  it('or goes to a Catch node, where nothing is wired there', async () => {
    answer = 400
    const rig = await start({ accept: 'any' }, { wired: [true, false, false] })
    rig.send({ payload: 'any' })
    const [caught] = await rig.until('caught')
    assert.deepEqual([caught.payload, caught.delivery.error.code, 'topic' in caught], ['any', 'REFUSED', false])
  })

  it('its folder may be named, within the user directory', async () => {
    const rig = await start({ outboxFolder: 'far/away', outboxMb: 1 })
    rig.send({ action: 'alert', payload: alert('a') })
    await eventually(() => bodies.length === 1)
    await Rig.stop()
    const spool = await native().Spool.open(join(folder, 'far/away'), '{}')
    assert.equal(spool.stats().records, 0)
    await spool.close()
    for (const outboxFolder of ['../out', '/tmp/out', 'a/../../b', 'C:\\out']) {
      const wrong = await start({ outboxFolder })
      await wrong.until('error')
      await Rig.stop()
    }
  })

  it('its age is told in one unit', () => {
    const cases: [number, string][] = [
      [-5, '0 s'],
      [119_000, '119 s'],
      [150_000, '3 min'],
      [7_200_000, '2 h'],
      [200 * 3_600_000, '8 d'],
    ]
    for (const [ms, text] of cases) assert.equal(age(ms), text)
  })

  it('a failure of the store is an error of the message', async () => {
    const rig = await start({ outboxMb: 1 })
    rig.send({ action: 'alert', payload: { ...alert('a'), fill: 'x'.repeat(1 << 20) } })
    const [failure] = await rig.until('second')
    assert.equal(failure.delivery.error.code, 'TOO_LARGE')
  })
})

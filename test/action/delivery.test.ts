import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mock } from 'node:test'
import {
  ActionDriver,
  createDriver,
  type DeliveryOptions,
  DirectSender,
  DriverError,
  type Transport,
} from '../../nodes/action/lib'
import { EngineError } from '../../nodes/shared/errors'
import { code, down, gate, message, never, type Outcome, refused, Scripted } from './scripted'

const fast: DeliveryOptions = { backoffMs: 0, timeoutMs: 2000 }
const machine = (transport: Transport, options: DeliveryOptions = {}) =>
  new DirectSender(transport, { ...fast, ...options })

describe('delivery: retries', () => {
  const cases: [title: string, outcomes: Outcome[], ends: string, attempts: number[]][] = [
    ['what succeeds is tried once', [], 'delivered', [1]],
    ['what may work later is tried again', [down(), down()], 'delivered', [1, 2, 3]],
    ['after so many retries it fails', [down(), down(), down(), down(), down()], 'TRANSPORT', [1, 2, 3, 4]],
    ['what is refused is not tried again', [refused()], 'REFUSED', [1]],
    ['a failure that nobody knows is a bug, not tried again', [new Error('?')], 'INTERNAL', [1]],
  ]
  for (const [title, outcomes, ends, attempts] of cases) {
    it(title, async () => {
      const transport = new Scripted(outcomes)
      const sender = machine(transport)
      assert.equal(await code(sender.send(message(1))), ends)
      assert.deepEqual(transport.attempts(), attempts)
      const { sent, failed, retried, waiting, inFlight } = sender.status()
      const good = ends === 'delivered'
      assert.deepEqual(
        [sent, failed, retried, waiting, inFlight],
        [Number(good), Number(!good), attempts.length - 1, 0, 0],
      )
    })
  }

  it('pauses are random parts of a time that doubles, up to a limit', async () => {
    const timers = mock.method(globalThis, 'setTimeout')
    try {
      const transport = new Scripted([down(), down(), down(), down()])
      const sender = new DirectSender(
        transport,
        { backoffMs: 2, maxBackoffMs: 6, retries: 4, timeoutMs: 5000 },
        { random: () => 0.5 },
      )
      await sender.send(message(1))
      const pauses = timers.mock.calls.map((call) => call.arguments[1]).filter((ms) => ms !== 5000)
      assert.deepEqual(pauses, [1, 2, 3, 3])
    } finally {
      timers.mock.restore()
    }
  })

  it('waits as long as the other side wants', async () => {
    const later = new DriverError('TRANSPORT', 'busy', { retryAfterMs: 60 })
    const transport = new Scripted([later])
    await machine(transport).send(message(1))
    const [first, second] = transport.calls
    // Timers may fire a little early.
    assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 58)
  })

  it('a try that takes too long is given up, its signal aborted, and tried again', async () => {
    const transport = new Scripted([never, 'late but there'])
    const receipt = await machine(transport, { timeoutMs: 30 }).send(message(1))
    assert.deepEqual([receipt.result, receipt.attempts], ['late but there', 2])
    assert.equal(transport.signals.at(1)?.aborted, true)
    const lost = machine(new Scripted([never]), { timeoutMs: 20, retries: 0 })
    assert.equal(await code(lost.send(message(1))), 'TIMEOUT')
  })

  it('what ends after it was given up harms nobody', async () => {
    const late = gate()
    const transport = new Scripted([() => late.wait().then(() => Promise.reject(new Error('too late')))])
    const sender = machine(transport, { timeoutMs: 20, retries: 0 })
    assert.equal(await code(sender.send(message(1))), 'TIMEOUT')
    late.open()
    await new Promise(setImmediate)
    assert.equal(await code(sender.send(message(2))), 'delivered')
  })
})

describe('delivery: order and bounds', () => {
  it('what is of one source goes one by one, other sources meanwhile', async () => {
    const [a1, b1] = [gate(), gate()]
    const transport = new Scripted([a1.wait, b1.wait])
    const sender = machine(transport, { concurrency: 4 })
    const sends = [sender.send(message('a1', 'a')), sender.send(message('a2', 'a')), sender.send(message('b1', 'b'))]
    await transport.until(2)
    assert.deepEqual(
      transport.calls.map(({ delivery }) => delivery.data),
      ['a1', 'b1'],
    )
    b1.open()
    a1.open()
    await Promise.all(sends)
    assert.deepEqual(
      transport.calls.map(({ delivery }) => delivery.data),
      ['a1', 'b1', 'a2'],
    )
  })

  it('a source whose delivery is tried again keeps its order', async () => {
    const transport = new Scripted([down(), down()])
    const sender = machine(transport, { concurrency: 4 })
    await Promise.all([1, 2, 3].map((data) => sender.send(message(data, 'a'))))
    assert.deepEqual(
      transport.calls.map(({ delivery }) => delivery.data),
      [1, 1, 1, 2, 3],
    )
  })

  it('no more than so many at a time', async () => {
    const gates = Array.from({ length: 6 }, gate)
    const transport = new Scripted(gates.map(({ wait }) => wait))
    const sender = machine(transport, { concurrency: 2 })
    const sends = gates.map((_, data) => sender.send(message(data)))
    for (const [place, { open }] of gates.entries()) {
      await transport.until(Math.min(place + 2, gates.length))
      assert.ok(sender.status().inFlight <= 2)
      open()
    }
    await Promise.all(sends)
    assert.equal(transport.calls.length, 6)
  })

  it('a full queue refuses the new one', async () => {
    const first = gate()
    const sender = machine(new Scripted([first.wait]), { concurrency: 1, queue: 1 })
    const sends = [1, 2, 3].map((data) => code(sender.send(message(data))))
    first.open()
    assert.deepEqual(await Promise.all(sends), ['delivered', 'delivered', 'BUFFER_FULL'])
    assert.equal(sender.status().dropped, 0)
  })

  it('or lets the oldest go, which is counted', async () => {
    const first = gate()
    const transport = new Scripted([first.wait])
    const sender = machine(transport, { concurrency: 1, queue: 2, whenFull: 'drop-oldest' })
    const sends = [1, 2, 3, 4].map((data) => code(sender.send(message(data, 'a'))))
    first.open()
    assert.deepEqual(await Promise.all(sends), ['delivered', 'BUFFER_FULL', 'delivered', 'delivered'])
    assert.deepEqual(
      transport.calls.map(({ delivery }) => delivery.data),
      [1, 3, 4],
    )
    assert.equal(sender.status().dropped, 1)
  })

  it('one that pauses can be the one that goes; those behind it go on', async () => {
    const busy = new DriverError('TRANSPORT', 'busy', { retryAfterMs: 60_000 })
    const transport = new Scripted([busy])
    const sender = machine(transport, { concurrency: 1, queue: 1, whenFull: 'drop-oldest' })
    const first = code(sender.send(message(1, 'a')))
    await transport.until(1)
    while (sender.status().waiting === 0) await new Promise(setImmediate)
    assert.deepEqual(await Promise.all([first, code(sender.send(message(2, 'a')))]), ['BUFFER_FULL', 'delivered'])
  })

  it('10,000 deliveries of 100 sources all arrive, in order by source', async () => {
    const transport = new Scripted()
    const sender = machine(transport, { queue: 10_000, concurrency: 8 })
    const sends = Array.from({ length: 10_000 }, (_, place) => sender.send(message(place, `s${place % 100}`)))
    await Promise.all(sends)
    const last = new Map<string, number>()
    for (const { delivery } of transport.calls) {
      const source = delivery.source as string
      assert.ok((last.get(source) ?? -1) < (delivery.data as number))
      last.set(source, delivery.data as number)
    }
    assert.equal(sender.status().sent, 10_000)
    assert.equal(sender.status().latencyMs?.count, 1000)
  })
})

describe('delivery: the circuit', () => {
  it('opens after failures in a row, fails at once, and closes with one that succeeds', async () => {
    let now = performance.now()
    const clock = mock.method(performance, 'now', () => now)
    try {
      const transport = new Scripted([down(), down(), down()])
      const sender = machine(transport, { retries: 0, breakAfter: 2, breakMs: 1000, concurrency: 1 })
      assert.equal(await code(sender.send(message(1))), 'TRANSPORT')
      assert.equal(sender.status().circuit, 'closed')
      assert.equal(await code(sender.send(message(2))), 'TRANSPORT')
      assert.equal(sender.status().circuit, 'open')
      assert.equal(await code(sender.send(message(3))), 'CIRCUIT_OPEN')
      assert.equal(transport.calls.length, 2)
      now += 1001
      assert.equal(sender.status().circuit, 'half-open')
      // One tries, and fails: the pause begins anew.
      assert.deepEqual(await Promise.all([4, 5].map((data) => code(sender.send(message(data))))), [
        'TRANSPORT',
        'CIRCUIT_OPEN',
      ])
      now += 1001
      assert.equal(await code(sender.send(message(6))), 'delivered')
      assert.equal(sender.status().circuit, 'closed')
      assert.equal(sender.status().recovered, true)
    } finally {
      clock.mock.restore()
    }
  })

  it('who refuses is there: the circuit stays closed', async () => {
    const sender = machine(new Scripted([down(), refused(), down(), refused()]), { retries: 0, breakAfter: 2 })
    for (let turn = 0; turn < 4; turn += 1) await code(sender.send(message(turn)))
    assert.equal(sender.status().circuit, 'closed')
  })

  it('a delivery whose next try it forbids fails with its own reason', async () => {
    const sender = machine(new Scripted([down(), down()]), { retries: 5, breakAfter: 2 })
    assert.equal(await code(sender.send(message(1))), 'TRANSPORT')
    assert.equal(sender.status().retried, 1)
  })

  it('can be left out', async () => {
    const transport = new Scripted(Array.from({ length: 50 }, down))
    const sender = machine(transport, { retries: 0, breakAfter: null })
    for (let turn = 0; turn < 50; turn += 1) assert.equal(await code(sender.send(message(turn))), 'TRANSPORT')
    assert.equal(transport.calls.length, 50)
  })
})

describe('delivery: open and close', () => {
  it('a failure to open is visible, and tried again until it works', async () => {
    const transport = new Scripted([], [down(), down()])
    const sender = machine(transport)
    assert.equal(sender.status().state, 'opening')
    assert.equal(await code(sender.open()), 'TRANSPORT')
    assert.deepEqual([sender.status().state, sender.status().lastError?.code], ['failed', 'TRANSPORT'])
    await once(transport.events, 'open', { signal: AbortSignal.timeout(45_000) })
    await new Promise(setImmediate)
    assert.deepEqual([sender.status().state, transport.opens], ['ready', 3])
  })

  it('one that cannot work later is not tried again', async () => {
    const transport = new Scripted([], [refused()])
    assert.equal(await code(machine(transport).open()), 'REFUSED')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(transport.opens, 1)
  })

  it('a delivery opens what is not open', async () => {
    const transport = new Scripted([], [down()])
    const receipt = await machine(transport).send(message(1))
    assert.deepEqual([transport.opens, receipt.attempts], [2, 2])
  })

  it('close lets what waits go out, and takes nothing more', async () => {
    const first = gate()
    const transport = new Scripted([first.wait])
    const sender = machine(transport, { concurrency: 1 })
    const sends = [1, 2, 3].map((data) => code(sender.send(message(data))))
    const closed = sender.close(5000)
    assert.equal(await code(sender.send(message(4))), 'CLOSED')
    first.open()
    await closed
    assert.deepEqual(await Promise.all(sends), ['delivered', 'delivered', 'delivered'])
    assert.equal(sender.status().state, 'closed')
  })

  it('what pauses gets one more try at once, and no other', async () => {
    const busy = () => new DriverError('TRANSPORT', 'busy', { retryAfterMs: 60_000 })
    const transport = new Scripted([busy(), busy()])
    const sender = machine(transport, { retries: 10 })
    const sent = code(sender.send(message(1)))
    await transport.until(1)
    while (sender.status().waiting === 0) await new Promise(setImmediate)
    await sender.close(5000)
    assert.equal(await sent, 'TRANSPORT')
    assert.equal(transport.calls.length, 2)
  })

  it('an opening under way is broken off', async () => {
    const transport = new Scripted([], [never])
    const sender = machine(transport, { timeoutMs: 60_000 })
    const opened = code(sender.open())
    await sender.close(1000)
    assert.deepEqual([await opened, transport.signals[0]?.aborted, transport.opens], ['CLOSED', true, 1])
  })

  it('what does not end in time is given up', async () => {
    const transport = new Scripted([never, never])
    const sender = machine(transport, { concurrency: 1, timeoutMs: 60_000 })
    const sends = [1, 2].map((data) => code(sender.send(message(data))))
    await transport.until(1)
    await sender.close(30)
    assert.deepEqual(await Promise.all(sends), ['CLOSED', 'CLOSED'])
    assert.equal(transport.signals.at(1)?.aborted, true)
  })
})

describe('delivery: wrong settings', () => {
  const wrong: [keyof DeliveryOptions, unknown][] = [
    ['timeoutMs', 0],
    ['retries', -1],
    ['concurrency', '2'],
    ['queue', Number.NaN],
    ['whenFull', 'wait'],
    ['breakAfter', 0],
  ]
  for (const [name, value] of wrong) {
    it(`${name} ${value} is refused`, () => {
      assert.throws(() => machine(new Scripted(), { [name]: value }), { code: 'INVALID_OPTION' })
    })
  }
})

describe('a driver', () => {
  const driverOf = (transport: Transport, history = 100) => new ActionDriver(transport, machine(transport), history)
  const measurement = { sourceNodeId: 's', timestamp: 1, value: 2 }
  const alert = {
    alertType: 'Custom' as const,
    severity: 'warning' as const,
    message: '',
    data: { value: 1, limit: 0, rule: 'r', duration: 0 },
    sourceNodeId: 's',
    timestamp: 1,
    alertId: 'x',
  }

  it('brings measurements, alerts, clears and messages, and closes the transport', async () => {
    const transport = new Scripted()
    const driver = driverOf(transport)
    await driver.initialize()
    await driver.onMeasurement(measurement)
    await driver.onAlert(alert)
    await driver.clear({ ...alert, reason: 'ended' })
    await driver.onMessage('any')
    assert.deepEqual(
      transport.calls.map(({ delivery }) => [delivery.kind, delivery.source]),
      [
        ['measurement', 's'],
        ['alert', 's'],
        ['clear', 's'],
        ['message', undefined],
      ],
    )
    assert.equal(await driver.test(), 'fine')
    await driver.shutdown()
    assert.equal(transport.closes, 1)
    assert.equal(await code(driver.onMessage(1)), 'CLOSED')
  })

  it('history: newest first, with what became of it', async () => {
    const driver = driverOf(new Scripted([undefined, refused()]), 2)
    for (const data of [1, 2, 3]) await code(driver.onMessage(data))
    assert.deepEqual(
      driver.history().map(({ data, code, attempts }) => [data, code, attempts]),
      [
        [3, null, 1],
        [2, 'REFUSED', 1],
      ],
    )
    assert.equal(driver.history(1).length, 1)
    const { count, failed, byKind, latencyMs } = driver.historyStats()
    assert.deepEqual([count, failed, byKind.message, latencyMs?.count], [2, 1, 2, 1])
  })

  it('its status may have more, as the transport knows it', async () => {
    const transport = Object.assign(new Scripted(), { describe: async () => ({ pid: 7 }) })
    assert.deepEqual((await driverOf(transport).status()).details, { pid: 7 })
    assert.ok(!('details' in (await driverOf(new Scripted()).status())))
  })

  it('a transport that does not close is not waited for', async () => {
    const transport = new Scripted()
    transport.close = never
    await driverOf(transport).shutdown()
  })

  it('that nobody knows is refused by name', () => {
    assert.throws(
      () => createDriver('carrier-pigeon' as never, {} as never),
      (error) => {
        assert.ok(error instanceof EngineError && error.code === 'INVALID_OPTION')
        return /carrier-pigeon/.test(error.message)
      },
    )
  })
})

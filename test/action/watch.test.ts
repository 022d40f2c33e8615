import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import helper from 'node-red-node-test-helper'
import type { Monitor } from '../../nodes/action/monitor'
import { Updates } from '../../nodes/action/updates'
import watchNode from '../../nodes/action/watch'
import { stateOf } from '../../nodes/shared/node'
import { type Json, quiet, Rig } from './rig'

const gas = { name: 'gas', kind: 'above', limit: '1000', alertType: 'Concentration', severity: 'critical' }
const start = (config: Json = {}, wiring = {}) =>
  Rig.start(watchNode, 'millrace-action-watch', { rules: [gas], updateMs: 0, ...config }, wiring)
const say = (payload: unknown, more: Json = {}) => ({ topic: 'sensor', payload, ...more })

afterEach(async () => {
  mock.timers.reset()
  await Rig.stop()
})

describe('millrace-action-watch', () => {
  it('gives measurements, alerts and clears, each by its output', async () => {
    const rig = await start()
    const first = say(1200, { _msgid: 'm1', kept: true })
    rig.send(first, say(1300, { _msgid: 'm2' }), say(900, { _msgid: 'm3' }))
    await rig.until('completed', 3)
    const updates = rig.seen.first
    assert.equal(updates[0], first)
    assert.deepEqual(
      updates.map(({ _msgid, action, topic, payload }) => [_msgid, action, topic, payload.sourceNodeId, payload.value]),
      [
        ['m1', 'measurement', 'sensor', 'sensor', 1200],
        ['m2', 'measurement', 'sensor', 'sensor', 1300],
        ['m3', 'measurement', 'sensor', 'sensor', 900],
      ],
    )
    assert.equal(rig.seen.second.length, 1)
    assert.equal(rig.seen.third.length, 1)
    const [[alert], [clear]] = [rig.seen.second, rig.seen.third]
    assert.deepEqual([alert.action, alert._msgid, alert.topic], ['alert', 'm1', 'sensor'])
    assert.equal(alert.payload.data.value, 1200)
    assert.deepEqual([clear.action, clear._msgid, clear.payload.reason], ['clear', 'm3', 'ended'])
    assert.equal(clear.payload.alertId, alert.payload.alertId)
  })

  it('watches the fields of an instrument, each by rules of its own', async () => {
    const rules = [
      { ...gas, property: 'payload.concentration_ppm' },
      { name: 'loud', kind: 'above', limit: 0.8, alertType: 'Amplitude', property: 'payload.peak_amplitude' },
      {
        name: 'off',
        kind: 'deviation',
        limit: 20,
        reference: 2000,
        alertType: 'FrequencyDeviation',
        property: 'payload.peak_frequency',
      },
    ]
    const rig = await start({ rules })
    const reading = {
      sourceNodeId: 'laser',
      timestamp: 5,
      concentration_ppm: 1500,
      peak_amplitude: 0.9,
      peak_frequency: 2040,
      metadata: { x: 1 },
    }
    rig.send({ topic: 'other', payload: reading })
    await rig.until('second', 3)
    assert.deepEqual(
      rig.seen.second.map(({ payload: { alertType, sourceNodeId, data } }) => [alertType, sourceNodeId, data.value]),
      [
        ['Concentration', 'laser', 1500],
        ['Amplitude', 'laser', 0.9],
        ['FrequencyDeviation', 'laser', 2040],
      ],
    )
    assert.deepEqual(rig.seen.first[0].payload, reading)
  })

  it('JSONata judges, and reads values, in the order of the messages', async () => {
    const rules = [{ name: 'both', kind: 'jsonata', property: 'payload.a > 1 and payload.b > 1' }, gas]
    const rig = await start({ rules, value: 'payload.a * 100', valueType: 'jsonata' })
    rig.send(say({ a: 2, b: 2 }), say({ a: 20, b: 0 }), { topic: 'sensor', payload: {} }, say({ a: 0, b: 0 }))
    await rig.until('third', 2)
    assert.deepEqual(
      [...rig.seen.second, ...rig.seen.third].map(({ action, payload }) => `${action} ${payload.data.rule}`),
      ['alert both', 'alert gas', 'clear both', 'clear gas'],
    )
    assert.deepEqual(
      rig.seen.first.map(({ payload }) => payload.value),
      [200, 2000, undefined, 0],
    )
    assert.deepEqual(rig.seen.caught, [])
  })

  it('JSONata that fails is an error of its message', async () => {
    const rig = await start({ rules: [{ name: 'x', kind: 'jsonata', property: '$number("x") > payload' }] })
    rig.send(say(1))
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
  })

  const wrongSettings: [what: string, config: Json][] = [
    ['a rule without a limit', { rules: [{ name: 'x' }] }],
    ['an expression that cannot be read', { rules: [{ name: 'x', kind: 'jsonata', property: '(((' }] }],
    ['a property that cannot be read', { rules: [{ ...gas, property: 'payload[' }] }],
  ]
  for (const [what, config] of wrongSettings) {
    it(`${what} is a wrong setting`, async () => {
      const rig = await start(config)
      assert.equal(rig.seen.error.length, 1)
      await rig.status(({ text }) => text === 'error.INVALID_OPTION')
    })
  }

  const inputs: [what: string, message: Json][] = [
    ['a text', say('much')],
    ['nothing', { topic: 'sensor' }],
    ['an object without the value', say({ other: 1 })],
    ['infinity', say(Number.POSITIVE_INFINITY)],
    ['rules that are no list', { rules: 'none' }],
  ]
  for (const [what, message] of inputs) {
    it(`${what} is a wrong message`, async () => {
      const rig = await start()
      rig.send(message)
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
      assert.deepEqual(rig.seen.first, [])
    })
  }

  it('numbers as text, flags, and times of many forms do', async () => {
    const rig = await start({ source: 'name' })
    rig.send(
      say('1.5', { timestamp: '1970-01-01T00:00:01Z', name: 7 }),
      say(true, { timestamp: new Date(2000) }),
      say(3, { timestamp: 3000, name: 'c' }),
    )
    await rig.until('first', 3)
    assert.deepEqual(
      rig.seen.first.map(({ payload: { value, timestamp, sourceNodeId } }) => [value, timestamp, sourceNodeId]),
      [
        [1.5, 1000, '7'],
        [1, 2000, 'default'],
        [3, 3000, 'c'],
      ],
    )
  })

  it('data timeout: the timer fires though stale data was seen, and any message ends it', async () => {
    const rig = await start({ rules: [{ name: 'silent', kind: 'silence', limit: 100, alertType: 'DataTimeout' }] })
    rig.send(say('alive'), say('alive'))
    const [alert] = await rig.until('second')
    assert.deepEqual([alert.payload.alertType, alert.payload.sourceNodeId], ['DataTimeout', 'sensor'])
    rig.send(say('alive'))
    const [clear] = await rig.until('third')
    assert.equal(clear.payload.alertId, alert.payload.alertId)
  })

  it('one alert a crossing, and reminders by option', async () => {
    const rig = await start({ rules: [{ ...gas, remindMs: 100 }] })
    rig.send(...Array.from({ length: 50 }, () => say(2000)))
    await rig.until('second', 2)
    assert.deepEqual(
      rig.seen.second.slice(0, 2).map(({ payload }) => payload.reminder),
      [undefined, 1],
    )
    assert.equal(rig.seen.second[1].payload.alertId, rig.seen.second[0].payload.alertId)
  })

  it('reset ends alerts, of a source or of all', async () => {
    const rig = await start()
    rig.send(say(2000), { topic: 'b', payload: 2000 }, { reset: 'b' })
    assert.equal((await rig.until('third'))[0].payload.sourceNodeId, 'b')
    rig.send({ reset: true })
    const [, clear] = await rig.until('third', 2)
    assert.deepEqual([clear.payload.sourceNodeId, clear.payload.reason], ['sensor', 'reset'])
    await rig.until('completed', 4)
  })

  it('rules change while it runs, and what stays keeps its state', async () => {
    const rig = await start()
    rig.send(say(2000), { rules: [{ ...gas, limit: 1500 }] }, say(1800), say(1200))
    const [clear] = await rig.until('third')
    assert.equal(clear.payload.alertId, (await rig.until('second'))[0].payload.alertId)
    assert.equal(rig.seen.second.length, 1)
    rig.send({ rules: [{ name: 'broken' }] }, say(2000))
    assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    await rig.until('second', 2)
  })

  it('a deploy keeps alerts and history, with new rules too', async () => {
    const rig = await start()
    rig.send(say(2000))
    const [alert] = await rig.until('second')
    await rig.redeploy({ rules: [{ ...gas, limit: 1500 }], updateMs: 0, name: 'new' })
    rig.send(say(1600), say(900), { action: 'history', payload: { source: 'sensor' } })
    const [clear] = await rig.until('third')
    assert.equal(clear.payload.alertId, alert.payload.alertId)
    assert.equal(rig.seen.second.length, 1)
    const answer = (await rig.until('first', 4)).find(({ action }) => action === 'history')
    assert.deepEqual(
      answer.payload.entries.map(({ value }: { value: number }) => value),
      [900, 1600, 2000],
    )
  })

  it('a deploy without the rule ends its alert', async () => {
    const rig = await start()
    rig.send(say(2000))
    await rig.until('second')
    await rig.redeploy({ rules: [], updateMs: 0, maxSources: 5 })
    const [clear] = await rig.until('third')
    assert.equal(clear.payload.reason, 'rule')
  })

  it('history: newest first, as a message and for the admin route', async () => {
    const rig = await start({ history: 3 })
    rig.send(...[1, 2, 3, 4].map((value) => say(value, { timestamp: value })))
    rig.send({ action: 'history', payload: { source: 'sensor', limit: 2 } }, { action: 'history' })
    const [one, all] = (await rig.until('first', 6)).slice(4)
    assert.deepEqual(one.payload.entries, [
      { value: 4, timestamp: 4 },
      { value: 3, timestamp: 3 },
    ])
    assert.deepEqual([one.payload.stats.count, one.payload.stats.mean, one.payload.stats.p50], [3, 3, 3])
    assert.deepEqual(all.payload, { sources: ['sensor'], count: 1, evicted: 0, alerts: [] })
    const monitor = stateOf<Monitor>({ nodes: { getNode: () => rig.node } } as never, 'node')
    assert.deepEqual(monitor?.view({ source: 'sensor', limit: '2' }), one.payload)
  })

  it('shows its sources, and who must act', async () => {
    const rig = await start({ maxSources: 1 })
    await rig.status(({ text }) => text === 'status.waiting')
    rig.send(say(1))
    assert.equal((await rig.status(({ text }) => text === 'status.sources')).fill, 'green')
    rig.send(say(2000))
    assert.equal((await rig.status(({ text }) => text === 'status.alerts')).fill, 'red')
    rig.send({ topic: 'b', payload: 1 })
    await rig.status(({ text }) => text === 'status.evicted')
    assert.equal((await rig.until('third'))[0].payload.reason, 'evicted')
  })
})

describe('millrace-action-watch: updates', () => {
  it('of each source one in the interval, the latest; alerts do not wait', async () => {
    const rig = await start({ updateMs: 200 })
    rig.send(say(1), say(2), say(3), { topic: 'b', payload: 10 }, say(2000))
    await rig.until('second')
    await quiet()
    assert.deepEqual(
      rig.seen.first.map(({ payload }) => payload.value),
      [1, 10],
    )
    const begun = performance.now()
    await rig.until('first', 3)
    assert.deepEqual(rig.seen.first[2].payload.value, 2000)
    assert.ok(performance.now() - begun < 5000)
    await rig.until('completed', 5)
  })

  it('are bounded: the one that waited longest goes early', () => {
    const emitted: string[] = []
    const updates = new Updates<string>(60_000, 2, (update) => emitted.push(update))
    const passed = ['a1', 'a2', 'b1', 'c1', 'a3', 'd1'].filter((update) => updates.pass(update[0] as string, update))
    assert.deepEqual(passed, ['a1', 'b1', 'c1', 'a3', 'd1'])
    assert.deepEqual(emitted, ['a2'])
    updates.close()
  })

  it('nothing leaves after the close', async () => {
    const rig = await start({ updateMs: 50 })
    rig.send(say(1), say(2))
    await rig.until('first')
    const send = mock.method(rig.node, 'send')
    await Rig.stop()
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(send.mock.callCount(), 0)
  })
})

describe('millrace-action-watch: over a restart', () => {
  let userDir = ''
  const file = () => join(userDir, 'millrace/action/node.json')
  beforeEach(() => {
    userDir = mkdtempSync(join(tmpdir(), 'millrace-watch-'))
    helper.settings({ userDir } as never)
  })
  afterEach(async () => {
    // What it keeps is written while it runs.
    await Rig.stop()
    rmSync(userDir, { recursive: true, force: true })
  })

  /** As another process would begin: nothing of the node is in memory. */
  async function restart(config: Json): Promise<Rig> {
    const text = readFileSync(file(), 'utf8')
    await helper.unload()
    const rig = await start(config)
    await rig.redeploy({ id: 'gone' })
    await Rig.stop()
    helper.settings({ userDir } as never)
    mkdirSync(join(userDir, 'millrace/action'), { recursive: true })
    writeFileSync(file(), text)
    return start(config)
  }

  it('no second alert, and the clear has the id of the first', async () => {
    const rig = await start({ persist: true, id: 'node' })
    rig.send(say(2000))
    const [alert] = await rig.until('second')
    await Rig.stop()
    helper.settings({ userDir } as never)
    const again = await restart({ persist: true, id: 'node' })
    again.send(say(2000), say(1))
    const [clear] = await again.until('third')
    assert.equal(clear.payload.alertId, alert.payload.alertId)
    assert.deepEqual(again.seen.second, [])
  })

  it('the file goes with the node', async () => {
    const rig = await start({ persist: true, id: 'node' })
    rig.send(say(2000))
    await rig.until('second')
    while (!existsSync(file())) await new Promise(setImmediate)
    await rig.redeploy({ id: 'other' })
    assert.equal(existsSync(file()), false)
  })

  it('a broken file is put aside, and said', async () => {
    mkdirSync(join(userDir, 'millrace/action'), { recursive: true })
    for (const broken of ['{', '{"version":9}']) {
      writeFileSync(file(), broken)
      const rig = await start({ persist: true, name: broken, id: 'node', maxSources: broken.length })
      rig.send(say(2000))
      await rig.until('second')
      assert.equal(readFileSync(`${file()}.broken`, 'utf8'), broken)
      assert.equal(rig.seen.warn.length, 1)
      await rig.redeploy({ id: 'gone' })
      await Rig.stop()
      helper.settings({ userDir } as never)
    }
  })

  it('a folder that cannot be written is said, and the node works on', async () => {
    writeFileSync(join(userDir, 'millrace'), 'a file where the folder should be')
    const rig = await start({ persist: true, id: 'node' })
    rig.send(say(2000))
    await rig.until('second')
    await rig.until('warn')
    rig.send(say(1))
    await rig.until('third')
  })
})

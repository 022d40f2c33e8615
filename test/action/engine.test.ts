import assert from 'node:assert/strict'
import {
  type Alert,
  type Clear,
  type Rule,
  statsOf,
  Watch,
  type WatchEvent,
  type WatchOptions,
} from '../../nodes/action/lib'

const gas: Partial<Rule> = { name: 'gas', kind: 'above', limit: 1000 }

/** A watch whose clock stands until it is moved. */
function watching(rules: Partial<Rule>[], options: WatchOptions = {}) {
  let clock = 1000
  const watch = new Watch({ rules, now: () => clock, ...options })
  const told: string[] = []
  const events: WatchEvent[] = []
  const note = (found: readonly WatchEvent[]) => {
    events.push(...found)
    for (const { kind, alert } of found) {
      const mark = kind === 'clear' ? (alert as Clear).reason : (alert.reminder ?? 'alert')
      told.push(`${alert.sourceNodeId} ${alert.data.rule} ${mark}`)
    }
    return found
  }
  return {
    watch,
    told,
    events,
    alerts: () => events.filter(({ kind }) => kind === 'alert').map(({ alert }) => alert as Alert),
    /** Values of one source, one after the other, 100 ms apart. */
    say(source: string, ...values: number[]) {
      for (const value of values) {
        note(
          watch.measure(
            source,
            watch.channels.map(() => value),
            clock,
          ),
        )
        clock += 100
      }
    },
    /** Time goes by, and the timer fires when it is due. */
    pass(ms: number) {
      const end = clock + ms
      while (watch.dueAt <= end) {
        clock = Math.max(clock, watch.dueAt)
        note(watch.tick())
      }
      clock = end
    },
    note,
    clock: () => clock,
  }
}

interface Case {
  title: string
  rule: Partial<Rule>
  values: number[]
  told: string[]
}

const crossings: Case[] = [
  { title: 'above', rule: gas, values: [1000, 1001, 5000, 1001, 1000, 999], told: ['a gas alert', 'a gas ended'] },
  {
    title: 'below',
    rule: { ...gas, kind: 'below' },
    values: [1000, 999, 1, 1000],
    told: ['a gas alert', 'a gas ended'],
  },
  {
    title: 'outside a band, at both ends',
    rule: { ...gas, kind: 'outside', low: 10, limit: 20 },
    values: [10, 20, 21, 9, 15, 9, 10],
    told: ['a gas alert', 'a gas ended', 'a gas alert', 'a gas ended'],
  },
  {
    title: 'change per second, up and down',
    // Measurements are 100 ms apart.
    rule: { ...gas, kind: 'rate', limit: 50 },
    values: [0, 5, 10, 16, 16, 10, 9],
    told: ['a gas alert', 'a gas ended', 'a gas alert', 'a gas ended'],
  },
  {
    title: 'deviation from a reference',
    rule: { ...gas, kind: 'deviation', reference: 2000, limit: 20 },
    values: [2020, 2021, 1979, 1980],
    told: ['a gas alert', 'a gas ended'],
  },
  {
    title: 'a condition',
    rule: { ...gas, kind: 'jsonata', property: 'x' },
    values: [0, 1, 1, 0],
    told: ['a gas alert', 'a gas ended'],
  },
  {
    title: 'hysteresis: the value must come back far enough',
    rule: { ...gas, hysteresis: 100 },
    values: [1001, 950, 1001, 901, 900],
    told: ['a gas alert', 'a gas ended'],
  },
  {
    title: 'a value that is none says nothing',
    rule: gas,
    values: [1001, Number.NaN, 1001, Number.NaN],
    told: ['a gas alert'],
  },
  {
    title: 'a source that the rule is not about',
    rule: { ...gas, source: 'b*' },
    values: [1001],
    told: [],
  },
  {
    title: 'a least duration, that a lower value begins anew',
    rule: { ...gas, minDurationMs: 200 },
    values: [1001, 1001, 999, 1001, 1001, 1001],
    told: ['a gas alert'],
  },
  {
    title: 'a rest after an alert',
    rule: { ...gas, cooldownMs: 250 },
    values: [1001, 999, 1001, 999, 1001, 1001],
    told: ['a gas alert', 'a gas ended', 'a gas alert'],
  },
]

describe('watch: crossings', () => {
  for (const { title, rule, values, told } of crossings) {
    it(`${title}: one alert each, one clear`, () => {
      const rig = watching([rule])
      rig.say('a', ...values)
      assert.deepEqual(rig.told, told)
      assert.equal(rig.watch.active, told.length % 2)
    })
  }

  it('one alert per crossing of a threshold, however long it is over', () => {
    const rig = watching([gas])
    rig.say('a', ...Array.from({ length: 1000 }, () => 2000))
    assert.deepEqual(rig.told, ['a gas alert'])
  })

  it('the alert names its source, and its data is not empty', () => {
    const rig = watching([{ ...gas, alertType: 'Concentration', severity: 'critical', minDurationMs: 200 }])
    rig.say('left', 10)
    rig.say('right', 1200, 1300, 1250)
    rig.say('left', 20)
    const [alert] = rig.alerts() as [Alert]
    const { message, timestamp, alertId, ...rest } = alert
    assert.deepEqual(rest, {
      alertType: 'Concentration',
      severity: 'critical',
      data: { value: 1250, limit: 1000, rule: 'gas', duration: 200 },
      sourceNodeId: 'right',
    })
    assert.ok(message.includes('1250') && message.includes('1000') && message.includes('right'), message)
    assert.ok(Math.abs(timestamp - Date.now()) < 60_000)
    rig.say('right', 7)
    const [, clear] = rig.events as [WatchEvent, WatchEvent]
    assert.equal(clear.alert.alertId, alertId)
    assert.deepEqual(clear.alert.data, { value: 7, limit: 1000, rule: 'gas', duration: 400 })
  })

  it('a message is made of the template', () => {
    const message = '{{rule}} {{value}}/{{limit}} {{source}} {{severity}} {{alertType}} {{ nothing }}!'
    const rig = watching([{ ...gas, kind: 'outside', low: 1, limit: 2.5, message }])
    rig.say('s', 7.25)
    assert.equal(rig.alerts()[0]?.message, 'gas 7.25/1 … 2.5 s warning Custom !')
  })

  it('each source has its own state', () => {
    const rig = watching([gas])
    rig.say('a', 2000)
    rig.say('b', 2000)
    rig.say('a', 0)
    rig.say('b', 2000)
    assert.deepEqual(rig.told, ['a gas alert', 'b gas alert', 'a gas ended'])
  })

  it('a measurement that is not newer has no change per second', () => {
    const watch = new Watch({ rules: [{ ...gas, kind: 'rate', limit: 1 }] })
    for (const [value, stamp] of [
      [0, 1000],
      [900, 1000],
      [900, 500],
      [0, 2000],
    ] as const) {
      assert.deepEqual(watch.measure('a', [Number.NaN, value].slice(1), stamp), [])
    }
  })
})

describe('watch: time', () => {
  const silence: Partial<Rule> = { name: 'silent', kind: 'silence', limit: 1000, alertType: 'DataTimeout' }

  it('missing data is told by the clock, though old data was seen', () => {
    const rig = watching([silence])
    rig.say('a', 1, 2)
    rig.pass(899)
    assert.deepEqual(rig.told, [])
    rig.pass(1)
    assert.deepEqual(rig.told, ['a silent alert'])
    assert.deepEqual(rig.alerts()[0]?.data, { value: 1000, limit: 1000, rule: 'silent', duration: 1000 })
    rig.pass(100_000)
    rig.say('a', 3)
    rig.pass(1000)
    assert.deepEqual(rig.told, ['a silent alert', 'a silent ended', 'a silent alert'])
  })

  it('a source that is named is missed from the start', () => {
    const rig = watching([
      { ...silence, source: 'gone' },
      { ...silence, name: 'any' },
    ])
    rig.pass(1000)
    assert.deepEqual(rig.told, ['gone silent alert', 'gone any alert'])
  })

  it('a value that lasts is told by the clock, without another', () => {
    const rig = watching([{ ...gas, minDurationMs: 5000 }])
    rig.say('a', 2000)
    rig.pass(4899)
    assert.deepEqual(rig.told, [])
    rig.pass(1)
    assert.deepEqual(rig.told, ['a gas alert'])
  })

  it('an alert that lasts is told again, with its id', () => {
    const rig = watching([{ ...gas, remindMs: 1000 }])
    rig.say('a', 2000)
    rig.pass(2000)
    rig.say('a', 1)
    rig.pass(5000)
    assert.deepEqual(rig.told, ['a gas alert', 'a gas 1', 'a gas 2', 'a gas ended'])
    assert.equal(new Set(rig.events.map(({ alert }) => alert.alertId)).size, 1)
  })

  it('has nothing to wait for where nothing is due', () => {
    const rig = watching([gas])
    rig.say('a', 1, 2000, 1)
    rig.pass(0)
    assert.equal(rig.watch.dueAt, Number.POSITIVE_INFINITY)
  })
})

describe('watch: its state', () => {
  it('live rules keep the state of those that stay', () => {
    const other = { name: 'low', kind: 'below', limit: 5000 } as const
    const rig = watching([gas, other])
    rig.say('a', 2000)
    rig.note(
      rig.watch.setRules([
        { ...gas, limit: 1500, severity: 'critical' },
        { ...other, name: 'renamed' },
      ]),
    )
    assert.deepEqual(rig.told, ['a gas alert', 'a low alert', 'a low rule'])
    rig.say('a', 2000, 1400)
    assert.deepEqual(rig.told.slice(3), ['a renamed alert', 'a gas ended'])
  })

  it('a wrong rule changes nothing', () => {
    const rig = watching([gas])
    rig.say('a', 2000)
    assert.throws(() => rig.watch.setRules([{ ...gas, kind: 'outside' }]), { code: 'INVALID_OPTION' })
    rig.say('a', 2000, 0)
    assert.deepEqual(rig.told, ['a gas alert', 'a gas ended'])
  })

  it('reset ends the alerts of a source, or of all', () => {
    const rig = watching([gas, { name: 'silent', kind: 'silence', limit: 1000, source: 'named' }])
    for (const source of ['a', 'b']) rig.say(source, 2000)
    rig.note(rig.watch.reset('a'))
    rig.note(rig.watch.reset('unknown'))
    assert.deepEqual(rig.told.slice(2), ['a gas reset'])
    rig.note(rig.watch.reset())
    assert.deepEqual(rig.told.slice(3), ['b gas reset'])
    assert.deepEqual([rig.watch.active, rig.watch.names()], [0, ['named']])
    rig.pass(1000)
    assert.deepEqual(rig.told.slice(4), ['named silent alert'])
  })

  it('is bounded: the source that was silent for longest gives way, and its alert ends', () => {
    const rig = watching([gas], { maxSources: 2 })
    rig.say('a', 2000)
    rig.say('b', 2000)
    rig.say('a', 2000)
    rig.say('c', 1)
    assert.deepEqual(rig.told, ['a gas alert', 'b gas alert', 'b gas evicted'])
    assert.deepEqual([rig.watch.evicted, rig.watch.sourceCount, rig.watch.active], [1, 2, 1])
  })

  it('survives a restart: no second alert, and the clear has the id of the first', () => {
    const before = watching([gas])
    before.say('a', 2000)
    const state = JSON.parse(JSON.stringify(before.watch.state()))
    const after = watching([gas])
    after.note(after.watch.restore(state))
    after.say('a', 2000, 0)
    assert.deepEqual(after.told, ['a gas ended'])
    assert.equal(after.events[0]?.alert.alertId, before.alerts()[0]?.alertId)
  })

  it('of a rule that went with the restart, the alert ends', () => {
    const before = watching([gas])
    before.say('a', 2000)
    const after = watching([{ ...gas, name: 'other' }])
    after.note(after.watch.restore(before.watch.state()))
    assert.deepEqual(after.told, ['a gas rule'])
    assert.equal(after.watch.active, 0)
  })

  it('history: newest first, so many, with statistics', () => {
    const rig = watching([], { history: 4 })
    rig.say('a', 9, 1, 2, 3, 4)
    const { entries, stats } = rig.watch.history('a')
    assert.deepEqual(
      entries.map(({ value }) => value),
      [4, 3, 2, 1],
    )
    assert.deepEqual(entries[0]?.timestamp, 1400)
    assert.deepEqual(stats, { count: 4, min: 1, max: 4, mean: 2.5, p50: 2, p90: 4, p95: 4, p99: 4 })
    assert.deepEqual(
      rig.watch.history('a', 1).entries.map(({ value }) => value),
      [4],
    )
    assert.deepEqual(rig.watch.history('nobody'), { sourceNodeId: 'nobody', entries: [], stats: null })
  })

  it('statistics of nothing are none', () => assert.equal(statsOf([]), null))
})

describe('watch: wrong settings', () => {
  const wrong: [what: string, options: WatchOptions][] = [
    ['no name', { rules: [{ kind: 'above', limit: 1 }] }],
    ['two of a name', { rules: [gas, gas] }],
    ['no limit', { rules: [{ name: 'x' }] }],
    ['no lower end', { rules: [{ name: 'x', kind: 'outside', limit: 1 }] }],
    ['a band upside down', { rules: [{ name: 'x', kind: 'outside', limit: 1, low: 2 }] }],
    ['no reference', { rules: [{ name: 'x', kind: 'deviation', limit: 1 }] }],
    ['a negative rate', { rules: [{ name: 'x', kind: 'rate', limit: -1 }] }],
    ['no time', { rules: [{ name: 'x', kind: 'silence', limit: 0 }] }],
    ['no expression', { rules: [{ name: 'x', kind: 'jsonata' }] }],
    ['an unknown kind', { rules: [{ name: 'x', kind: 'near' as never, limit: 1 }] }],
    ['no sources', { maxSources: 0 }],
    ['half a history', { history: 0.5 }],
  ]
  for (const [what, options] of wrong) {
    it(`${what} is refused`, () => assert.throws(() => new Watch(options), { code: 'INVALID_OPTION' }))
  }
})

describe('watch: random rows of values against a plain model', () => {
  const seeds = process.env.MILLRACE_LONG ? 2000 : 200
  it(`${seeds} rows`, () => {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const random = generator(seed)
      const rule = { ...gas, limit: 50, hysteresis: Math.floor(random() * 20), cooldownMs: Math.floor(random() * 500) }
      const values = Array.from({ length: 100 }, () => Math.floor(random() * 100))
      const rig = watching([rule])
      rig.say('a', ...values)
      assert.deepEqual(rig.told, modelOf(rule, values), `seed ${seed}`)
    }
  })

  function modelOf(
    { limit, hysteresis, cooldownMs }: { limit: number; hysteresis: number; cooldownMs: number },
    values: number[],
  ) {
    const told: string[] = []
    let active = false
    let quietUntil = 0
    values.forEach((value, place) => {
      const at = place * 100
      if (active && value <= limit - hysteresis) {
        active = false
        quietUntil = at + cooldownMs
        told.push('a gas ended')
      } else if (!active && value > limit && at >= quietUntil) {
        active = true
        told.push('a gas alert')
      }
    })
    return told
  }

  function generator(seed: number): () => number {
    let state = seed
    return () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
  }
})

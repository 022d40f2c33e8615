import assert from 'node:assert/strict'
import {
  choice,
  defineConfig,
  type Field,
  flag,
  list,
  migrate,
  number,
  optionalNumber,
  Problem,
  text,
} from '../../nodes/shared/config'

const range = { min: 1, max: 10 }
const size = number(5, { ...range, whole: true })
const limit = optionalNumber(5, range)
const open = optionalNumber('', range)
const way = choice('left', ['left', 'right'])
const rows = list((row) => size.read((row as { size: unknown }).size))

const read: [title: string, field: Field<unknown>, saved: unknown, value: unknown][] = [
  ['a text that is absent', text('x'), undefined, 'x'],
  ['a text that is null', text('x'), null, 'x'],
  ['a text that is blank', text('x'), '', ''],
  ['a text that is a number', text(), 5, '5'],
  ['a number', size, 3, 3],
  ['a number as text', size, ' 3 ', 3],
  ['a number that is blank', size, '', 5],
  ['a number that is absent', size, undefined, 5],
  ['a number at its ends', size, '10', 10],
  ['a number with a fraction', number(5, range), '2.5', 2.5],
  ['an optional number', limit, '3', 3],
  ['an optional number that is blank', limit, '', null],
  ['an optional number that is null', limit, null, null],
  ['an optional number that is absent', limit, undefined, 5],
  ['an optional number without a default, absent', open, undefined, null],
  ['a choice', way, 'right', 'right'],
  ['a choice that is absent', way, undefined, 'left'],
  ['a flag', flag(false), true, true],
  ['a flag as text', flag(false), 'true', true],
  ['a flag that is off', flag(true), false, false],
  ['a flag as text that is off', flag(true), 'false', false],
  ['a flag that is absent', flag(true), undefined, true],
  ['a list', rows, [{ size: '2' }, { size: '' }], [2, 5]],
  ['a list that is absent', rows, undefined, []],
]

const wrong: [title: string, field: Field<unknown>, saved: unknown, key: string][] = [
  ['too small a number', size, 0, 'config.number'],
  ['too large a number', size, '11', 'config.number'],
  ['a word for a number', size, 'many', 'config.number'],
  ['no number', size, Number.NaN, 'config.number'],
  ['a list for a number', size, [1, 2], 'config.number'],
  ['half of what is whole', size, 2.5, 'config.whole'],
  ['an optional number out of range', open, 0, 'config.number'],
  ['a choice that is none', way, 'up', 'config.choice'],
  ['a blank choice', way, '', 'config.choice'],
  ['a text for a list', rows, 'a,b', 'config.list'],
  ['null for a list', rows, null, 'config.list'],
  ['a wrong row', rows, [{ size: 1 }, { size: 99 }], 'config.number'],
]

describe('fields of a configuration', () => {
  for (const [title, field, saved, value] of read) {
    it(`read ${title}`, () => assert.deepEqual(field.read(saved), value))
  }
  for (const [title, field, saved, key] of wrong) {
    it(`refuse ${title}`, () => {
      assert.throws(
        () => field.read(saved),
        (error) => error instanceof Problem && error.key === key,
      )
    })
  }

  it('a problem tells what would do', () => {
    assert.throws(() => size.read(0), { params: { min: 1, max: 10 } })
    assert.throws(() => way.read('up'), { params: { choices: 'left, right' } })
  })

  it('a list is looked at as a whole, too', () => {
    const pair = list(
      (row) => row,
      (all) => {
        if (all.length !== 2) throw new Problem('pair')
      },
    )
    assert.deepEqual(pair.read([1, 2]), [1, 2])
    assert.throws(() => pair.read([1]), { key: 'pair' })
  })
})

describe('migrations', () => {
  const spec = defineConfig({
    type: 'millrace-sample',
    version: 4,
    fields: {},
    migrations: {
      2: ({ slop, ...rest }) => ({ ...rest, window: slop }),
      4: ({ window, ...rest }) => ({ ...rest, windowMs: Number(window) * 1000 }),
    },
  })
  const cases: [title: string, saved: Record<string, unknown>, migrated: Record<string, unknown>][] = [
    ['the first, which had no number', { id: 'n', slop: '2' }, { id: 'n', windowMs: 2000, configVersion: 4 }],
    ['the first', { slop: 2, configVersion: 1 }, { windowMs: 2000, configVersion: 4 }],
    ['one in between', { window: 3, configVersion: 2 }, { windowMs: 3000, configVersion: 4 }],
    [
      'one before a version without a migration',
      { window: 3, configVersion: '3' },
      { windowMs: 3000, configVersion: 4 },
    ],
    ['this one', { windowMs: 5, configVersion: 4 }, { windowMs: 5, configVersion: 4 }],
    ['a newer one', { windowS: 5, configVersion: 5 }, { windowS: 5, configVersion: 5 }],
  ]
  for (const [title, saved, migrated] of cases) {
    it(`lift what a version saved: ${title}`, () => {
      const before = structuredClone(saved)
      assert.deepEqual(migrate(spec, saved), migrated)
      assert.deepEqual(saved, before)
    })
  }
})

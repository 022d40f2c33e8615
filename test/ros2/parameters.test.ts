import assert from 'node:assert/strict'
import type { ros2 } from '../../nodes'
import { contextOf, type Json, type Opened, openContext, parametersOf, Rig, ros2Suite } from './rig'

const DOMAIN = 138
const KINDS = ['', 'bool', 'integer', 'double', 'string', 'byte_array', 'bool_array', 'integer_array', 'double_array']
const fieldOf = (type: number) => `${KINDS[type] ?? 'string_array'}_value`

/** A node with parameters, over the services that ROS 2 nodes offer. */
class Tuned {
  readonly values = new Map<string, { type: number; value?: unknown }>()
  private readonly servers: ros2.ServiceServer[] = []

  constructor(private readonly context: ros2.Context) {
    this.serve('list_parameters', 'ListParameters', ({ prefixes }) => {
      const wanted = (name: string) => prefixes.length === 0 || prefixes.includes(name.split('.')[0])
      return { result: { names: [...this.values.keys()].filter(wanted) } }
    })
    this.serve('get_parameter_types', 'GetParameterTypes', ({ names }) => ({
      types: names.map((name: string) => this.values.get(name)?.type ?? 0),
    }))
    this.serve('get_parameters', 'GetParameters', ({ names }) => ({
      values: names.map((name: string) => {
        const { type = 0, value } = this.values.get(name) ?? {}
        return type ? { type, [fieldOf(type)]: value } : {}
      }),
    }))
    this.serve('set_parameters', 'SetParameters', ({ parameters }) => ({ results: parameters.map(this.take) }))
    this.serve('set_parameters_atomically', 'SetParametersAtomically', ({ parameters }) => ({
      result: parameters.map(this.take)[0],
    }))
    this.serve('describe_parameters', 'DescribeParameters', ({ names }) => ({
      descriptors: names.map((name: string) => ({
        ...{ name, type: this.values.get(name)?.type, description: 'how fast', additional_constraints: 'below c' },
        ...(name === 'speed' && { floating_point_range: [{ from_value: 0, to_value: 2, step: 0.5 }] }),
        ...(name === 'count' && { integer_range: [{ from_value: 1, to_value: 9, step: 1 }], read_only: true }),
      })),
    }))
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()))
  }

  // biome-ignore lint/suspicious/noExplicitAny: requests of any kind
  private serve(name: string, type: string, handler: (request: any) => unknown): void {
    this.servers.push(this.context.serve(`/tuned/${name}`, `rcl_interfaces/srv/${type}`, handler))
  }

  private readonly take = ({ name, value }: { name: string; value: Record<string, unknown> & { type: number } }) => {
    if (name === 'fixed') return { successful: false, reason: 'it is fixed' }
    this.values.set(name, { type: value.type, value: value[fieldOf(value.type)] })
    return { successful: true }
  }
}

ros2Suite('parameters', () => {
  let other: Opened
  let tuned: Tuned
  before(async () => {
    other = await openContext(DOMAIN, 'other')
    tuned = new Tuned(other.context)
  })
  beforeEach(() => {
    tuned.values.clear()
    for (const [name, type, value] of [
      ['speed', 3, 0.5],
      ['count', 2, 2n ** 60n],
      ['arm.length', 2, 7n],
      ['fixed', 4, 'x'],
      ['bytes', 5, Buffer.from([1, 2])],
      ['many', 7, [1n, 2n ** 60n]],
    ] as [string, number, unknown][]) {
      tuned.values.set(name, { type, value })
    }
  })
  afterEach(() => Rig.stop())
  after(async () => {
    await tuned.close()
    await other.context.close()
  })

  const all = {
    ...{ speed: 0.5, count: 2n ** 60n, 'arm.length': 7, fixed: 'x', bytes: Buffer.from([1, 2]) },
    many: [1, 2n ** 60n],
  }
  const about = { description: 'how fast', constraints: 'below c', readOnly: false, dynamic: false }
  const asked: [string, Json, Json, unknown][] = [
    ['all values', { action: 'get' }, {}, all],
    ['one value', { action: 'get' }, { payload: 'speed' }, { speed: 0.5 }],
    ['some values, one of them not there', { action: 'get' }, { payload: ['speed', 'no'] }, { speed: 0.5, no: null }],
    ['all names', { action: 'list' }, { payload: 17 }, Object.keys(all)],
    ['names that begin so', { action: 'list' }, { payload: 'arm' }, ['arm.length']],
    [
      'what some are',
      { action: 'describe' },
      { payload: ['speed', 'count', 'fixed'] },
      [
        { name: 'speed', kind: 'double', ...about, range: { from: 0, to: 2, step: 0.5 } },
        { name: 'count', kind: 'integer', ...about, readOnly: true, range: { from: 1, to: 9, step: 1 } },
        { name: 'fixed', kind: 'string', ...about },
      ],
    ],
  ]
  for (const [title, config, message, expected] of asked) {
    it(`tells ${title}`, async () => {
      const rig = await Rig.start(contextOf(DOMAIN), parametersOf(config))
      rig.sendTo('parameters', { _msgid: 'one', ...message })
      const [{ _msgid, payload }] = await rig.until('heard')
      assert.equal(_msgid, 'one')
      assert.deepEqual(payload, expected)
      await rig.until('completed')
      await rig.find('status', ({ id, text }) => id === 'parameters' && text === 'status.done')
    })
  }

  it('sets values, as what the parameters are', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), parametersOf({ action: 'set' }))
    const payload = {
      ...{ speed: 2, count: 3, large: 2n ** 60n, new: 1.5, on: true, text: 'a', none: null, bytes: Buffer.from([9]) },
      ...{ many: [], flags: [true], words: ['a'], numbers: [1, 2.5], whole: [1, 2], empty: [] },
    }
    rig.sendTo('parameters', { payload })
    assert.deepEqual((await rig.until('heard'))[0].payload, payload)
    const types = Object.keys(payload).map((name) => [name, tuned.values.get(name)?.type])
    assert.deepEqual(Object.fromEntries(types), {
      ...{ speed: 3, count: 2, large: 2, new: 3, on: 1, text: 4, none: 0, bytes: 5 },
      ...{ many: 7, flags: 6, words: 9, numbers: 8, whole: 7, empty: 9 },
    })
    assert.deepEqual(tuned.values.get('numbers')?.value, [1, 2.5])
  })

  const wrong: [string, unknown][] = [
    ['a text', 'speed'],
    ['a list', ['speed']],
    ['nothing', undefined],
    ['a value of no kind', { speed: {} }],
    ['a list of several kinds', { speed: [1, 'x'] }],
  ]
  for (const [title, payload] of wrong) {
    it(`what cannot be set is an error: ${title}`, async () => {
      const rig = await Rig.start(contextOf(DOMAIN), parametersOf({ action: 'set' }))
      rig.sendTo('parameters', { payload })
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    })
  }

  it('what the node refuses is an error, the rest is set', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), parametersOf({ action: 'set' }))
    rig.sendTo('parameters', { payload: { fixed: 'y', speed: 1 } })
    const [{ error }] = await rig.until('caught')
    assert.equal(error.code, 'INVALID_INPUT')
    assert.deepEqual([tuned.values.get('fixed')?.value, tuned.values.get('speed')?.value], ['x', 1])
    const results = await other.context.parameters('/tuned').set({ fixed: 'y' }, { atomic: true })
    assert.deepEqual(results, [{ name: 'fixed', successful: false, reason: 'it is fixed' }])
  })

  it('a node that is not there is an error', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), parametersOf({ node: '/nobody', timeoutMs: 100 }))
    rig.sendTo('parameters', {})
    assert.equal((await rig.until('caught'))[0].error.code, 'TRANSPORT')
  })

  it('shows what is wrong', async () => {
    const rig = await Rig.start(contextOf(DOMAIN), parametersOf({ node: 'a b' }))
    await rig.find('status', ({ text }) => text === 'error.INVALID_OPTION')
  })
})

import { EngineError, quote } from '../../shared/errors'
import type { CallOptions } from './client'
import type { Context } from './context'

/** Whole numbers are numbers, or bigint beyond 2^53; bytes are a Buffer; null is not set. */
export type ParameterValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | boolean[]
  | (number | bigint)[]
  | string[]

/** ROS 2's kinds of value, by their number; and the field that has it. */
const KINDS = [
  ['not set', ''],
  ['bool', 'bool_value'],
  ['integer', 'integer_value'],
  ['double', 'double_value'],
  ['string', 'string_value'],
  ['byte array', 'byte_array_value'],
  ['bool array', 'bool_array_value'],
  ['integer array', 'integer_array_value'],
  ['double array', 'double_array_value'],
  ['string array', 'string_array_value'],
] as const
export type ParameterKind = (typeof KINDS)[number][0]
type Fields = Record<string, unknown>

const [INTEGER, DOUBLE] = [2, 3]
/** From the kind of one to the kind of many. */
const TO_ARRAY = 5

export interface ParameterDescription {
  name: string
  kind: ParameterKind
  description: string
  /** In words. */
  constraints: string
  readOnly: boolean
  /** The kind may change. */
  dynamic: boolean
  /** Where there are limits. */
  range?: { from: number; to: number; step: number }
}

/** What a node says to a new value. */
export interface ParameterResult {
  name: string
  successful: boolean
  /** Why not, in the node's words. */
  reason: string
}

export interface ListOptions extends CallOptions {
  /** Only those that begin so; `a` stands for `a.b`, too. */
  prefixes?: readonly string[]
  /** How many points a name may have, beyond its prefix; default: any. */
  depth?: number
}

/** The parameters of one node, over the services that every ROS 2 node offers. */
export class Parameters {
  /** @internal */
  constructor(
    private readonly context: Context,
    readonly node: string,
  ) {}

  /** The names of all. */
  async list({ prefixes = [], depth = 0, ...options }: ListOptions = {}): Promise<string[]> {
    const { result } = await this.ask('list_parameters', 'ListParameters', { prefixes, depth }, options)
    return (result as { names: string[] }).names
  }

  /** The values of some, by name. One that the node does not have is null. */
  async get(names: readonly string[], options: CallOptions = {}): Promise<Record<string, ParameterValue>> {
    const { values } = await this.ask('get_parameters', 'GetParameters', { names }, options)
    // Some nodes answer with nothing when they lack one of them.
    const found = values as Fields[]
    return Object.fromEntries(names.map((name, place) => [name, plain(found[place])]))
  }

  /**
   * Sets some, by name. A number becomes an integer or a double as the parameter is, which is asked for before.
   * `atomic`: all or none.
   */
  async set(
    values: Readonly<Record<string, ParameterValue>>,
    { atomic = false, ...options }: CallOptions & { atomic?: boolean } = {},
  ): Promise<ParameterResult[]> {
    const names = Object.keys(values)
    const kinds = await this.kinds(names, values, options)
    const parameters = names.map((name, place) => ({ name, value: toFields(name, values[name], kinds[place]) }))
    const [service, type] = atomic
      ? ['set_parameters_atomically', 'SetParametersAtomically']
      : ['set_parameters', 'SetParameters']
    const answer = await this.ask(service, type, { parameters }, options)
    const results = (atomic ? names.map(() => answer.result) : answer.results) as Omit<ParameterResult, 'name'>[]
    return names.map((name, place) => {
      const { successful = false, reason = '' } = results[place] ?? {}
      return { name, successful, reason }
    })
  }

  /** What some are. */
  async describe(names: readonly string[], options: CallOptions = {}): Promise<ParameterDescription[]> {
    const { descriptors } = await this.ask('describe_parameters', 'DescribeParameters', { names }, options)
    return (descriptors as Fields[]).map(describe)
  }

  private ask(service: string, type: string, request: object, options: CallOptions): Promise<Fields> {
    return this.context.call(`${this.node}/${service}`, `rcl_interfaces/srv/${type}`, request, options)
  }

  /** Only numbers need it: they do not say what they are. */
  private async kinds(
    names: string[],
    values: Readonly<Record<string, ParameterValue>>,
    options: CallOptions,
  ): Promise<(number | undefined)[]> {
    if (!Object.values(values).some(isNumeric)) return []
    const { types } = await this.ask('get_parameter_types', 'GetParameterTypes', { names }, options)
    return [...(types as Buffer)]
  }
}

function isNumeric(value: unknown): boolean {
  return Array.isArray(value) ? value.every((one) => typeof one === 'number') : typeof value === 'number'
}

function plain(fields: Fields | undefined): ParameterValue {
  const [, field] = KINDS[(fields?.type as number) ?? 0] ?? KINDS[0]
  if (!field || !fields) return null
  const value = fields[field]
  if (typeof value === 'bigint') return small(value)
  return (Array.isArray(value) ? value.map((one) => (typeof one === 'bigint' ? small(one) : one)) : value) as never
}

function small(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function toFields(name: string, value: ParameterValue | undefined, known: number | undefined): Fields {
  const type = kindOf(value, known)
  const [, field] = KINDS[type ?? -1] ?? []
  if (type === undefined || field === undefined) {
    const expected = 'a truth value, a number, a text, a Buffer, an array of one of the first three, or null'
    throw new EngineError('INVALID_INPUT', `parameter ${name} is ${quote(value)}; it must be ${expected}`)
  }
  return field ? { type, [field]: value } : { type }
}

/** `known`: the kind that the parameter has at its node. */
function kindOf(value: ParameterValue | undefined, known: number | undefined): number | undefined {
  if (value === null) return 0
  if (Buffer.isBuffer(value)) return 5
  if (!Array.isArray(value)) return single(value, known)
  // An empty array is of the kind that is wanted.
  if (value.length === 0) return known && known > TO_ARRAY ? known : 9
  const wanted = known === undefined || known <= TO_ARRAY ? undefined : known - TO_ARRAY
  const kinds = new Set(value.map((one) => single(one, wanted)))
  if (kinds.size === 2 && kinds.has(INTEGER) && kinds.has(DOUBLE)) kinds.delete(INTEGER)
  const [kind] = kinds
  return kinds.size === 1 && kind !== undefined ? kind + TO_ARRAY : undefined
}

function single(value: unknown, known: number | undefined): number | undefined {
  switch (typeof value) {
    case 'boolean':
      return 1
    case 'bigint':
      return INTEGER
    case 'number':
      return Number.isInteger(value) && known !== DOUBLE ? INTEGER : DOUBLE
    case 'string':
      return 4
    default:
      return undefined
  }
}

function describe(fields: Fields): ParameterDescription {
  const [range] = [fields.integer_range, fields.floating_point_range].flat() as Fields[]
  const limits = range && {
    range: { from: Number(range.from_value), to: Number(range.to_value), step: Number(range.step) },
  }
  return {
    name: String(fields.name),
    kind: KINDS[fields.type as number]?.[0] ?? 'not set',
    description: String(fields.description),
    constraints: String(fields.additional_constraints),
    readOnly: fields.read_only === true,
    dynamic: fields.dynamic_typing === true,
    ...limits,
  }
}

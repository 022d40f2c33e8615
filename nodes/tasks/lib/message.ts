/** The options of a task, and the message that they become: see docs/tasks-message.md. */
import { EngineError, quote } from '../../shared/errors'
import { toJson } from '../../shared/json'
import { checkOptions, type Known } from '../../shared/options'

export interface RetryPolicy {
  delayMs?: number
  factor?: number
  capMs?: number
  jitter?: 'full' | 'none'
  /** Types or codes of errors: only these are tried again; none: all. */
  retryOn?: readonly string[]
  /** Types or codes of errors that are not tried again. */
  giveUpOn?: readonly string[]
}

/** What all sends of a task have in common. */
export interface TaskOptions {
  /** None: by the routes, else `default`. */
  queue?: string
  /** 0 to 9; 9 goes first. Default 5. */
  priority?: number
  /** Attempts after the first. Default 3. */
  maxRetries?: number
  /** The wait before the second attempt, in seconds. Default 1. */
  retryDelay?: number
  retry?: RetryPolicy
  /** The longest that one attempt may take. */
  timeoutMs?: number
  rateKey?: string
  ignoreResult?: boolean
  /** Default: a day. */
  resultTtlMs?: number
  idempotencyWindowMs?: number
}

/** What is special to one send. */
export interface SendOptions extends TaskOptions {
  kwargs?: Record<string, unknown>
  /** Seconds from now. */
  countdown?: number
  /** Not before. */
  eta?: Date | number
  /** Not begun after. */
  expires?: Date | number
  /** A second send of the same key within the window is the same task. */
  idempotencyKey?: string
  /** A UUID, best of version 7; a second send of the same id is the same task. */
  id?: string
  correlationId?: string
  parentId?: string
  headers?: Record<string, unknown>
}

const KNOWN: Known<SendOptions> = {
  ...{ queue: 'any', priority: 'any', maxRetries: 'any', retryDelay: 'any', retry: 'any', timeoutMs: 'any' },
  ...{ rateKey: 'any', ignoreResult: 'any', resultTtlMs: 'any', idempotencyWindowMs: 'any', kwargs: 'any' },
  ...{ countdown: 'any', eta: 'any', expires: 'any', idempotencyKey: 'any', id: 'any', correlationId: 'any' },
  ...{ parentId: 'any', headers: 'any' },
}

const KNOWN_RETRY: Known<RetryPolicy> = {
  ...{ delayMs: 'any', factor: 'any', capMs: 'any', jitter: ['full', 'none'], retryOn: 'any', giveUpOn: 'any' },
}

/** What many sends may have in common. */
export type ManyOptions = Omit<SendOptions, 'id' | 'idempotencyKey'>

/** Refuses options that are one task's own, where they would be those of several. */
export function refuseOwn(of: string, options: SendOptions, ...names: (keyof SendOptions)[]): void {
  const given = names.find((name) => options[name] !== undefined)
  if (given !== undefined) throw new EngineError('INVALID_OPTION', `${given} is no option of ${of}`)
}

/** The fields of a message that options become, without its id and arguments. */
export function fieldsOf(options: SendOptions): Record<string, unknown> {
  checkOptions('a task', options, KNOWN)
  if (options.retry !== undefined) checkOptions('retry', options.retry, KNOWN_RETRY)
  const { kwargs, countdown, eta, expires, id, retryDelay, retry, ...rest } = options
  const policy = retryDelay === undefined ? retry : { delayMs: seconds(retryDelay, 'retryDelay'), ...retry }
  return {
    ...rest,
    ...(policy && { retry: policy }),
    ...(eta !== undefined && { eta: time(eta, 'eta') }),
    ...(expires !== undefined && { expires: time(expires, 'expires') }),
  }
}

/** Options as the end of a message's JSON. */
export function tailOf(options: SendOptions, refs?: readonly string[]): string {
  const { kwargs, countdown } = options
  const fields = {
    ...fieldsOf(options),
    ...(refs && { refs }),
    ...(countdown !== undefined && { eta: Date.now() + seconds(countdown, 'countdown') }),
  }
  const rest = toJson(fields, 'options').slice(1, -1)
  return `${kwargs ? `,"kwargs":${toJson(kwargs, 'kwargs')}` : ''}${rest && `,${rest}`}`
}

/** Makes the messages of a name: what they have in common is made once. */
export function messagesOf(name: string): (args: readonly unknown[], tail: string, id: string) => string {
  const common = `","name":${JSON.stringify(name)},"createdAt":`
  return (args, tail, id) => {
    const list = listOf(args)
    return `{"v":1,"id":"${id}${common}${Date.now()}${list && `,${list}`}${tail}}`
  }
}

/** What messages of a name have in common that are made at once. */
export function commonOf(name: string, tail: string): string {
  return `{"v":1,"name":${JSON.stringify(name)},"createdAt":${Date.now()}${tail}}`
}

/** What a message has of its own, beside its id. */
export function ownOf(args: readonly unknown[], refs?: readonly string[]): string {
  const list = listOf(args)
  return refs ? `{${list},"refs":${JSON.stringify(refs)}}` : `{${list}}`
}

function listOf(args: readonly unknown[]): string {
  if (!Array.isArray(args)) {
    const text = `the arguments are ${quote(args)}; give a list, also of one`
    throw new EngineError('INVALID_INPUT', text)
  }
  return args.length > 0 ? `"args":${toJson(args, 'args')}` : ''
}

/** The message of both. */
export function joined(common: string, id: string, own: string): string {
  const fields = own.length > 2 ? `${own.slice(1, -1)},` : ''
  return `{"id":"${id}",${fields}${common.slice(1)}`
}

/** How long from now on it waits at least. */
export function delayOf({ countdown = 0, eta }: SendOptions): number {
  return eta === undefined ? countdown * 1000 : Number(eta) - Date.now()
}

export function seconds(value: number, option: string): number {
  if (!(value >= 0))
    throw new EngineError('INVALID_OPTION', `${option} is ${quote(value)}; it must be seconds, 0 or more`)
  return value * 1000
}

function time(value: Date | number, option: string): number {
  const ms = Number(value)
  if (!(ms >= 0)) {
    throw new EngineError('INVALID_OPTION', `${option} is ${quote(value)}; it must be a Date, or ms since 1970`)
  }
  return ms
}

/** Where the two servers are, and how to get in. */
import { EngineError, quote } from '../../shared/errors'
import { checkTls, networkFault, type TlsOptions } from '../../shared/network'
import { checkOptions, type Known } from '../../shared/options'

export interface Credentials {
  natsUser?: string
  natsPassword?: string
  natsToken?: string
  /** The text of a `.creds` file. */
  natsCreds?: string
  redisUser?: string
  redisPassword?: string
}

export interface DistributedOptions {
  /** `nats://host:port`, or `tls://…`; several, of one cluster, with commas. */
  natsUrl: string
  /** `redis://host:port/number`, or `rediss://…` for TLS. */
  redisUrl: string
  /** What the stream and all keys are called; queues of other prefixes are apart. Default `millrace`. */
  prefix?: string
  credentials?: Credentials
  /** For those connections whose URLs ask for TLS. */
  tls?: TlsOptions
  /** Queues of tasks that name none; exact names go before patterns. */
  routes?: readonly { match: string; queue: string }[]
  /** The largest message or result. Default 1 MB, or what the NATS server takes if that is less. */
  maxPayloadBytes?: number
  /** Default: a day. */
  resultTtlMs?: number
  /** Default: a day. */
  idempotencyWindowMs?: number
  /** Copies of each message, where the stream is made anew. Default 1. */
  replicas?: number
  /** While NATS is away: sends wait, or fail at once. Default `wait`. */
  offline?: 'wait' | 'fail'
  /** So many sends wait for NATS at most; more fail. Default 10,000. */
  maxBuffered?: number
  /** Told of what goes wrong with the servers beside a call: lost connections, and a Redis that came back empty. */
  onProblem?: (problem: EngineError) => void
}

const KNOWN: Known<DistributedOptions> = {
  ...{ natsUrl: 'any', redisUrl: 'any', prefix: 'any', credentials: 'any', tls: 'any', routes: 'any' },
  ...{ maxPayloadBytes: 'any', resultTtlMs: 'any', idempotencyWindowMs: 'any', replicas: 'any', offline: 'any' },
  ...{ maxBuffered: 'any', onProblem: 'any' },
}

const DAY = 86_400_000

export type Settings = Required<Omit<DistributedOptions, 'tls' | 'credentials'>> &
  Pick<DistributedOptions, 'tls'> & { credentials: Credentials }

export function settingsOf(options: DistributedOptions): Settings {
  checkOptions('a task queue', options, KNOWN)
  const settings: Settings = {
    ...{ prefix: 'millrace', credentials: {}, routes: [], maxPayloadBytes: 1 << 20, resultTtlMs: DAY },
    ...{ idempotencyWindowMs: DAY, replicas: 1, offline: 'wait', maxBuffered: 10_000, onProblem: () => {} },
    ...options,
  }
  schemes(settings.natsUrl, 'natsUrl', ['nats', 'tls'])
  schemes(settings.redisUrl, 'redisUrl', ['redis', 'rediss'])
  if (!/^[\w-]{1,64}$/.test(settings.prefix)) {
    const text = `prefix is ${quote(settings.prefix)}; it must be 1 to 64 letters, digits, _ and -`
    throw new EngineError('INVALID_OPTION', text)
  }
  for (const [name, least] of [
    ['maxPayloadBytes', 1],
    ['resultTtlMs', 0],
    ['idempotencyWindowMs', 0],
  ] as const) {
    const value = settings[name]
    if (!(Number.isFinite(value) && value >= least)) {
      throw new EngineError('INVALID_OPTION', `${name} is ${quote(value)}; it must be a number from ${least} on`)
    }
  }
  if (settings.tls) checkTls(settings.tls)
  const { natsCreds } = settings.credentials
  if (natsCreds && !(/NATS USER JWT/.test(natsCreds) && /USER NKEY SEED/.test(natsCreds))) {
    const text = 'natsCreds is not the text of a .creds file; it must have a NATS USER JWT and a USER NKEY SEED'
    throw new EngineError('INVALID_OPTION', text)
  }
  return settings
}

function schemes(urls: string, option: string, allowed: readonly string[]): void {
  for (const url of String(urls ?? '').split(',')) {
    const scheme = URL.canParse(url.trim()) ? new URL(url.trim()).protocol.slice(0, -1) : ''
    if (allowed.includes(scheme)) continue
    const text = `${option} is ${quote(hidden(url))}; it must begin with ${allowed.map((one) => `${one}://`).join(' or ')}`
    throw new EngineError('INVALID_OPTION', text)
  }
}

/** A URL without its password. */
export function hidden(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}

const REFUSALS: [pattern: RegExp, what: string][] = [
  [/WRONGPASS|NOAUTH|authentication|authorization violation|AUTH/i, 'it refuses the user, or the password or token'],
  [/NOPERM|permissions violation/i, 'the user may not do this; see what the server allows it'],
  [
    /jetstream not enabled|no responders|503/i,
    'its JetStream is not on; start it with a store: nats-server -js -sd <folder>',
  ],
  [/unknown command|ERR /i, 'it is too old, or no Redis'],
]

/** What a server said, or why it said nothing. */
export function serverError(cause: unknown, url: string): EngineError {
  if (cause instanceof EngineError) return cause
  const where = quote(hidden(url))
  const { message = String(cause), chainedError, lastNodeError } = cause as Record<string, unknown> & Error
  const root = (chainedError ?? lastNodeError ?? cause) as Error & { code?: unknown }
  const { fault, what } = networkFault(root)
  if (fault !== 'other') return new EngineError('TRANSPORT', `${where}: ${what}`, { cause })
  const text = `${message} ${root.code ?? ''}`
  const refusal = REFUSALS.find(([pattern]) => pattern.test(text))
  if (refusal) return new EngineError('REFUSED', `${where}: ${refusal[1]} (${message})`, { cause })
  const late = /TIMEOUT|timed out/i.test(text)
  return new EngineError('TRANSPORT', `${where}: ${late ? 'it does not answer in time' : message}`, { cause })
}

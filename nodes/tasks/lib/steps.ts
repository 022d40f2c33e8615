/** Messages and steps of workflows, in the form in which they go into the script. What they mean is decided natively. */
import { EngineError } from '../../shared/errors'
import { engine, native } from '../../shared/native'

/** What Redis has to know of a message. */
export interface Head {
  id: string
  name: string
  queue: string
  idempotencyKey?: string
  rootId?: string
  then: boolean
  [more: string]: unknown
}

type Route = { match: string; queue: string }
interface Outcome {
  result?: unknown
  error?: { code?: string } & Record<string, unknown>
}
interface Effects {
  sends: Record<string, unknown>[]
  joins: { id: string; count: number }[]
  parts: { part: { id: string; index: number }; outcome: Outcome }[]
  records: { id: string; outcome: Outcome; skipped?: string }[]
}

const CALLED_OFF: Outcome = {
  error: { type: 'EngineError', message: 'the workflow was called off', code: 'REVOKED' },
}

/** Checks a message. */
export function headOf(message: string, routes: readonly Route[]): Head {
  const head = JSON.parse(engine(() => native().readMessage(message))) as Head
  head.queue ??= routed(head.name, routes)
  return head
}

function routed(name: string, routes: readonly Route[]): string {
  const exact = routes.find(({ match }) => match === name)
  return (exact ?? routes.find(({ match }) => native().fitsPattern(match, name)))?.queue ?? 'default'
}

/** Checks a workflow and names its parts. */
export function prepare(signature: string): { id: string; signature: string; tasks: number; single: boolean } {
  const prepared = JSON.parse(engine(() => native().prepareWorkflow(signature)))
  const { id, task } = prepared.signature
  return { id, signature: JSON.stringify(prepared.signature), tasks: prepared.tasks, single: task !== undefined }
}

/** The first effects of a prepared workflow. `maxBytes`: nothing of it is sent if a part cannot be. */
export function begin(signature: string, routes: readonly Route[], maxBytes: number): (string | number)[] {
  const effects = JSON.parse(engine(() => native().beginWorkflow(signature))) as Effects
  const args = flat(effects, routes)
  for (const message of args.slice(-effects.sends.length * 2)) {
    const bytes = Buffer.byteLength(String(message))
    if (effects.sends.length > 0 && bytes > maxBytes) throw tooLarge('a task of the workflow', bytes, maxBytes)
  }
  return args
}

/** What follows a task that ended: its message, its outcome, its workflow (or ''). */
export function follow(
  message: string,
  outcome: string,
  rootId: string,
  cancelled: boolean,
  routes: readonly Route[],
): (string | number)[] {
  const { id, then } = JSON.parse(message)
  const with_ = cancelled ? JSON.stringify(CALLED_OFF) : outcome
  return flat(JSON.parse(engine(() => native().advanceWorkflow(JSON.stringify(then), with_, rootId || id, id))), routes)
}

/** What follows a join whose parts are all there. */
export function pass(
  join: string,
  outcomes: readonly string[],
  cancelled: boolean,
  routes: readonly Route[],
): (string | number)[] {
  const all = cancelled ? JSON.stringify([CALLED_OFF]) : `[${outcomes.join(',')}]`
  return flat(JSON.parse(engine(() => native().completeJoin(join, all))), routes)
}

function flat({ joins, parts, records, sends }: Effects, routes: readonly Route[]): (string | number)[] {
  const args: (string | number)[] = [joins.length]
  for (const join of joins) args.push(join.id, join.count, JSON.stringify(join))
  args.push(parts.length)
  for (const { part, outcome } of parts) args.push(part.id, part.index, JSON.stringify(outcome))
  args.push(records.length)
  for (const { id, outcome, skipped } of records) {
    const { result, error } = outcome
    const state = !error ? 'success' : skipped || error.code === 'REVOKED' ? 'revoked' : 'failure'
    args.push(id, state, error ? '' : JSON.stringify(result ?? null), error ? JSON.stringify(error) : '', skipped ?? '')
  }
  args.push(sends.length)
  for (const send of sends) {
    const message = JSON.stringify(send)
    args.push(JSON.stringify(headOf(message, routes)), message)
  }
  return args
}

export function tooLarge(what: string, bytes: number, max: number): EngineError {
  const text = `${what} has ${bytes} bytes, more than the ${max} of maxPayloadBytes; pass a reference to the data instead`
  return new EngineError('TOO_LARGE', text)
}

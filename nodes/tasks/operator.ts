/** What a `millrace-tasks-control` node does between its opening and its close. */
import { EngineError, quote } from '../shared/errors'
import { toJson } from '../shared/json'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { type CommandName, commandNames, commands } from './commands'
import type { controlConfig } from './control.config'
import { type BrokerHost, brokerOf } from './host'
import type { Control, Filter, Rate, Schedule, WhichDead } from './lib'

type ControlHost = Host<(typeof controlConfig)['fields']>
type Params = Record<string, unknown>

export class Operator {
  private readonly broker: BrokerHost
  private obeyed = 0

  constructor(private readonly host: ControlHost) {
    this.broker = brokerOf(host, host.config.broker)
    this.broker.join()
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const command = this.commandOf(message)
    const params = this.paramsOf(command, message)
    const { control } = await this.broker.app()
    message.payload = (await obey[command](control, params)) ?? {}
    this.obeyed += 1
    this.show()
    reply.send(message)
    reply.done()
  }

  close(): void {
    this.broker.leave()
  }

  private commandOf({ topic }: Message): CommandName {
    const { command } = this.host.config
    if (command !== 'message') return command
    if (commandNames.includes(topic as CommandName)) return topic as CommandName
    const params = { given: quote(topic), commands: commandNames.join(', ') }
    throw new EngineError('INVALID_INPUT', this.host.text('failure.command', params))
  }

  /** Those of the dialog that are set; those of the message go first. */
  private paramsOf(command: CommandName, { options, taskId }: Message): Params {
    if (options !== undefined && (options === null || typeof options !== 'object' || Array.isArray(options))) {
      throw new EngineError('INVALID_INPUT', `msg.options is ${quote(options)}; it must be an object`)
    }
    const named: readonly (keyof ControlHost['config'])[] = commands[command]
    const set = named.map((name) => [name, this.host.config[name]]).filter(([, value]) => value !== '')
    // What JSON cannot say is refused here, with its path.
    const given = JSON.parse(toJson(options ?? {}, 'msg.options')) as Params
    return { ...(taskId !== undefined && { id: taskId }), ...Object.fromEntries(set), ...given }
  }

  private show(): void {
    this.host.status(() => {
      const text = this.host.text('status.obeyed', { obeyed: short(this.obeyed) })
      return counted(this.obeyed, text)
    })
  }
}

/** The engine says what is wrong with a value; what is missing is said here. */
const obey: Record<CommandName, (control: Control, params: Params) => Promise<unknown>> = {
  revoke: (control, params) => control.revoke(named(params, 'id'), { refuseLate: params.refuseLate === true }),
  inspect: (control, params) => control.inspect(named(params, 'id')),
  list: (control, params) => control.list(filterOf(params)),
  count: (control, params) => control.count(filterOf(params)),
  queues: (control) => control.queues(),
  workers: (control) => control.workers(),
  stats: (control) => control.stats(),
  purge: (control, params) => control.purge(named(params, 'queue')),
  pause: (control, params) => control.pause(named(params, 'queue')),
  resume: (control, params) => control.resume(named(params, 'queue')),
  limit: (control, params) => control.limit(named(params, 'queue'), params.max as number | null),
  rateLimit: (control, params) =>
    control.rateLimit(named(params, 'scope') as 'queue', named(params, 'target'), rateOf(params)),
  retryDead: (control, params) => control.retryDead(whichOf(params)),
  deleteDead: (control, params) => control.deleteDead(whichOf(params)),
  schedule: (control, params) => {
    const { name, schedule, message } = { ...params, name: named(params, 'name') } as Params
    return control.schedule(String(name), schedule as Schedule, message as Params)
  },
  unschedule: (control, params) => control.unschedule(named(params, 'name')),
  schedules: (control) => control.schedules(),
}

function named(params: Params, name: string): string {
  const value = params[name]
  if (typeof value === 'string' && value !== '') return value
  throw new EngineError('INVALID_INPUT', `${name} is ${quote(value)}; name it in the node, or in msg.options`)
}

function filterOf({ state, queue, task, name, workflow, limit, after }: Params): Filter {
  return { state, queue, name: name ?? task, workflow, limit, after } as Filter
}

function rateOf({ perSecond, burst }: Params): Rate | null {
  if (perSecond === null || perSecond === undefined) return null
  const rate = Number(perSecond)
  return { perSecond: rate, burst: Number(burst ?? Math.max(1, Math.ceil(rate))) }
}

function whichOf({ ids, queue }: Params): WhichDead {
  return { ...(ids !== undefined && { ids: ids as string[] }), ...(queue !== undefined && { queue: String(queue) }) }
}

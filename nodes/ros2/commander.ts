/** What a `millrace-ros2-action` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import type { actionConfig } from './action.config'
import { longType } from './fields'
import type { ActionClient, ActionGoal, Context, GoalOptions } from './lib'
import { Member, type MemberRole } from './member'

type ActionHost = Host<(typeof actionConfig)['fields']>

interface End {
  client: ActionClient
  close(): Promise<void>
}

const FEEDBACK = 1

export class Commander implements MemberRole<End> {
  private readonly member: Member<End>
  /** Absolute. */
  private readonly action: string
  private readonly type: string
  /** The goal has no fields: any message is one. */
  private asksNothing = false
  private ended = 0
  private closed = false

  constructor(private readonly host: ActionHost) {
    this.member = new Member(host, host.config.context, this)
    this.action = this.member.nameOf(host.config.action)
    this.type = longType(host.config.actionType, 'action')
    this.member.join()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const { client } = await this.member.ready()
    if (message.cancel) {
      await this.cancel(client, message.cancel)
      return reply.done()
    }
    const { timeoutMs } = this.host.config
    let goal: ActionGoal | undefined
    const feedback = this.host.wired(FEEDBACK) ? { onFeedback: this.feedbackTo(message, reply) } : {}
    try {
      const sent = client.sendGoal(this.goalOf(message.payload), { timeoutMs, ...feedback })
      this.member.show()
      goal = await sent
      const { status, result } = await goal.result()
      message.payload = result
      message.ros2 = { type: this.type, goal: goal.id, status }
      this.ended += 1
      reply.send([message])
    } catch (error) {
      // A close is the end of goals that were taken, as the node is told to.
      if (!goal || !this.closed || toEngineError(error).code !== 'CLOSED') throw error
    } finally {
      this.member.show()
    }
    reply.done()
  }

  close(): Promise<void> {
    this.closed = true
    return this.member.close()
  }

  open(context: Context): End {
    const { int64, onClose } = this.host.config
    const [goal] = context.definitions.resolveAction(this.type).goal
    this.asksNothing = goal?.definitions.every((field) => field.isConstant) ?? true
    const onError = (error: Error) => this.host.node.error(error)
    const client = context.action(this.action, this.type, { int64, onError })
    return { client, close: () => client.close({ cancel: onClose === 'cancel' }) }
  }

  live({ client }: End): NodeStatus {
    const active = client.active.length
    if (active === 0 && !client.isReady()) {
      return { fill: 'grey', shape: 'ring', text: this.host.text('status.nobody') }
    }
    const params = { active: short(active), ended: short(this.ended) }
    const text = this.host.text(active > 0 ? 'status.active' : 'status.ended', params)
    return { fill: 'green', shape: active > 0 ? 'ring' : 'dot', text }
  }

  /** Each feedback is a copy of the message that brought the goal. */
  private feedbackTo(message: Message, reply: Reply): NonNullable<GoalOptions['onFeedback']> {
    const rest = { ...message, payload: undefined }
    return (payload, { id }) => {
      const copy = this.host.RED.util.cloneMessage(rest as never) as object
      reply.send([null, { ...copy, payload, ros2: { type: this.type, goal: id } }])
    }
  }

  /** `wanted`: the id of a goal, or anything else for all. */
  private async cancel(client: ActionClient, wanted: unknown): Promise<void> {
    const goals = client.active.filter(({ id }) => typeof wanted !== 'string' || id === wanted)
    if (goals.length === 0 && typeof wanted === 'string') {
      throw new EngineError('NOT_FOUND', this.host.text('failure.goal', { given: quote(wanted) }))
    }
    const { timeoutMs } = this.host.config
    await Promise.all(goals.map((goal) => goal.cancel({ timeoutMs })))
  }

  private goalOf(payload: unknown): unknown {
    if (this.asksNothing) return {}
    if (payload !== null && typeof payload === 'object' && !Buffer.isBuffer(payload)) return payload
    const params = { given: quote(payload), type: this.type }
    throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', params))
  }
}

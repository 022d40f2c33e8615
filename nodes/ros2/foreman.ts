/** What a `millrace-ros2-goals` node does between its opening and its close. */
import type { NodeStatus } from 'node-red'
import type { Host } from '../shared/node'
import { short } from '../shared/status'
import { longType } from './fields'
import type { goalsConfig } from './goals.config'
import type { ActionServer, Context, GoalRun } from './lib'
import { Member, type MemberRole } from './member'
import { closeRequest, openRequest } from './requests'

type GoalsHost = Host<(typeof goalsConfig)['fields']>

const CANCELS = 1

export class Foreman implements MemberRole<ActionServer> {
  private readonly member: Member<ActionServer>
  /** Absolute. */
  private readonly action: string
  private readonly type: string
  /** Lets all goals in work go. */
  private readonly working = new Set<() => void>()
  private server: ActionServer | undefined
  private ended = 0
  private warned = false

  constructor(private readonly host: GoalsHost) {
    this.member = new Member(host, host.config.context, this)
    this.action = this.member.nameOf(host.config.action)
    this.type = longType(host.config.actionType, 'action')
    this.member.join()
  }

  async close(): Promise<void> {
    for (const letGo of [...this.working]) letGo()
    await this.member.close()
  }

  open(context: Context): ActionServer {
    const { int64 } = this.host.config
    const onError = (error: Error) => this.host.node.error(error)
    const handler = (goal: object, run: GoalRun) => this.work(goal, run)
    // A flow that does not hear of it does not cancel.
    const options = { int64, onError, allowCancel: () => this.host.wired(CANCELS) }
    this.server = context.serveAction(this.action, this.type, handler, options)
    return this.server
  }

  changed(): void {
    const deaf = this.server?.deaf() ?? 0
    if (deaf > 0 && !this.warned) this.host.node.warn(this.host.text('failure.deaf', { action: this.action }))
    this.warned = deaf > 0
  }

  live(): NodeStatus {
    const params = { open: short(this.working.size), ended: short(this.ended) }
    const shape = this.working.size > 0 ? 'ring' : 'dot'
    return { fill: 'green', shape, text: this.host.text('status.working', params) }
  }

  /** Resolves to the result that a reply node brings. */
  private work(payload: object, run: GoalRun): Promise<unknown> {
    const { server } = this
    const { id: goal, signal } = run
    return new Promise((resolve) => {
      const end = (result?: unknown) => {
        signal.removeEventListener('abort', cancel)
        closeRequest(request)
        this.working.delete(letGo)
        this.ended += 1
        resolve(result)
        this.member.show()
      }
      const letGo = () => {
        run.abort()
        end()
      }
      const about = (payload: unknown) => ({ topic: this.action, payload, ros2: { request, goal, type: this.type } })
      const cancel = () => this.host.node.send([null, about(goal)] as never)
      const request = openRequest({
        answer: (result, isAborted) => {
          server?.checkResult(result)
          if (isAborted) run.abort()
          end(result)
        },
        tell: (feedback) => run.feedback(feedback),
      })
      signal.addEventListener('abort', cancel)
      this.working.add(letGo)
      this.member.show()
      this.host.node.send([about(payload)] as never)
    })
  }
}

/** What a `millrace-tasks-workflow` node does between its opening and its close. */
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { counted, short } from '../shared/status'
import { compose } from './composer'
import { type BrokerHost, brokerOf } from './host'
import { type App, type AsyncResult, GroupResult } from './lib'
import { mostWaiting } from './limits'
import { Progress } from './progress'
import type { workflowConfig } from './workflow.config'

type WorkflowHost = Host<(typeof workflowConfig)['fields']>

export class Starter {
  private readonly broker: BrokerHost
  private readonly most: number
  private readonly progress: Progress
  private waiting = 0
  private sent = 0
  private closed = false

  constructor(private readonly host: WorkflowHost) {
    this.broker = brokerOf(host, host.config.broker)
    this.broker.join()
    this.most = mostWaiting(host.RED)
    this.progress = new Progress((error) => host.node.warn(error.message))
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    if (this.waiting >= this.most) throw new EngineError('BUFFER_FULL', this.host.text('failure.waiting'))
    this.waiting += 1
    try {
      const app = await this.broker.app()
      const result = await this.start(app, message)
      this.sent += 1
      this.show()
      message.taskId = result.id
      if (result instanceof GroupResult) message.taskIds = result.results.map(({ id }) => id)
      if (this.host.wired(1)) this.follow(app, message, reply)
      if (this.host.config.output === 'result') message.payload = await result.get()
      reply.send([message, null])
      reply.done()
    } catch (error) {
      // The queue has the workflow; only who waits for its result goes.
      if (!this.closed || toEngineError(error).code !== 'CLOSED') throw error
      reply.done()
    } finally {
      this.waiting -= 1
      this.show()
    }
  }

  close(): void {
    this.closed = true
    this.progress.close()
    this.broker.leave()
  }

  private async start(app: App, message: Message): Promise<AsyncResult> {
    if (this.host.config.shape !== 'message') return (await compose(this.host, app, message)).applyAsync()
    const { workflow } = message
    if (workflow === null || typeof workflow !== 'object') {
      throw new EngineError('INVALID_WORKFLOW', this.host.text('failure.workflow', { given: quote(workflow) }))
    }
    return app.sendWorkflow(workflow)
  }

  private follow(app: App, { _msgid, topic, taskId }: Message, reply: Reply): void {
    this.progress.follow(app, String(taskId), (payload) => reply.send([null, { _msgid, topic, taskId, payload }]))
  }

  private show(): void {
    this.host.status(() => {
      const params = { sent: short(this.sent), waiting: short(this.waiting) }
      const text = this.waiting > 0 ? this.host.text('status.awaiting', params) : this.host.text('status.sent', params)
      return counted(this.sent, text)
    })
  }
}

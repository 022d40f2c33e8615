import type { NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import { defineNode, type Host, type Message } from '../shared/node'
import { short } from '../shared/status'
import { replyConfig } from './reply.config'
import { findRequest, type Open } from './requests'

class Replier {
  private answered = 0

  constructor(private readonly host: Host<(typeof replyConfig)['fields']>) {}

  input({ payload, ros2, feedback, aborted }: Message): void {
    const id = (ros2 as { request?: unknown } | null | undefined)?.request
    const request = findRequest(id)
    if (!request) throw new EngineError('INVALID_INPUT', this.host.text('failure.request', { given: quote(id) }))
    if (feedback) return this.tell(request, payload)
    request.answer(payload, aborted === true)
    this.answered += 1
    this.host.status(() => {
      const text = this.host.text('status.answered', { answered: short(this.answered) })
      return { fill: 'green', shape: 'dot', text }
    })
  }

  private tell(request: Open, feedback: unknown): void {
    if (!request.tell) throw new EngineError('INVALID_INPUT', this.host.text('failure.feedback'))
    request.tell(feedback)
  }
}

export = (RED: NodeAPI): void => {
  defineNode(RED, {
    config: replyConfig,
    open: (host) => new Replier(host),
    input(replier, message, reply) {
      replier.input(message)
      reply.done()
    },
  })
}

import type { NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import { defineNode, type Host, type Message } from '../shared/node'
import { short } from '../shared/status'
import { replyConfig } from './reply.config'
import { findRequest } from './requests'

class Replier {
  private answered = 0

  constructor(private readonly host: Host<(typeof replyConfig)['fields']>) {}

  input({ payload, ros2 }: Message): void {
    const id = (ros2 as { request?: unknown } | null | undefined)?.request
    const request = findRequest(id)
    if (!request) throw new EngineError('INVALID_INPUT', this.host.text('failure.request', { given: quote(id) }))
    request.answer(payload)
    this.answered += 1
    this.host.status(() => {
      const text = this.host.text('status.answered', { answered: short(this.answered) })
      return { fill: 'green', shape: 'dot', text }
    })
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

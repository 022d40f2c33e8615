/** What a `millrace-memory-recall` node does: it finds what an agent remembers, as a list or as a text for a model. */
import { EngineError, quote } from '../shared/errors'
import type { Host } from '../shared/node'
import type { Job } from './clerk'
import { embedderOf } from './embedding'
import { AgentMemory, type RecallOptions } from './lib'
import type { recallConfig } from './recall.config'
import { blank, reader } from './typed'

interface Given {
  question: string
  since?: Date | number | string
}

export function recalling(host: Host<(typeof recallConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const { agent, kind, tags, output, limit, budget } = config
  const query = reader(RED, node, config.query, config.queryType)
  const since = reader(RED, node, config.since, config.sinceType)
  const by = embedderOf(host, config.embedder)
  const options: RecallOptions = { tags, ...(kind !== 'any' && { kinds: [kind] }) }

  return {
    async read(message) {
      const [question, from] = [await query(message), await since(message)]
      if (typeof question === 'string') return { question, ...(!blank(from) && { since: from as number }) }
      throw new EngineError('INVALID_INPUT', `the question is ${quote(question)}; it must be a text`)
    },

    async run(db, { question, ...from }) {
      const memory = new AgentMemory(db, agent, by)
      if (output === 'list') return { payload: await memory.recall(question, { ...options, ...from, limit }) }
      const { text, ids } = await memory.context(question, budget, { ...options, ...from })
      return { payload: text, memories: ids }
    },
  }
}

/** What a `millrace-memory-recall` node does: it finds what an agent remembers, as a list or as a text for a model. */
import { EngineError, quote } from '../shared/errors'
import type { Host } from '../shared/node'
import type { Job } from './clerk'
import { embedderOf } from './embedding'
import { AgentMemory, type RecallOptions } from './lib'
import type { recallConfig } from './recall.config'
import { reader } from './typed'

export function recalling(host: Host<(typeof recallConfig)['fields']>): Job<string> {
  const { RED, node, config } = host
  const { agent, kind, tags, output, limit, budget } = config
  const query = reader(RED, node, config.query, config.queryType)
  const by = embedderOf(host, config.embedder)
  const options: RecallOptions = { tags, ...(kind !== 'any' && { kinds: [kind] }) }

  return {
    async read(message) {
      const given = await query(message)
      if (typeof given === 'string') return given
      throw new EngineError('INVALID_INPUT', `the question is ${quote(given)}; it must be a text`)
    },

    async run(db, given) {
      const memory = new AgentMemory(db, agent, by)
      if (output === 'list') return { payload: await memory.recall(given, { ...options, limit }) }
      const { text, ids } = await memory.context(given, budget, options)
      return { payload: text, memories: ids }
    },
  }
}

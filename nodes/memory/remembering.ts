/** What a `millrace-memory-remember` node does: it keeps a text for an agent. */
import type { Host } from '../shared/node'
import type { Job } from './clerk'
import { embedderOf } from './embedding'
import { AgentMemory, type RememberOptions } from './lib'
import type { rememberConfig } from './remember.config'
import { reader } from './typed'

interface Given {
  text: string
  options: RememberOptions
}

const methods = { episode: 'remember', fact: 'learn', procedure: 'procedure' } as const

export function remembering(host: Host<(typeof rememberConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const { agent, kind, importance, tags } = config
  const text = reader(RED, node, config.text, config.textType)
  const by = embedderOf(host, config.embedder)

  return {
    async read(message) {
      const given = message.importance ?? importance
      return {
        text: (await text(message)) as string,
        options: { tags, data: message.data, ...(given !== null && { importance: given as number }) },
      }
    },

    async run(db, { text, options }) {
      const id = await new AgentMemory(db, agent, by)[methods[kind]](text, options)
      return { memory: { id, kind, agent } }
    },
  }
}

/** What a `millrace-memory-remember` node does: it keeps a text for an agent, forgets, or puts the memory in order. */
import type { Host } from '../shared/node'
import { type Job, nameOf } from './clerk'
import { embedderOf } from './embedding'
import { AgentMemory, type Consolidation, type RememberOptions } from './lib'
import type { rememberConfig } from './remember.config'
import { reader } from './typed'

interface Given {
  /** A text, an id, or what a consolidation did. */
  given: unknown
  options: RememberOptions
}

const methods = { episode: 'remember', fact: 'learn', procedure: 'procedure' } as const

export function remembering(host: Host<(typeof rememberConfig)['fields']>): Job<Given> {
  const { RED, node, config } = host
  const { agent, operation, kind, importance, tags, duplicate, fadeAfterDays, fadeImportance, fadeUses } = config
  const limits = { duplicate, fadeAfterDays, fadeImportance, fadeUses }
  const text = reader(RED, node, config.text, config.textType)
  const by = embedderOf(host, config.embedder)

  return {
    async read(message) {
      const important = message.importance ?? importance
      return {
        given: operation === 'consolidate' ? undefined : await text(message),
        options: { tags, data: message.data, ...(important !== null && { importance: important as number }) },
      }
    },

    async run(db, { given, options }) {
      const memory = new AgentMemory(db, agent, by)
      if (operation === 'consolidate') return { memory: { agent, ...(await memory.consolidate(limits)) } }
      if (operation === 'undo') {
        return { memory: { agent, ...(await memory.undo(given as Consolidation)) } }
      }
      if (operation === 'forget') {
        const id = nameOf(given)
        return { memory: { agent, id, forgotten: await memory.forget(id) } }
      }
      const id = await memory[methods[kind]](given as string, options)
      return { memory: { id, kind, agent } }
    },
  }
}

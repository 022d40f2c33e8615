/** Reads topic and timestamp off a message, as the node's settings say. */
import type { Node, NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Message } from '../shared/node'
import { arrivalClock, parseStamp } from './lib/timestamps'
import type { SyncConfig } from './sync.config'

type Use = (topic: string, stamp: bigint) => void

/** Calls `use` with what it read: at once, or in the order of the messages where JSONata takes its time. */
export function messageReader(RED: NodeAPI, node: Node, config: SyncConfig) {
  const arrival = arrivalClock()
  const topicOf = property(config.topicFrom, config.topicFromType)
  const stampOf = stampSource()
  const waits = [config.topicFromType, config.stampFromType].includes('jsonata')
  let before: Promise<unknown> = Promise.resolve()

  return (message: Message, use: Use): void | Promise<void> => {
    if (!waits) return use(checkTopic(topicOf(message)), toStamp(stampOf(message)))
    const arrived = { topic: topicOf(message), stamp: stampOf(message) }
    const now = Promise.allSettled([arrived.topic, arrived.stamp, before]).then(([topic, stamp]) => {
      use(checkTopic(settled(topic)), toStamp(settled(stamp)))
    })
    before = now
    return now
  }

  function property(name: string, type: string): (message: Message) => unknown {
    if (type !== 'jsonata') return (message) => RED.util.getMessageProperty(message, name)
    const expression = RED.util.prepareJSONataExpression(name, node)
    return (message) =>
      new Promise((resolve, reject) => {
        RED.util.evaluateJSONataExpression(expression, message, (error: Error | null, value: unknown) => {
          if (error)
            reject(new EngineError('INVALID_INPUT', `JSONata ${quote(name)}: ${error.message}`, { cause: error }))
          else resolve(value)
        })
      })
  }

  function stampSource(): (message: Message) => unknown {
    switch (config.stampFromType) {
      case 'arrival':
        return arrival
      case 'auto':
        return (message) => headerStamp(message.payload) ?? message.timestamp
      default:
        return property(config.stampFrom, config.stampFromType)
    }
  }

  function toStamp(value: unknown): bigint {
    return config.stampFromType === 'arrival' ? (value as bigint) : parseStamp(value, config.stampUnit)
  }
}

function headerStamp(payload: unknown): unknown {
  const header = (payload as { header?: { stamp?: unknown } } | null | undefined)?.header
  return header?.stamp
}

function checkTopic(topic: unknown): string {
  if (typeof topic === 'string' && topic !== '') return topic
  if (typeof topic === 'number') return String(topic)
  throw new EngineError('INVALID_INPUT', `the topic is ${quote(topic)}; give each message the name of its stream`)
}

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason
  return result.value
}

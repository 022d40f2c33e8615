/** Reads topic and timestamp off a message, as the node's settings say. */
import type { Node, NodeAPI } from 'node-red'
import { arrivalClock } from '../shared/clock'
import { EngineError, quote } from '../shared/errors'
import type { Message } from '../shared/node'
import { parseStamp } from './lib/timestamps'
import type { SyncConfig } from './sync.config'

type Use = (topic: string, stamp: bigint) => void

/** Reads at once, or in the order of the messages where JSONata takes its time. */
export function messageReader(RED: NodeAPI, node: Node, config: SyncConfig) {
  const arrival = arrivalClock()
  const topicOf = property('topicFrom', config.topicFromType)
  const stampOf = stampSource()
  const waits = [config.topicFromType, config.stampFromType].includes('jsonata')
  let before: Promise<unknown> = Promise.resolve()

  /** Calls `use` with what the message says. */
  function read(message: Message, use: Use): void | Promise<void> {
    if (!waits) return use(checkTopic(topicOf(message)), toStamp(stampOf(message)))
    const arrived = Promise.allSettled([topicOf(message), stampOf(message)])
    return inTurn(async () => {
      const [topic, stamp] = await arrived
      use(checkTopic(settled(topic)), toStamp(settled(stamp)))
    })
  }

  /** Calls `act` when all messages before this one have been read. */
  function inTurn(act: () => void | Promise<void>): void | Promise<void> {
    if (!waits) return act()
    const now = before.then(act)
    before = now.catch(() => {})
    return now
  }

  function property(setting: 'topicFrom' | 'stampFrom', type: string): (message: Message) => unknown {
    const name = config[setting]
    if (type !== 'jsonata') {
      prepare(setting, () => RED.util.normalisePropertyExpression(name))
      return (message) => propertyOf(message, name)
    }
    const expression = prepare(setting, () => RED.util.prepareJSONataExpression(name, node))
    return (message) =>
      new Promise((resolve, reject) => {
        RED.util.evaluateJSONataExpression(expression, message, (error: Error | null, value: unknown) => {
          if (error)
            reject(new EngineError('INVALID_INPUT', `JSONata ${quote(name)}: ${error.message}`, { cause: error }))
          else resolve(value)
        })
      })
  }

  /** What Node-RED cannot read is said now, not with every message. */
  function prepare<T>(setting: 'topicFrom' | 'stampFrom', parse: () => T): T {
    try {
      return parse()
    } catch (cause) {
      // JSONata's errors are plain objects.
      const reason = (cause as { message?: unknown }).message
      throw new EngineError('INVALID_OPTION', `${setting} is ${quote(config[setting])}: ${reason}`, { cause })
    }
  }

  function propertyOf(message: Message, name: string): unknown {
    try {
      return RED.util.getMessageProperty(message, name)
    } catch {
      // The message has no such path.
      return undefined
    }
  }

  function stampSource(): (message: Message) => unknown {
    switch (config.stampFromType) {
      case 'arrival':
        return arrival
      case 'auto':
        return (message) => headerStamp(message.payload) ?? message.timestamp
      default:
        return property('stampFrom', config.stampFromType)
    }
  }

  function toStamp(value: unknown): bigint {
    return config.stampFromType === 'arrival' ? (value as bigint) : parseStamp(value, config.stampUnit)
  }

  return { read, inTurn }
}

function headerStamp(payload: unknown): unknown {
  const header = (payload as { header?: { stamp?: unknown } } | null | undefined)?.header
  const stamp = header?.stamp as { sec?: unknown; nanosec?: unknown } | undefined
  // Zero is what a ROS publisher sends that never set it.
  return stamp?.sec === 0 && stamp.nanosec === 0 ? undefined : stamp
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

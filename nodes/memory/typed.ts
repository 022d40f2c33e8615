/** Reads what a typed input names: a text, a property of the message or of a context, or what an expression makes. */
import type { Node, NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'
import type { Message } from '../shared/node'

export type Read = (message: Message) => unknown | Promise<unknown>

/** Nothing was given. */
export function blank(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

/** What cannot be read in any message is said at once. */
export function reader(RED: NodeAPI, node: Node, given: string, type: string): Read {
  switch (type) {
    case 'str':
      return () => given
    case 'msg':
      return property(RED, given)
    case 'jsonata':
      return expression(RED, node, given)
    case 'json':
      prepare(given, () => JSON.parse(given))
      return () => JSON.parse(given)
    default:
      return (message) =>
        new Promise((resolve, reject) => {
          RED.util.evaluateNodeProperty(given, type, node, message, (error, value) =>
            error ? reject(unreadable(given, error)) : resolve(value),
          )
        })
  }
}

function property(RED: NodeAPI, name: string): Read {
  prepare(name, () => RED.util.normalisePropertyExpression(name))
  return (message) => {
    try {
      return RED.util.getMessageProperty(message, name)
    } catch {
      // The message has no such path.
      return undefined
    }
  }
}

function expression(RED: NodeAPI, node: Node, text: string): Read {
  const prepared = prepare(text, () => RED.util.prepareJSONataExpression(text, node))
  return (message) =>
    new Promise((resolve, reject) => {
      RED.util.evaluateJSONataExpression(prepared, message, (error: Error | null, value: unknown) =>
        error ? reject(unreadable(text, error)) : resolve(value),
      )
    })
}

function prepare<T>(text: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    // JSONata's errors are plain objects.
    throw new EngineError('INVALID_OPTION', `${quote(text)} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function unreadable(text: string, cause: Error): EngineError {
  return new EngineError('INVALID_INPUT', `${quote(text)} fails: ${cause.message}`, { cause })
}

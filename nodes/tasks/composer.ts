/** The rows of a workflow node, with the values of a message, as a workflow. */
import { EngineError, quote } from '../shared/errors'
import type { Host, Message } from '../shared/node'
import { type App, chain, chord, group, type Signature } from './lib'
import type { Step, WorkflowConfig, workflowConfig } from './workflow.config'

type WorkflowHost = Host<(typeof workflowConfig)['fields']>

export async function compose({ RED, node, config, text }: WorkflowHost, app: App, message: Message) {
  const { steps, shape, callback, callbackQueue, onError, errorTask } = config
  const values = await Promise.all(steps.map((step) => argumentValue(step)))
  const parts = steps.map((step, place) => partsOf(app, step, values[place]))
  const whole = wholeOf(shape)
  const judged = onError === 'stop' ? whole : whole.onError(onError)
  return errorTask === '' ? judged : judged.errorTask(app.task(errorTask).s())

  function wholeOf(shape: WorkflowConfig['shape']): Signature {
    if (parts.length === 0) throw new EngineError('INVALID_WORKFLOW', text('failure.steps'))
    if (shape === 'chain') return chain(parts.map((part) => (Array.isArray(part) ? group(part) : part)))
    if (shape === 'group') return group(parts.flat())
    if (callback === '') throw new EngineError('INVALID_WORKFLOW', text('failure.callback'))
    return chord(parts.flat(), app.task(callback, null, { ...(callbackQueue && { queue: callbackQueue }) }).s())
  }

  function argumentValue({ args, argsType, task }: Step): unknown {
    if (argsType === 'none') return []
    return new Promise((resolve, reject) => {
      const failed = (cause: unknown) => {
        const { message: reason } = cause as Error
        reject(new EngineError('INVALID_INPUT', text('failure.args', { task, given: quote(args), reason }), { cause }))
      }
      try {
        // Flow and context stores may answer later.
        RED.util.evaluateNodeProperty(args, argsType, node, message, (error, value) =>
          error ? failed(error) : resolve(value),
        )
      } catch (error) {
        failed(error)
      }
    })
  }
}

/** One task, or a list of them where there is one for each item. */
function partsOf(app: App, step: Step, value: unknown): Signature | Signature[] {
  const { queue, options, immutable, spread, task, size } = step
  const named = app.task(task)
  const sign = (...args: unknown[]): Signature =>
    (immutable ? named.si(...args) : named.s(...args)).set({ ...(queue && { queue }), ...options })
  if (spread === 'once') return sign(...argumentsOf(value))
  if (!Array.isArray(value)) {
    throw new EngineError('INVALID_INPUT', `${task}: ${quote(value)} is no list; a task for each item needs one`)
  }
  if (value.length === 0) {
    throw new EngineError('INVALID_WORKFLOW', `${task}: the list is empty; without items there is nothing to send`)
  }
  if (spread === 'map') return value.map((item) => sign(item))
  if (spread === 'starmap') return value.map((args) => sign(...argumentsOf(args)))
  const starts = Array.from({ length: Math.ceil(value.length / size) }, (_, index) => index * size)
  return starts.map((start) => sign(value.slice(start, start + size)))
}

/** A list is all arguments, anything else the only one. */
function argumentsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value]
}

import type { Node, NodeAPI } from 'node-red'
import { EngineError } from '../shared/errors'
import { readConfig } from '../shared/settings'
import { type ActionDriver, createDriver, type OutboxOptions, type PythonConfig } from './lib'
import { defineOutlet } from './outlet'
import { type PythonNodeConfig, pythonConfig } from './python.config'

export = (RED: NodeAPI): void => {
  defineOutlet(
    RED,
    pythonConfig,
    ({ config, node }, seams) => {
      let driver: ActionDriver | undefined
      const listener = {
        printed: (line: string) => node.log(line),
        warned: (error: EngineError) => node.warn(error.message),
        // A script that starts after all makes the node ready without a message.
        changed: () => void driver?.initialize().then(seams.changed, seams.changed),
      }
      driver = createDriver('python', { ...optionsOf(config, RED), ...deliveryOf(config), ...listener }, seams)
      return driver
    },
    // What is in the dialog, deployed or not.
    async (id, given) => {
      const node = (RED.nodes.getNode(id) ?? {}) as Node
      const options = optionsOf(readConfig(RED, node, pythonConfig, given), RED)
      return createDriver('python', options).test()
    },
  )
}

function deliveryOf(config: PythonNodeConfig & { outbox?: OutboxOptions }) {
  const { retries, backoffMs, maxBackoffMs, concurrency, queue, whenFull, breakAfter, breakMs, outbox } = config
  return {
    retries,
    backoffMs,
    maxBackoffMs,
    concurrency,
    queue,
    whenFull,
    breakAfter,
    breakMs,
    ...(outbox && { outbox }),
  }
}

/** What is left blank has the library's default. */
function optionsOf(config: PythonNodeConfig, RED: NodeAPI): PythonConfig {
  const { script, code, scriptPath, interpreter, venvPath, workingDir, memoryLimitMb, messageFunction } = config
  if (script === 'file' && scriptPath === '') throw new EngineError('INVALID_OPTION', RED._('failure.noFile'))
  return {
    ...(script === 'file' ? { scriptPath } : { code }),
    ...(interpreter && { interpreter }),
    ...(venvPath && { venvPath }),
    ...(workingDir && { workingDir }),
    ...(memoryLimitMb !== null && { memoryLimitMb }),
    ...(messageFunction && { messageFunction }),
    pythonPaths: config.pythonPaths,
    env: config.env,
    timeoutMs: config.timeoutMs,
    autoReload: config.autoReload,
    mode: config.mode,
    workers: config.workers,
    functions: config.functions,
    config: config.settings,
    historyCapacity: config.historyCapacity,
  }
}

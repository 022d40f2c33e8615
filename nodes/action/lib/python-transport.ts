/** Delivers by calling the functions of a Python script. It has it when its function has returned. */
import { toEngineError } from '../../shared/errors'
import { type Delivery, DriverError, type Transport } from './driver'
import { Python, type PythonListener, type PythonOptions } from './python'

export interface PythonConfig extends PythonOptions, PythonListener {
  /** The function that gets what is neither measurement, alert nor clear. Default: the one for measurements. */
  messageFunction?: string
  /** So many calls are remembered. Default 1000. */
  historyCapacity?: number
}

/** The rest of a driver's settings is not for the engine. */
const OPTIONS = [
  'scriptPath',
  'code',
  'interpreter',
  'venvPath',
  'pythonPaths',
  'workingDir',
  'env',
  'timeoutMs',
  'startTimeoutMs',
  'autoReload',
  'mode',
  'workers',
  'memoryLimitMb',
  'functions',
  'config',
] as const satisfies readonly (keyof PythonOptions)[]

export class PythonTransport implements Transport {
  private readonly options: PythonOptions
  private readonly listener: PythonListener
  private readonly messageFunction: string | undefined
  private python: Python | undefined

  constructor(config: PythonConfig) {
    const { messageFunction, printed, warned, changed } = config
    this.options = Object.fromEntries(OPTIONS.map((name) => [name, config[name]]))
    this.messageFunction = messageFunction
    this.listener = { ...(printed && { printed }), ...(warned && { warned }), ...(changed && { changed }) }
  }

  /** A script that does not start is tried again by the engine: there is nothing to open anew. */
  async open(): Promise<void> {
    this.python ??= new Python(this.options, this.listener)
    await this.python.started()
  }

  async deliver(delivery: Delivery): Promise<unknown> {
    try {
      return await this.call(delivery)
    } catch (error) {
      throw failureOf(error)
    }
  }

  /** Loads the script apart from the one that runs, without `initialize`. */
  async test(): Promise<string> {
    const { python, executable, functions } = await Python.probe(this.options).catch((error) => {
      throw failureOf(error)
    })
    return `Python ${python}, ${executable}: ${functions.join(', ')}`
  }

  async describe(): Promise<unknown> {
    const { python } = this
    if (!python) return undefined
    const status = python.status()
    // A script that does not run cannot be asked.
    const script = status.state === 'running' ? await python.scriptStatus().catch(() => null) : null
    return { ...status, script }
  }

  async close(): Promise<void> {
    await this.python?.close()
  }

  private call({ kind, data, source }: Delivery): Promise<unknown> {
    const python = this.python as Python
    if (kind !== 'message') return python.call(kind, data, source)
    const { messageFunction } = this
    return messageFunction
      ? python.callFunction(messageFunction, data, source)
      : python.call('measurement', data, source)
  }
}

/** What counts attempts, with what the script raised. What takes a script too long may do so each time. */
function failureOf(error: unknown): DriverError {
  const { code, message, cause } = toEngineError(error)
  const isLate = code === 'TIMEOUT'
  return new DriverError(code, message, { fault: isLate ? 'timeout' : 'other', suspect: isLate, cause })
}

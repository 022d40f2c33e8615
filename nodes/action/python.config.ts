import {
  choice,
  defineConfig,
  flag,
  number,
  optionalNumber,
  Problem,
  parsed,
  text,
  type Values,
  verbatim,
} from '../shared/config'
import { deliveryFields } from './delivery.config'

const EXAMPLE = `# What lives here lives on from call to call.
count = 0


def initialize(config):
    global count
    count = config.get("begin_with", 0)


def on_measurement(data):
    global count
    count += 1
    return {"count": count, "value": data.get("value")}


def on_alert(alert):
    print("alert:", alert["message"])


def on_clear(alert):
    print("over:", alert["alertId"])
`

const DAY_MS = 86_400_000
const VARIABLE = /^([A-Za-z_]\w*)=(.*)$/
const ROLE = /^(initialize|measurement|alert|clear|status|shutdown)\s*=\s*([\p{L}_][\p{L}\p{N}_]*)$/u

function lines(typed: string): string[] {
  return typed
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean)
}

/** A line each, in two parts. */
function pairs(typed: string, form: RegExp, problem: string): Record<string, string> {
  return Object.fromEntries(
    lines(typed).map((line) => {
      const [, name, value] = form.exec(line) ?? []
      if (name === undefined || value === undefined) throw new Problem(problem)
      return [name, value]
    }),
  )
}

function json(typed: string): unknown {
  try {
    return JSON.parse(typed)
  } catch {
    throw new Problem('config.json')
  }
}

export const pythonConfig = defineConfig({
  type: 'millrace-action-python',
  version: 1,
  fields: {
    name: text(),
    configVersion: number(1, { min: 1, max: 1, whole: true }),
    script: choice('code', ['code', 'file']),
    code: verbatim(EXAMPLE),
    scriptPath: parsed('', (typed) => typed),
    autoReload: flag(false),
    /** Blank: python3, or python. */
    interpreter: parsed('', (typed) => typed),
    venvPath: parsed('', (typed) => typed),
    pythonPaths: parsed('', lines),
    workingDir: parsed('', (typed) => typed),
    env: parsed('', (typed) => pairs(typed, VARIABLE, 'config.variable')),
    mode: choice('worker', ['worker', 'isolated', 'pool']),
    workers: number(2, { min: 1, max: 64, whole: true }),
    memoryLimitMb: optionalNumber('', { min: 16, max: 1e9 }),
    /** What `initialize` is given. */
    settings: parsed('{}', json),
    functions: parsed('', (typed) => pairs(typed, ROLE, 'config.role')),
    /** Blank: the one for measurements. */
    messageFunction: parsed('', (typed) => typed),
    historyCapacity: number(1000, { min: 1, max: 1_000_000, whole: true }),
    ...deliveryFields,
    timeoutMs: number(30_000, { min: 1, max: DAY_MS }),
    retries: number(0, { min: 0, max: 1000, whole: true }),
    concurrency: number(16, { min: 1, max: 1000, whole: true }),
  },
})

export type PythonNodeConfig = Values<(typeof pythonConfig)['fields']>

// Child processes: live or captured, with one line of progress for the long ones.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** An end that needs no stack trace: its message is all a person has to read. */
export class Failure extends Error {}

/** Runs a script's body and turns what it throws into a message and an exit code. */
export function main(body) {
  body().catch((error) => {
    console.error(error instanceof Failure ? `\n${error.message}` : error)
    process.exitCode = 1
  })
}

/**
 * Runs a command and resolves to its exit code. Without `onOutput` the child writes to our own terminal. A signal that
 * ends us ends the child first: nothing goes on writing behind the back of the next run.
 */
export function execute(command, args, { cwd = root, env = {}, onOutput, stdio, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      shell,
      env: { ...process.env, ...env },
      stdio: stdio ?? ['ignore', onOutput ? 'pipe' : 'inherit', onOutput ? 'pipe' : 'inherit'],
    })
    let ended
    const onSignal = (signal) => {
      ended = signal
      child.kill(signal)
    }
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, onSignal)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => onOutput(text, stream === child.stdout))
    }
    child.on('error', (error) => reject(new Failure(`cannot run ${command}: ${error.message}`)))
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, onSignal)
      if (ended) process.exit(128 + constants.signals[ended])
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

/**
 * Runs a long step: one line of progress, and what it told only when it fails. Resolves to its standard output, which
 * with `data` is no text for a person.
 */
export async function quietly(title, command, args, { data = false, ...options } = {}) {
  const line = progress(title)
  let [told, out] = ['', '']
  const code = await execute(command, args, {
    ...options,
    onOutput(text, isStdout) {
      if (isStdout) out += text
      if (isStdout && data) return
      told += text
      line.note(text)
    },
  })
  line.end(code === 0 ? 'ok' : 'FAILED')
  if (code !== 0) throw new Failure(`${told.trimEnd()}\n\n${title}: failed with exit code ${code}.`)
  return out
}

function progress(title) {
  const start = Date.now()
  const terminal = process.stdout.isTTY
  let note = ''
  const seconds = () => `${Math.round((Date.now() - start) / 1000)} s`
  const draw = () => {
    const text = `${title} … ${seconds()}  ${note}`
    process.stdout.write(terminal ? `\r\x1b[K${text.slice(0, process.stdout.columns - 1)}` : `${text.trimEnd()}\n`)
  }
  if (terminal) draw()
  const timer = setInterval(draw, terminal ? 250 : 15_000)
  return {
    note(text) {
      const last = text
        .trim()
        .split(/[\r\n]/)
        .at(-1)
      note = last.trim() || note
    },
    end(outcome) {
      clearInterval(timer)
      console.log(`${terminal ? '\r\x1b[K' : ''}${title}: ${outcome}, ${seconds()}`)
    },
  }
}

/** The Python of the tests: that of $MILLRACE_PYTHON, or python3. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { action, type EngineError } from '../../nodes'
import { native } from '../../nodes/shared/native'

export const interpreter = process.env.MILLRACE_PYTHON ?? 'python3'

/** Whether it is there, and new enough. */
export const isPython = spawnSync(interpreter, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).status === 0

/** A suite that needs Python; a machine without it says so by name. */
export function pythonSuite(title: string, body: () => void): void {
  const name = `action ${title}`
  if (isPython && 'PythonScript' in native()) {
    describe(name, body)
    return
  }
  console.log(`\nSKIPPED ${name}: there is no Python 3.8 or later called ${interpreter}\n`)
  describe.skip(name, body)
}

/** Everything that Python tells, with a way to wait for it. */
export class Told {
  readonly lines: string[] = []
  readonly warnings: EngineError[] = []
  private waiting: (() => void)[] = []

  readonly listener: action.PythonListener = {
    printed: (line) => this.note(() => this.lines.push(line)),
    warned: (error) => this.note(() => this.warnings.push(error)),
    changed: () => this.note(() => {}),
  }

  async until(fits: () => boolean): Promise<void> {
    while (!fits()) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  private note(change: () => void): void {
    change()
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}

const opened: action.Python[] = []
const folders: string[] = []

/** Runs a script until `closeAll`. */
export async function run(
  code: string,
  options: action.PythonOptions = {},
  told = new Told(),
): Promise<{ python: action.Python; told: Told }> {
  const source = options.scriptPath === undefined ? { code } : {}
  const python = new action.Python({ interpreter, ...source, ...options }, told.listener)
  opened.push(python)
  await python.started()
  return { python, told }
}

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'millrace-python-'))
  folders.push(made)
  return made
}

export function file(name: string, text: string, within = folder()): string {
  const path = join(within, name)
  writeFileSync(path, text)
  return path
}

export async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((python) => python.close()))
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true })
}

/** Whether a process is there; one that has ended and waits to be collected is not. */
export function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z')
}

/** What no event tells has to be looked at again and again. */
export async function eventually(fits: () => boolean): Promise<void> {
  while (!fits()) await new Promise((resolve) => setTimeout(resolve, 20))
}

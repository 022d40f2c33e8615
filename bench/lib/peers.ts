/**
 * What we are measured beside: packages of npm and PyPI, installed into this folder when a bench asks for the first, and
 * again when the lists change. One that cannot be had is left out and named.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const bench = join(__dirname, '..')
const venv = join(bench, '.venv')
const fromHere = createRequire(join(bench, 'package.json'))

/** Done once for each content of the list. */
function ensure(list: string, note: string, install: () => void): void {
  const wanted = readFileSync(join(bench, list), 'utf8')
  if (existsSync(note) && readFileSync(note, 'utf8') === wanted) return
  install()
  writeFileSync(note, wanted)
}

function packages(): NodeJS.Require {
  ensure('package.json', join(bench, 'node_modules/.wanted'), () => {
    const options = { cwd: bench, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] }
    execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], options)
  })
  return fromHere
}

function attempt<T>(what: string, body: () => T): T | undefined {
  try {
    return body()
  } catch (error) {
    console.log(`without ${what}: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

/** A package, loaded. */
export function peer<T>(name: string): T | undefined {
  return attempt(name, () => packages()(name) as T)
}

/** The file of a package that has to be imported. */
export function peerPath(name: string): string | undefined {
  return attempt(name, () => packages().resolve(name))
}

/** A Python that has what requirements.txt names. */
export function peerPython(): string | undefined {
  return attempt('peers in Python', () => {
    const python = join(venv, 'bin/python')
    ensure('requirements.txt', join(venv, 'wanted'), () => {
      execFileSync('python3', ['-m', 'venv', '--clear', venv])
      const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']
      execFileSync(python, args, { cwd: bench })
    })
    return python
  })
}

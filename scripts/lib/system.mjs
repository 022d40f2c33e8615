// What tests need of the machine, and npm and cargo do not bring: a browser, LLVM's tools, environments of Python.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inside, writeWhole } from './files.mjs'
import { Failure, quietly } from './run.mjs'
import { isExecutable, rustc, which } from './tools.mjs'

/** The path of a Chromium, installed if this machine lets us; undefined where there is none. */
export async function chromium() {
  if (process.env.CHROMIUM) {
    if (isExecutable(process.env.CHROMIUM)) return process.env.CHROMIUM
    throw new Failure(`CHROMIUM=${process.env.CHROMIUM} is not a program.`)
  }
  const find = () => which('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
  return find() ?? (await aptInstall('Chromium', ['chromium', 'fonts-dejavu-core', 'fonts-noto-cjk'], find))
}

/** llvm-profdata and llvm-cov that read what this rustc writes, so of the same major version; undefined without. */
export async function llvmTools() {
  const { llvm } = rustc()
  return findLlvm(llvm) ?? (await aptInstall(`LLVM ${llvm}`, [`llvm-${llvm}`], () => findLlvm(llvm)))
}

function findLlvm(major) {
  const sysroot = spawnSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).stdout.trim()
  const bundled = join(sysroot, 'lib/rustlib', rustc().host, 'bin')
  const tool = (name) => {
    const file = join(bundled, name)
    if (existsSync(file)) return file
    return which(`${name}-${major}`) ?? [which(name)].find((path) => path && versionOf(path) === major)
  }
  const [profdata, cov] = [tool('llvm-profdata'), tool('llvm-cov')]
  return profdata && cov ? { profdata, cov } : undefined
}

const versionOf = (tool) => /version (\d+)/.exec(spawnSync(tool, ['--version'], { encoding: 'utf8' }).stdout)?.[1]

let listsAreFresh = false

/** Installs Debian's packages where we may, and resolves to what `find` then finds. */
export async function aptInstall(what, names, find) {
  if (process.platform !== 'linux' || process.getuid() !== 0 || !which('apt-get')) return undefined
  const apt = (title, ...args) =>
    quietly(title, 'apt-get', ['-y', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    })
  try {
    if (!listsAreFresh) await apt('Updating package lists', 'update')
    listsAreFresh = true
    await apt(`Installing ${what}`, 'install', '--no-install-recommends', ...names)
  } catch (error) {
    console.error(error.message)
  }
  return find()
}

/** A virtual environment with these packages of PyPI, in the cache; undefined where it cannot be had. */
export async function pythonVenv(name, packages, python = which('python3')) {
  if (!python) return
  const venv = inside('.cache', name)
  const complete = join(venv, 'complete')
  const wanted = packages.join(' ')
  if (existsSync(complete) && readFileSync(complete, 'utf8') === wanted) return venv
  try {
    await quietly(`Making a Python environment for ${name}`, python, ['-m', 'venv', '--clear', venv])
    await pip(`Getting ${name}`, join(venv, 'bin/python'), ...packages)
    writeWhole(complete, wanted)
    return venv
  } catch (error) {
    console.error(error.message)
  }
}

export const pip = (title, python, ...args) =>
  quietly(title, python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...args])

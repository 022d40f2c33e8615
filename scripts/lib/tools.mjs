// Finding the programs that the scripts run.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Failure, root } from './run.mjs'

const windows = process.platform === 'win32'

/** The path of the first of these programs that PATH has. */
export function which(...names) {
  const endings = windows ? ['.exe', '.cmd'] : ['']
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      for (const ending of endings) {
        const file = join(folder, name + ending)
        if (isExecutable(file)) return file
      }
    }
  }
  return undefined
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The arguments with which Node runs a command of an installed package. */
export function packageCommand(name, command) {
  const { bin } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return [join(root, 'node_modules', name, typeof bin === 'string' ? bin : bin[command])]
}

/** What `rustc -vV` tells, read once: it is slow where a version manager stands in front of it. */
export function rustc() {
  rustc.version ??= (() => {
    const { status, stdout, stderr } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' })
    if (status !== 0) throw new Failure(`rustc does not work:\n${stderr}\n${help.rust}`)
    const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(stdout)?.[1] ?? ''
    return { text: stdout, host: field('host'), llvm: field('LLVM version').split('.')[0] }
  })()
  return rustc.version
}

const help = {
  rust: 'Get Rust, with cargo and rustc, from https://rustup.rs and open a new terminal.',
  c: 'Debian, Ubuntu: apt-get install build-essential. Fedora: dnf install gcc gcc-c++. macOS: xcode-select --install.',
  node: 'Get Node.js 20.19 or later, with npm, from https://nodejs.org.',
}

/** Says at once, before any long work, which tools a build needs and this machine lacks. */
export function checkTools() {
  const missing = []
  const need = (found, what, how) => found || missing.push(`  ${what}\n    ${how}`)
  const [major, minor] = process.versions.node.split('.').map(Number)
  need(major > 20 || (major === 20 && minor >= 19), `Node.js ≥ 20.19 (this is ${process.versions.node})`, help.node)
  need(which('npm'), 'npm', help.node)
  need(which('cargo'), 'cargo, the Rust build tool', help.rust)
  need(which('rustc'), 'rustc, the Rust compiler', help.rust)
  // On Windows Rust's own installer asks for the compilers, and they are not on PATH.
  if (!windows) {
    need(process.env.CC || which('cc', 'gcc', 'clang'), 'a C compiler (cc, gcc or clang)', help.c)
    need(process.env.CXX || which('c++', 'g++', 'clang++'), 'a C++ compiler (c++, g++ or clang++)', help.c)
  }
  if (missing.length) throw new Failure(`Millrace is built on this machine, which lacks:\n${missing.join('\n')}`)
}

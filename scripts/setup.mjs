// Makes a checkout ready: packages, the native binary, dist/. What has not changed is not done again.
import { readdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { hashFiles, hashText, inside, readJson } from './lib/files.mjs'
import { withLock } from './lib/lock.mjs'
import { parts } from './lib/parts.mjs'
import { main, quietly } from './lib/run.mjs'
import { ensure } from './lib/steps.mjs'
import { checkTools, packageCommand, rustc } from './lib/tools.mjs'

export const lockFile = inside('.cache/setup.lock')

export async function setup() {
  checkTools()
  await withLock(lockFile, async () => {
    for (const step of [packages, native, dist]) await ensure(step)
  })
}

/** Builds the native binary and native/index.d.ts, changed or not. */
export const buildNative = () => withLock(lockFile, native.run)

/** Installs npm packages into a folder of the checkout. The lock file stays out: not every mirror can resolve it. */
export function npmInstall(title, cwd) {
  const args = ['install', '--no-package-lock', '--no-audit', '--no-fund', '--include=dev']
  return quietly(title, 'npm', args, { cwd, shell: process.platform === 'win32' })
}

const packages = {
  name: 'packages',
  inputs() {
    const { dependencies, devDependencies, optionalDependencies, peerDependencies, overrides } =
      readJson('package.json')
    const wanted = [dependencies, devDependencies, optionalDependencies, peerDependencies, overrides]
    return hashText(JSON.stringify([wanted, process.versions.modules, process.platform, process.arch]))
  },
  outputs() {
    const { dependencies, devDependencies } = readJson('package.json')
    const names = Object.keys({ ...dependencies, ...devDependencies })
    return ['.package-lock.json', ...names.map((name) => `${name}/package.json`)].map((file) => `node_modules/${file}`)
  },
  run: () => npmInstall('Installing npm packages', inside()),
}

const native = {
  name: 'native',
  inputs() {
    const sources = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src'].map((file) => `native/${file}`)
    return hashText([hashFiles(...sources), JSON.stringify(readJson('package.json').napi), rustc().text].join())
  },
  outputs() {
    const binary = readdirSync(inside('native')).find((file) => file.endsWith('.node')) ?? 'millrace.node'
    return ['index.js', 'index.d.ts', binary].map((file) => `native/${file}`)
  },
  async run() {
    const napi = packageCommand('@napi-rs/cli', 'napi')
    const args = ['--platform', '--release', '--no-const-enum', '--manifest-path', 'native/Cargo.toml']
    const { features, env } = await parts()
    const chosen = ['--no-default-features', '--features', ['node', ...features].join()]
    const command = [...napi, 'build', ...args, ...chosen, '--output-dir', 'native', '--', '--locked']
    await quietly('Building the native engines', process.execPath, command, { env })
  },
}

const dist = {
  name: 'dist',
  inputs: () =>
    hashFiles('nodes', 'icons', 'examples', 'scripts/build.mjs', 'scripts/lib', 'tsconfig.json', 'package.json'),
  outputs() {
    const { main: library, 'node-red': nodeRed } = readJson('package.json')
    return [library, ...Object.values(nodeRed.nodes)]
  },
  run: () => quietly('Building the nodes', process.execPath, ['scripts/build.mjs']),
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main(setup)

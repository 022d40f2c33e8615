/** The peers of the memory, installed into the cache and not into the product. One that cannot be had is left out and named. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const cache = join(__dirname, '../../.cache/bench-peers')
const PACKAGES = [
  'better-sqlite3@11.10.0',
  'sqlite-vec@0.1.9',
  'hnswlib-node@3.0.0',
  'usearch@2.25.3',
  '@lancedb/lancedb@0.37.1',
]

let tried = false

function install(): void {
  tried = true
  if (existsSync(join(cache, 'complete'))) return
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, 'package.json'), '{ "private": true }')
  for (const name of PACKAGES) {
    try {
      execFileSync('npm', ['install', '--save-exact', '--no-audit', '--no-fund', name], { cwd: cache, stdio: 'ignore' })
    } catch {
      console.log(`${name} cannot be installed`)
    }
  }
  writeFileSync(join(cache, 'complete'), '')
}

export function peer<T>(name: string): T | undefined {
  if (!tried) install()
  try {
    return createRequire(join(cache, 'package.json'))(name)
  } catch (error) {
    console.log(`without ${name}: ${(error as Error).message.split('\n')[0]}`)
    return undefined
  }
}

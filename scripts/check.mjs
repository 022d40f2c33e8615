// Everything but tests: format, lint, types, licences, and whether the committed native/index.d.ts is the generated one.
import { parts } from './lib/parts.mjs'
import { Failure, main, quietly } from './lib/run.mjs'
import { closingLine, resultsTitle } from './lib/suites.mjs'
import { packageCommand } from './lib/tools.mjs'
import { buildNative, setup } from './setup.mjs'

const fix = process.argv.includes('--fix')
const cargo = (...args) => ['cargo', ...args, '--manifest-path', 'native/Cargo.toml']
const clippy = (features) => [
  ...cargo('clippy', '--locked', '--all-targets', '--no-default-features', '--features', features.join()),
  ...['--', '-D', 'warnings'],
]
const node = (...args) => [process.execPath, ...args]

main(async () => {
  await setup()
  const { features, env } = await parts()
  const biome = packageCommand('@biomejs/biome', 'biome')
  const checks = [
    ['format and lint (biome)', node(...biome, 'check', '--error-on-warnings', ...(fix ? ['--write'] : []))],
    ['format (cargo fmt)', cargo('fmt', ...(fix ? [] : ['--check']))],
    ['clippy, engines alone', clippy(features)],
    ['clippy, with bindings', clippy(['node', ...features])],
    ['types (tsc)', node(...packageCommand('typescript', 'tsc'), '--noEmit')],
    ['licences of what is linked', node('scripts/licences.mjs')],
    // A file that git does not know has no difference either.
    ['native/index.d.ts is in git', ['git', 'ls-files', '--error-unmatch', 'native/index.d.ts']],
    ['native/index.d.ts is what the crate generates', ['git', 'diff', '--exit-code', 'native/index.d.ts'], buildNative],
  ]
  const failures = []
  for (const [title, command, before] of checks) {
    if (!(await passes(title, command, env, before))) failures.push(title)
  }
  console.log(`\n${resultsTitle}`)
  for (const title of failures) console.log(`FAILED ${title}`)
  console.log(`\n${closingLine(checks.length - failures.length, failures.length)}`)
  process.exitCode = failures.length ? 1 : 0
})

async function passes(title, [command, ...args], env, before) {
  try {
    await before?.()
    await quietly(title, command, args, { env })
    return true
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    console.error(error.message)
    return false
  }
}

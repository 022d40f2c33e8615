// The crate's tests, which need no Node.js, and how much of the engines they reach.
import { readdirSync, rmSync } from 'node:fs'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { coverageGate } from './coverage.mjs'
import { inside, writeWhole } from './files.mjs'
import { parts } from './parts.mjs'
import { execute, quietly } from './run.mjs'

const crate = inside('native')
/** Without `node`, so that nothing of Node.js is linked; with every part that this machine can build. */
export async function cargoEngines(command) {
  const { features, env } = await parts()
  return { args: [command, '--no-default-features', '--features', features.join(), '--locked'], env }
}

export async function rustTests(suites, { options = [], env } = {}) {
  const engines = await cargoEngines('test')
  const args = [...engines.args, ...options]
  await suites.part('rust', async () => {
    await buildTests(args, engines.env)
    suites.add(await runTests(args, { ...engines.env, ...env }))
  })
}

/** Only this crate is instrumented: its dependencies stay those of any other debug build, and as fast. */
export async function rustTestsWithCoverage(suites, llvm) {
  const profiles = inside('coverage/tmp-rust')
  const { args, env } = await cargoEngines('test')
  const wrapper = { ...env, RUSTC_WORKSPACE_WRAPPER: inside('scripts/lib/rustc-coverage.sh') }
  for (const folder of [profiles, inside('coverage/rust')]) rmSync(folder, { recursive: true, force: true })
  await suites.part('rust', async () => {
    const binaries = await buildTests(args, { ...wrapper, LLVM_PROFILE_FILE: devNull })
    suites.add(await runTests(args, { ...wrapper, LLVM_PROFILE_FILE: join(profiles, '%p-%m.profraw') }))
    await suites.part('rust coverage', async () => {
      await report(llvm, profiles, binaries)
      suites.add(coverageGate('rust coverage', 'coverage/rust/lcov.info', isEngine))
    })
  })
}

// Bindings are reached from JavaScript, and the crate's root only maps it.
const isEngine = (file) => !file.startsWith('native/src/bindings/') && file !== 'native/src/lib.rs'

/** Builds and resolves to the paths of the test programs. */
async function buildTests(args, env) {
  const format = ['--no-run', '--message-format=json-render-diagnostics']
  const messages = await quietly('Building the Rust tests', 'cargo', [...args, ...format], {
    cwd: crate,
    env,
    data: true,
  })
  const artifacts = messages
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  return artifacts.filter(({ profile, executable }) => profile?.test && executable).map(({ executable }) => executable)
}

async function runTests(args, env = {}) {
  let out = ''
  const code = await execute('cargo', [...args, '--no-fail-fast'], {
    cwd: crate,
    env: { CARGO_TERM_COLOR: process.stdout.isTTY ? 'always' : 'never', ...env },
    onOutput(text, isStdout) {
      const stream = isStdout ? process.stdout : process.stderr
      stream.write(text)
      if (isStdout) out += text
    },
  })
  const results = [...out.matchAll(/^test result: .*?(\d+) passed; (\d+) failed;/gm)]
  const [passed, failed] = [1, 2].map((column) => results.reduce((sum, result) => sum + Number(result[column]), 0))
  // A test program that crashes ends without a result.
  const crashed = [...out.matchAll(/^running \d+ tests?$/gm)].length - results.length
  const skipped = [...out.matchAll(/^test (.*) \.\.\. .*ignored.*$/gm)].map(([, name]) => name)
  const failures = [...out.matchAll(/^---- .* stdout ----\n[\s\S]*?(?=\n\n\n|\n---- )/gm)].map(([text]) => text)
  if (code !== 0 && failures.length === 0) failures.push(`ended with exit code ${code}`)
  return { suite: 'rust', passed, failed: failed + crashed || (code === 0 ? 0 : 1), failures, skipped }
}

async function report({ profdata, cov }, profiles, [first, ...others]) {
  const merged = join(profiles, 'merged.profdata')
  const raw = readdirSync(profiles).map((file) => join(profiles, file))
  await quietly('Merging Rust coverage', profdata, ['merge', '--sparse', '--failure-mode=all', '-o', merged, ...raw])
  const objects = [first, ...others.flatMap((file) => ['--object', file])]
  const what = [...objects, '--instr-profile', merged, '--sources', join(crate, 'src')]
  const html = ['show', '--format=html', '--output-dir', inside('coverage/rust/html')]
  await quietly('Writing Rust coverage pages', cov, [...html, ...what])
  const lcov = await quietly('Reporting Rust coverage', cov, ['export', '--format=lcov', ...what], { data: true })
  writeWhole(inside('coverage/rust/lcov.info'), lcov)
}

// The TypeScript tests, and how much of nodes/ they reach.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { coverageGate } from './coverage.mjs'
import { inside, readJson } from './files.mjs'
import { execute, quietly } from './run.mjs'
import { packageCommand } from './tools.mjs'

const raw = inside('coverage/tmp')

/** Runs these test files (globs) and adds a row for each folder of test/. */
export async function mochaTests(suites, specs, env = {}) {
  const tally = inside(`.cache/tally.${process.pid}`)
  const { spec: _, ...settings } = readJson('package.json').mocha
  // Mocha would add the package's own files to those named here.
  const options = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  const args = [...packageCommand('mocha', 'mocha'), '--no-package', '--forbid-only', '--exit', ...options, ...specs]
  const code = await execute(process.execPath, args, { env: { MILLRACE_TALLY: tally, ...env } })

  const lines = existsSync(tally) ? readFileSync(tally, 'utf8').split('\n').filter(Boolean) : []
  rmSync(tally, { force: true })
  const results = lines.map((line) => JSON.parse(line))
  for (const result of results) suites.add(result)
  const isTold = code === 0 ? results.length > 0 : results.some(({ failed }) => failed > 0)
  if (isTold) return
  const failures = [`ended with exit code ${code}, which its results do not tell`]
  suites.add({ suite: 'mocha', passed: 0, failed: 1, failures })
}

/** The same with V8's coverage; tests that drive a browser add its own to $MILLRACE_COVERAGE_DIR. */
export async function mochaTestsWithCoverage(suites, specs, env = {}) {
  for (const folder of [raw, inside('coverage/ts')]) rmSync(folder, { recursive: true, force: true })
  mkdirSync(raw, { recursive: true })
  await mochaTests(suites, specs, { ...env, NODE_V8_COVERAGE: raw, MILLRACE_COVERAGE_DIR: raw })
  await suites.part('typescript coverage', async () => {
    const files = ['--all', '--include', 'nodes/**/*.ts', '--exclude', '**/*.d.ts']
    const reports = ['html', 'lcov', 'text-summary'].flatMap((name) => ['--reporter', name])
    const folders = ['--temp-directory', raw, '--reports-dir', 'coverage/ts']
    const args = [...packageCommand('c8', 'c8'), 'report', '--merge-async', ...files, ...reports, ...folders]
    console.log(await quietly('Reporting TypeScript coverage', process.execPath, args))
    // Files of types alone leave no code to reach; without a browser nothing reaches the editor's, and without a
    // sourced ROS 2 nothing what needs one.
    const { transformSync } = await import('esbuild')
    const hasCode = (file) => transformSync(readFileSync(inside(file), 'utf8'), { loader: 'ts' }).code !== ''
    const unreachable = [
      ...(env.MILLRACE_SKIP_EDITOR ? [/\b(editor|sidebar)\.ts$/] : []),
      ...(env.MILLRACE_ROS2_SOURCED ? [] : [/^nodes\/ros2\/lib\/(rcl.*|matching)\.ts$/]),
    ]
    const isReachable = (file) => !unreachable.some((pattern) => pattern.test(file))
    const judged = (file) => isReachable(file) && hasCode(file)
    suites.add(coverageGate('typescript coverage', 'coverage/ts/lcov.info', judged))
  })
}

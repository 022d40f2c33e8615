// Mocha's spec reporter, which also leaves a tally for each folder of test/: a line of JSON in $MILLRACE_TALLY.
const { appendFileSync } = require('node:fs')
const { join, relative, sep } = require('node:path')
const { reporters, Runner } = require('mocha')

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Runner.constants
const tests = join(__dirname, '../../test')

module.exports = class TallyReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const suites = new Map()
    const of = (test) => {
      const suite = relative(tests, test.file ?? join(tests, 'mocha')).split(sep)[0]
      if (!suites.has(suite)) suites.set(suite, { suite, passed: 0, failed: 0, failures: [], skipped: [] })
      return suites.get(suite)
    }
    runner.on(EVENT_TEST_PASS, (test) => {
      of(test).passed += 1
    })
    runner.on(EVENT_TEST_FAIL, (test, error) => {
      of(test).failed += 1
      of(test).failures.push(`${test.fullTitle()}\n${error.stack ?? error.message}`)
    })
    runner.on(EVENT_TEST_PENDING, (test) => {
      of(test).skipped.push(test.fullTitle())
    })
    runner.once(EVENT_RUN_END, () => {
      const file = process.env.MILLRACE_TALLY
      if (file) appendFileSync(file, [...suites.values()].map((suite) => `${JSON.stringify(suite)}\n`).join(''))
    })
  }
}

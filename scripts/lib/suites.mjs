// What the suites of a test run came to.
import { Failure } from './run.mjs'

/** Results that are shown as a table, and summed into the closing line. */
export class Suites {
  #rows = []
  #failures = []
  #skips = []

  /** `failures` has a text for each test that failed, `skipped` the name of each that did not run. */
  add({ suite, passed, failed, failures = [], skipped = [] }) {
    this.#rows.push({ suite, passed, failed, skipped: skipped.length })
    this.#failures.push(...failures.map((text) => `${suite}: ${text}`))
    this.#skips.push(...skipped.map((title) => `${suite}: ${title}`))
  }

  /** Runs a part of the tests; if it cannot even run, that is one failed test, and the rest goes on. */
  async part(suite, body) {
    try {
      await body()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      console.error(`\n${error.message}\n`)
      this.add({ suite, passed: 0, failed: 1, failures: [error.message] })
    }
  }

  get failed() {
    return this.#sum('failed')
  }

  print() {
    console.log(`\n${resultsTitle}`)
    for (const failure of this.#failures) console.log(`FAILED ${failure}\n`)
    for (const skip of this.#skips) console.log(`SKIPPED ${skip}`)
    const width = Math.max(...this.#rows.map(({ suite }) => suite.length))
    const line = (name, ...cells) =>
      console.log(name.padEnd(width) + cells.map((cell) => `${cell}`.padStart(9)).join(''))
    console.log()
    line('', 'passed', 'failed', 'skipped')
    for (const { suite, passed, failed, skipped } of this.#rows) line(suite, passed, failed, skipped)
    console.log(`\n${closingLine(this.#sum('passed'), this.failed, this.#sum('skipped'))}`)
  }

  #sum(column) {
    return this.#rows.reduce((sum, row) => sum + row[column], 0)
  }
}

/** What follows it is what a run came to. */
export const resultsTitle = '==> Results'

export const closingLine = (passed, failed, skipped = 0) =>
  `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`

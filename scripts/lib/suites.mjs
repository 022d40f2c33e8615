// What the suites of a test run came to.

/** Results that are shown as a table, and summed into the closing line. */
export class Suites {
  #rows = [];
  #skips = [];

  /** `skipped` has the name of each test that did not run. */
  add({ suite, passed, failed, skipped = [] }) {
    this.#rows.push({ suite, passed, failed, skipped: skipped.length });
    this.#skips.push(...skipped.map((title) => `${suite}: ${title}`));
  }

  /** Something that should have been tested and cannot be on this machine. */
  skip(suite, reason) {
    this.add({ suite, passed: 0, failed: 0, skipped: [reason] });
  }

  get failed() {
    return this.#sum('failed');
  }

  print() {
    const width = Math.max(...this.#rows.map(({ suite }) => suite.length));
    const line = (name, ...cells) => console.log([name.padEnd(width), ...cells.map((cell) => `${cell}`.padStart(8))].join(''));
    for (const skip of this.#skips) console.log(`SKIPPED ${skip}`);
    console.log();
    line('', 'passed', 'failed', 'skipped');
    for (const { suite, passed, failed, skipped } of this.#rows) line(suite, passed, failed, skipped);
    console.log(`\n${closingLine(this.#sum('passed'), this.failed, this.#sum('skipped'))}`);
  }

  #sum(column) {
    return this.#rows.reduce((sum, row) => sum + row[column], 0);
  }
}

export const closingLine = (passed, failed, skipped = 0) =>
  `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;

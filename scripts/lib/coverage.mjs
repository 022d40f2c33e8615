// The coverage gate, the same for both languages: so many lines of every file, read from an LCOV report.
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, relative, sep } from 'node:path'
import { inside } from './files.mjs'
import { root } from './run.mjs'

const least = 90

/** One test: it fails with the name and figure of each file that falls short, and where there is nothing to judge. */
export function coverageGate(suite, report, counts = () => true) {
  const files = existsSync(inside(report)) ? readLcov(inside(report)).filter(({ file }) => counts(file)) : []
  const failures = files
    .filter(({ percent }) => percent < least)
    .map(({ file, percent }) => `${file} has ${percent.toFixed(1)} % of lines covered, needs ${least} %`)
  if (!files.length) failures.push('no file was measured')
  const failed = failures.length ? 1 : 0
  return { suite, passed: 1 - failed, failed, failures }
}

function readLcov(report) {
  return readFileSync(report, 'utf8')
    .split('end_of_record')
    .flatMap((record) => {
      const path = /^SF:(.*)$/m.exec(record)?.[1]
      const lines = [...record.matchAll(/^DA:\d+,(\d+)/gm)]
      if (!path || !lines.length) return []
      const hit = lines.filter(([, count]) => count !== '0').length
      const file = (isAbsolute(path) ? relative(root, path) : path).split(sep).join('/')
      return [{ file, percent: (100 * hit) / lines.length }]
    })
}

// Known weaknesses of what we ship and of what we build with: npm's list, and RustSec's where cargo-deny or cargo-audit
// is installed. What could not be asked is named, and is no success.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inside, writeWhole } from './lib/files.mjs'
import { execute, main } from './lib/run.mjs'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

main(async () => {
  const found = [await npmPackages(), await crates()]
  console.log(`\n${found.map(({ text }) => text).join('\n')}`)
  process.exitCode = found.every(({ clean }) => clean) ? 0 : 1
})

/** What npm would install today, without the tools of development: a lock file made for it alone tells. */
async function npmPackages() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-audit-'))
  try {
    const { dependencies, optionalDependencies, name, version } = JSON.parse(
      readFileSync(inside('package.json'), 'utf8'),
    )
    writeWhole(join(folder, 'package.json'), JSON.stringify({ name, version, dependencies, optionalDependencies }))
    const locked = await execute(npm, ['install', '--package-lock-only', '--ignore-scripts', '--no-audit'], {
      cwd: folder,
    })
    if (locked !== 0) return { clean: false, text: 'npm: NOT ASKED, no lock file could be made' }
    let told = ''
    await execute(npm, ['audit', '--json'], { cwd: folder, onOutput: (text, isOut) => (told += isOut ? text : '') })
    const { metadata, message } = parsed(told)
    if (!metadata) return { clean: false, text: `npm: NOT ASKED, ${message ?? 'the registry does not answer'}` }
    const { total, ...by } = metadata.vulnerabilities
    const which = Object.entries(by).filter(([, count]) => count > 0)
    const list = which.map(([severity, count]) => `${count} ${severity}`).join(', ')
    return { clean: total === 0, text: `npm: ${total === 0 ? 'no known weakness' : list}` }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return {}
  }
}

async function crates() {
  const tools = [
    ['deny', ['deny', '--manifest-path', 'native/Cargo.toml', 'check', 'advisories']],
    ['audit', ['audit', '--file', 'native/Cargo.lock']],
  ]
  for (const [tool, args] of tools) {
    if ((await execute('cargo', [tool, '--version'], { onOutput() {} })) !== 0) continue
    const clean = (await execute('cargo', args)) === 0
    return { clean, text: `crates: ${clean ? 'no known weakness' : 'see above'} (cargo ${tool})` }
  }
  return { clean: false, text: 'crates: NOT ASKED, neither cargo-deny nor cargo-audit is installed' }
}

// What is linked into the binary, and under which licences: `licences.mjs` prints it and fails where one is not known
// to be fine; `licences.mjs FOLDER` writes the texts beside the binary of each platform package in it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { linkedCrates, spdx } from './lib/crates.mjs'
import { inside, writeWhole } from './lib/files.mjs'
import { Failure, main } from './lib/run.mjs'

/** They allow what we do: to link and to pass on, with their texts. */
const fine = [
  ...[
    'MIT',
    'Apache-2.0',
    'ISC',
    '0BSD',
    'BSL-1.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'Unicode-3.0',
    'Unlicense',
    'Zlib',
  ],
  ...['MIT-0', 'CC0-1.0', 'CDLA-Permissive-2.0', 'EDL-1.0'],
]
const isText = (file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file)

main(async () => {
  const [folder] = process.argv.slice(2)
  const parts = await linkedCrates()
  const odd = parts.filter(({ license }) => !isFine(license))
  if (odd.length) {
    const names = odd.map(({ name, license }) => `${name}: ${license}`).join('\n')
    throw new Failure(`Not known to be fine, see scripts/licences.mjs:\n${names}`)
  }
  const text = notice(parts)
  if (!folder)
    return console.log(parts.map(({ name, version, license }) => `${name} ${version}  ${license}`).join('\n'))
  for (const platform of readdirSync(inside(folder))) {
    const file = inside(folder, platform, 'package.json')
    const manifest = JSON.parse(readFileSync(file, 'utf8'))
    manifest.files = [...new Set([...manifest.files, 'THIRD-PARTY.txt'])]
    writeWhole(file, `${JSON.stringify(manifest, null, 2)}\n`)
    writeWhole(inside(folder, platform, 'THIRD-PARTY.txt'), text)
  }
})

/** One of those between which one may choose, or all of those that hold together. */
function isFine(license) {
  const words = spdx(license) ?? 'none'
  const all = words.split(/\s+AND\s+/).map((part) => part.replaceAll(/[()]/g, ''))
  return all.every((part) => part.split(/\s+OR\s+/).some((one) => fine.includes(one.replace(/ WITH .*/, '').trim())))
}

function notice(parts) {
  const users = new Map()
  for (const { name, version, license, folder } of parts) {
    const files = readdirSync(folder).filter(isText)
    const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim())
    // Some name their licence alone.
    for (const text of texts.length ? texts : [`Licence: ${license}`]) {
      users.set(text, [...(users.get(text) ?? []), `${name} ${version}`])
    }
  }
  const line = '-'.repeat(80)
  return [...users].map(([text, names]) => `${names.join(', ')}\n\n${text}\n`).join(`\n${line}\n\n`)
}

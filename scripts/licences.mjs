// What is linked into the binary, and under which licences: `licences.mjs` prints it and fails where one is not known
// to be fine; `licences.mjs FOLDER` writes the texts beside the binary of each platform package in it.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inside, writeWhole } from './lib/files.mjs'
import { Failure, main, quietly } from './lib/run.mjs'

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
/** Crates that carry the source of something else. */
const carried = { cyclors: { name: 'Eclipse Cyclone DDS', folder: 'cyclonedds', license: 'EPL-2.0 OR EDL-1.0' } }

const isText = (file) => /^(licen[cs]e|copying|notice|unlicense)/i.test(file)

main(async () => {
  const [folder] = process.argv.slice(2)
  const parts = linked(await metadata())
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

async function metadata() {
  const args = ['metadata', '--format-version', '1', '--locked', '--manifest-path', inside('native/Cargo.toml')]
  return JSON.parse(await quietly('Reading the crates', 'cargo', args, { data: true }))
}

/** All that the crate needs when it runs, for any platform, without itself. */
function linked({ packages, resolve }) {
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const found = new Set([resolve.root])
  for (const id of found) {
    const runs = nodes.get(id).deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null))
    for (const { pkg } of runs) found.add(pkg)
  }
  found.delete(resolve.root)
  const crates = packages.filter(({ id }) => found.has(id))
  return crates.flatMap(({ name, version, license, manifest_path }) => {
    const folder = dirname(manifest_path)
    const other = carried[name]
    const whole = { name, version, license, folder }
    return other ? [whole, { ...other, version, folder: join(folder, other.folder) }] : [whole]
  })
}

/** One of those between which one may choose, or all of those that hold together. */
function isFine(license) {
  const words = (license ?? 'none').replaceAll('/', ' OR ')
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

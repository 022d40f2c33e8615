// What is linked into the binary.
import { dirname, join } from 'node:path'
import { inside } from './files.mjs'
import { quietly } from './run.mjs'

/** Crates that carry something else: ours a table, made from a model; its NOTICE says how. */
const carried = {
  cyclors: { name: 'Eclipse Cyclone DDS', folder: 'cyclonedds', license: 'EPL-2.0 OR EDL-1.0' },
  millrace: { name: 'embedding table of all-MiniLM-L6-v2', folder: 'embedding', license: 'Apache-2.0', direct: true },
}

/**
 * All that the crate needs when it runs, for any platform, without itself: `{name, version, license, folder}`, with the
 * names of what each needs; a part that a crate carries has the name of its crate in `within`.
 */
export async function linkedCrates() {
  const args = ['metadata', '--format-version', '1', '--locked', '--manifest-path', inside('native/Cargo.toml')]
  const { packages, resolve } = JSON.parse(await quietly('Reading the crates', 'cargo', args, { data: true }))
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const needs = (id) => {
    const runs = nodes.get(id).deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null))
    return runs.map(({ pkg }) => pkg)
  }
  const found = new Set([resolve.root])
  for (const id of found) for (const pkg of needs(id)) found.add(pkg)
  const direct = new Set(needs(resolve.root))
  const refs = new Map(packages.map(({ id, name, version }) => [id, `${name}@${version}`]))
  const crates = packages.filter(({ id }) => found.has(id))
  return crates.flatMap(({ id, name, version, license, manifest_path }) => {
    const folder = dirname(manifest_path)
    const whole = {
      name,
      version,
      license,
      folder,
      needs: needs(id).map((one) => refs.get(one)),
      direct: direct.has(id),
    }
    const other = carried[name]
    const part = other && { ...other, version, folder: join(folder, other.folder), within: name, needs: [] }
    return [id !== resolve.root && whole, part].filter(Boolean)
  })
}

/** As SPDX writes it; `MIT/Apache-2.0` is an old form of a choice. */
export const spdx = (license) => license?.replaceAll('/', ' OR ')

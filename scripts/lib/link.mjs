// The checkout as an installed package of the user directory.
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { inside, readJson, writeWhole } from './files.mjs'

/**
 * As `npm install` of a folder does: a link, and a line in `package.json`, without which Node-RED gives the package to
 * no function node.
 */
export function linkPackage() {
  const { name } = readJson('package.json')
  const link = inside('.node-red/node_modules', name)
  const at = lstatSync(link, { throwIfNoEntry: false })
  if (!at?.isSymbolicLink() || resolve(dirname(link), readlinkSync(link)) !== inside()) {
    rmSync(link, { recursive: true, force: true })
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(inside(), link, 'junction')
  }
  const file = inside('.node-red/package.json')
  const known = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { name: 'node-red-project', private: true }
  if (known.dependencies?.[name]) return
  writeWhole(
    file,
    `${JSON.stringify({ ...known, dependencies: { ...known.dependencies, [name]: 'file:..' } }, null, 2)}\n`,
  )
}

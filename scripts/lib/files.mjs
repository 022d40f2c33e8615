// Files: what is in them, and whether that changed.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { root } from './run.mjs'

/** A path inside the checkout. */
export const inside = (...parts) => join(root, ...parts)

export const readJson = (...parts) => JSON.parse(readFileSync(inside(...parts), 'utf8'))

/** Writes a file whole or not at all. */
export function writeWhole(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, text)
  renameSync(draft, file)
}

/** The files at or under these paths of the checkout, sorted; a path that does not exist has none. */
export function list(...paths) {
  const files = paths.flatMap((path) => {
    const full = inside(path)
    const stat = statSync(full, { throwIfNoEntry: false })
    if (!stat) return []
    if (!stat.isDirectory()) return [full]
    const entries = readdirSync(full, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  })
  return files.map((file) => relative(root, file).split(sep).join('/')).sort()
}

/** One hash of the names and contents of all files at or under these paths. */
export function hashFiles(...paths) {
  const hash = createHash('sha256')
  for (const file of list(...paths)) {
    const content = readFileSync(inside(file))
    hash.update(`${file}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

export const hashText = (text) => createHash('sha256').update(text).digest('hex')

/** Folders of the word: below the user directory, and never beside it. */
import { lstatSync, realpathSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import type { NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'

/** Where Node-RED keeps its data. */
export function dataFolder(RED: NodeAPI): string {
  return (RED.settings as unknown as { userDir?: string }).userDir ?? process.cwd()
}

/**
 * A folder below the user directory, and the folders that are made in it. Throws `INVALID_OPTION` where one of them is not
 * below it, or a link leads out.
 */
export function folderBelow(RED: NodeAPI, folder: string, ...made: string[]): string {
  const root = resolve(dataFolder(RED))
  const found = resolve(root, folder)
  for (const path of [found, ...made.map((name) => join(found, name))]) {
    const real = isBelow(root, path) ? realPath(path) : undefined
    if (real !== undefined && isBelow(realPath(root) ?? root, real)) continue
    const what = `${quote(folder)} is not below the user directory, or a link leads out of it`
    throw new EngineError('INVALID_OPTION', `${what}; name a folder in it`)
  }
  return found
}

/**
 * Where a path leads, also when its last parts are not there yet; undefined for a link that leads nowhere. Looks at the
 * path itself first: another node may make the folder at this moment, and that is no such link.
 */
function realPath(path: string): string | undefined {
  const parent = dirname(path)
  if (parent !== path && !lstatSync(path, { throwIfNoEntry: false })) {
    const real = realPath(parent)
    return real === undefined ? undefined : join(real, basename(path))
  }
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** A file in a folder, by its name or its path. Throws `INVALID_INPUT` for one that lies elsewhere, links included. */
export async function fileIn(folder: string, name: string): Promise<string> {
  const file = resolve(folder, name)
  const outside = new EngineError(
    'INVALID_INPUT',
    `${quote(name)} is not in the folder ${quote(folder)}; name a file in it`,
  )
  if (!isBelow(folder, file)) throw outside
  const [realFolder, realFile] = await Promise.all([realpath(folder), realpath(file)]).catch((error: Error) => {
    throw new EngineError(
      'INVALID_INPUT',
      `${quote(name)} cannot be opened: ${error.message}; see which files are there`,
    )
  })
  if (!isBelow(realFolder, realFile)) throw outside
  return realFile
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** Folders of the word: below the user directory, and never beside it. */
import { realpath } from 'node:fs/promises'
import { resolve, sep } from 'node:path'
import type { NodeAPI } from 'node-red'
import { EngineError, quote } from '../shared/errors'

/** Where Node-RED keeps its data. */
export function dataFolder(RED: NodeAPI): string {
  return (RED.settings as unknown as { userDir?: string }).userDir ?? process.cwd()
}

/** A folder below the user directory. Throws `INVALID_OPTION` where it is not below it. */
export function folderBelow(RED: NodeAPI, folder: string): string {
  const root = resolve(dataFolder(RED))
  const found = resolve(root, folder)
  if (isBelow(root, found)) return found
  throw new EngineError('INVALID_OPTION', `${quote(folder)} is not below the user directory; name a folder in it`)
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

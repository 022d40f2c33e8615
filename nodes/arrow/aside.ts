/**
 * Rows from the spool that Zerobus did not take, as the engine left them: a file with the rows, and one with the reasons.
 * So does a batch lie there that cannot be read any more, as it was in the spool.
 */
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { ErrorCode } from '../shared/errors'
import { Batch } from './lib'

/** Rows in a row that did not arrive, for one reason. */
export interface Failed {
  first: number
  count: number
  code: ErrorCode
  message: string
}

export interface Aside {
  /** Where they lie. */
  file: string
  /** An Arrow IPC stream; or what should have been one. */
  rows: Buffer
  readable: boolean
  failed: Failed[]
}

const ROWS = '.arrow'
const RAW = '.bin'

export class AsideFolder {
  private readonly path: string

  private known = new Set<string>()

  private constructor(spool: string) {
    this.path = join(spool, 'rejected')
  }

  /** What is there already was told by whoever put it there. */
  static async open(spool: string): Promise<AsideFolder> {
    const folder = new AsideFolder(spool)
    await folder.news()
    return folder
  }

  /** Files that came since the last call. */
  async news(): Promise<string[]> {
    const names = (await readdir(this.path).catch(() => [])).filter((name) => [ROWS, RAW].includes(extname(name)))
    const { known } = this
    this.known = new Set(names)
    return names.filter((name) => !known.has(name)).map((name) => join(this.path, name))
  }
}

/** Fails where the file has given way to newer ones. */
export async function readAside(file: string): Promise<Aside> {
  const ending = extname(file)
  const [bytes, reasons] = await Promise.all([
    readFile(file),
    readFile(`${file.slice(0, -ending.length)}.json`, 'utf8'),
  ])
  const readable = ending === ROWS
  const rows = readable ? await (await Batch.fromIPC(bytes)).toIPC() : bytes
  return { file, rows, readable, failed: JSON.parse(reasons) as Failed[] }
}

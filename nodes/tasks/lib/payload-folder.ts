/** Buffers of arguments as files of their own beside an embedded queue. The time of a file is when it goes. */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineError } from '../../shared/errors'
import type { Payloads } from './payloads'

const SWEEP_MS = 3_600_000

export class PayloadFolder implements Payloads {
  private readonly folder: string
  private timer: NodeJS.Timeout | undefined

  constructor(path: string) {
    this.folder = join(path, 'payloads')
  }

  /** Deletes what is past its time, now and each hour. */
  async open(): Promise<void> {
    this.timer = setInterval(() => this.sweep(), SWEEP_MS).unref()
    await this.sweep()
  }

  close(): void {
    clearInterval(this.timer)
  }

  async put(key: string, data: Buffer, keepMs: number): Promise<void> {
    const path = join(this.folder, key)
    try {
      await mkdir(this.folder, { recursive: true })
      const file = await open(`${path}.new`, 'w')
      try {
        await file.writeFile(data)
        const until = new Date(Date.now() + keepMs)
        await file.utimes(until, until)
        await file.datasync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    } catch (error) {
      await rm(`${path}.new`, { force: true }).catch(() => {})
      throw storeError(error)
    }
  }

  async get(key: string): Promise<Buffer | undefined> {
    const path = join(this.folder, key)
    try {
      if ((await stat(path)).mtimeMs > Date.now()) return await readFile(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw storeError(error)
    }
    return undefined
  }

  async drop(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => rm(join(this.folder, key), { force: true })))
  }

  /** What cannot be deleted now is looked at again. */
  private async sweep(): Promise<void> {
    for (const name of await readdir(this.folder).catch(() => [])) {
      const path = join(this.folder, name)
      const late = await stat(path).then(
        // One that is being written has no time of its own yet.
        ({ mtimeMs }) => mtimeMs + (name.endsWith('.new') ? SWEEP_MS : 0) <= Date.now(),
        () => false,
      )
      if (late) await rm(path, { force: true }).catch(() => {})
    }
  }
}

function storeError(cause: unknown): EngineError {
  const { code, message } = cause as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  return new EngineError(full ? 'DISK_FULL' : 'STORE_FAILED', `a Buffer of a task's arguments: ${message}`, { cause })
}

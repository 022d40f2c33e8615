/** A watch's alerts in a small file, so that a restart neither repeats nor forgets them. */
import { readFileSync, renameSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { WatchState } from './lib'

export class Memory {
  private saving: Promise<void> | undefined
  private next: (() => WatchState) | undefined

  constructor(
    private readonly file: string,
    /** Hears once of each row of failures. */
    private readonly report: (error: Error) => void,
  ) {}

  /** What was saved; a file that cannot be read is put aside, and reported. */
  load(): WatchState | null {
    try {
      const state = JSON.parse(readFileSync(this.file, 'utf8')) as WatchState
      if (state.version === 1 && Array.isArray(state.sources)) return state
      throw new Error(`${this.file} is of another version`)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return null
      this.report(error as Error)
      this.putAside()
      return null
    }
  }

  /** Saves what `state` returns when its turn comes: many changes are one file. */
  save(state: () => WatchState): Promise<void> {
    this.next = state
    this.saving ??= this.work().finally(() => {
      this.saving = undefined
    })
    return this.saving
  }

  async remove(): Promise<void> {
    await this.saving
    await rm(this.file, { force: true })
  }

  private async work(): Promise<void> {
    // What is sent in one turn of the event loop is one change.
    await new Promise(setImmediate)
    try {
      while (this.next) {
        const state = this.next
        this.next = undefined
        await this.write(JSON.stringify(state()))
      }
    } catch (error) {
      this.report(error as Error)
    }
  }

  /** The old file, or the new one whole: never a part. */
  private async write(text: string): Promise<void> {
    await mkdir(dirname(this.file), { recursive: true })
    const part = `${this.file}.new`
    const handle = await open(part, 'w')
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(part, this.file)
  }

  private putAside(): void {
    try {
      renameSync(this.file, `${this.file}.broken`)
    } catch {
      // It stays; the next save takes its place.
    }
  }
}

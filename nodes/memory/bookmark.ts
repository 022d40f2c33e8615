/** Up to which version, or time, a reader has come, in a small file: so that it goes on there after a restart. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const SAVE_MS = 1000

export class Bookmark {
  private version: string | undefined
  private saved: string | undefined
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()

  /** `report` hears of a file that cannot be written. */
  constructor(
    private readonly file: string,
    private readonly report: (error: unknown) => void,
  ) {}

  /** Where nothing was saved it begins now. */
  async load(): Promise<string> {
    try {
      this.saved = (await readFile(this.file, 'utf8')).trim()
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
    }
    if (!this.saved) this.set(new Date().toISOString())
    return this.saved || (this.version as string)
  }

  /** It is on the disk within a second. */
  set(version: string): void {
    this.version = version
    this.timer ??= setTimeout(() => this.save(), SAVE_MS).unref()
  }

  async close(removed: boolean): Promise<void> {
    clearTimeout(this.timer)
    if (!removed) this.save()
    await this.writing
    if (removed) await rm(this.file, { force: true })
  }

  private save(): void {
    this.timer = undefined
    this.writing = this.writing.then(() => this.write()).catch(this.report)
  }

  /** The old one, or the new one whole. */
  private async write(): Promise<void> {
    const { version } = this
    if (version === undefined || version === this.saved) return
    await mkdir(dirname(this.file), { recursive: true })
    const part = `${this.file}.new`
    await writeFile(part, version)
    await rename(part, this.file)
    this.saved = version
  }
}

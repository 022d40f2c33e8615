/** What a `millrace-arrow-file` node does between its opening and its close. */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EngineError, quote, toEngineError } from '../shared/errors'
import type { Host, Message, Reply } from '../shared/node'
import { short } from '../shared/status'
import { Turns } from '../shared/turns'
import type { fileConfig } from './file.config'
import { dataFolder, fileIn, folderBelow } from './folder'
import { Batch, FileWriter, type WrittenFile } from './lib'

type FileHost = Host<(typeof fileConfig)['fields']>

const TICK_MAX_MS = 1000
/** A larger file does not go through a message. */
const READ_MAX = 2 ** 31

export class FileWriting {
  private readonly writer: Promise<FileWriter>
  private readonly timer: NodeJS.Timeout | undefined
  private rows = 0
  private files = 0
  private closing = false
  /** Of an earlier life, when this one ended before it told of them. */
  private left: WrittenFile[] = []
  /** One message after the other. */
  private readonly turns = new Turns()

  constructor(private readonly host: FileHost) {
    const { folder, prefix, maxMb, maxAgeS, keep, compression } = host.config
    const maxAgeMs = maxAgeS === null ? null : Math.ceil(maxAgeS * 1000)
    const maxBytes = Math.ceil(maxMb * 2 ** 20)
    const path = folderBelow(host.RED, folder)
    this.writer = FileWriter.open({ folder: path, prefix, maxBytes, maxAgeMs, keep, compression })
    const begun = this.turns.take(async () => this.begin(await this.writer))
    // Every message fails with it, too.
    begun.catch((error) => this.fail(error))
    if (maxAgeMs !== null) this.timer = setInterval(() => this.tick(), Math.min(maxAgeMs, TICK_MAX_MS)).unref()
    this.show()
  }

  input(message: Message, reply: Reply): Promise<void> {
    return this.turns.take(() => this.write(message, reply))
  }

  /** Nobody hears of the file that it completes: who is there again tells of it. */
  async close(removed: boolean): Promise<void> {
    this.closing = true
    clearInterval(this.timer)
    await this.turns.ended()
    const writer = await this.writer.catch(() => undefined)
    const files = [...this.left, ...((await writer?.close()) ?? [])]
    if (files.length === 0 || removed) return
    const list = this.untoldList
    await mkdir(dirname(list), { recursive: true })
    await writeFile(list, JSON.stringify(files))
  }

  private async begin(writer: FileWriter): Promise<void> {
    for (const path of writer.damaged) this.host.node.warn(this.host.text('warning.damaged', { path }))
    const files = [...(await this.untold()), ...writer.recovered]
    if (this.closing) this.left = files
    else this.announce(files)
  }

  private get untoldList(): string {
    return join(dataFolder(this.host.RED), 'millrace', 'arrow', `file-${this.host.node.id}.json`)
  }

  /** What an earlier life of the node completed at its end, and is there still. */
  private async untold(): Promise<WrittenFile[]> {
    const list = this.untoldList
    try {
      const files = JSON.parse(await readFile(list, 'utf8')) as WrittenFile[]
      await rm(list)
      const there = await Promise.all(files.map(({ path }) => stat(path).catch(() => undefined)))
      return files.filter((_, place) => there[place])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.host.node.warn(toEngineError(error).message)
      return []
    }
  }

  private async write(message: Message, reply: Reply): Promise<void> {
    const writer = await this.writer
    const { payload } = message
    const isBatch = payload !== null && typeof payload === 'object'
    if (!isBatch && !message.flush) {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.payload', { given: quote(payload) }))
    }
    const files: WrittenFile[] = []
    if (isBatch) {
      const batch = await Batch.from(payload as object)
      files.push(...(await writer.write(batch)))
      this.rows += batch.numRows
    }
    if (message.flush) files.push(...(await writer.rotate()))
    for (const file of files) reply.send({ ...message, ...told(file) })
    this.files += files.length
    this.show()
    reply.done()
  }

  private tick(): void {
    const done = this.turns.take(async () => this.announce(await (await this.writer).tick()))
    done.catch((error) => this.fail(error))
  }

  private announce(files: WrittenFile[]): void {
    for (const file of files) this.host.node.send(told(file) as never)
    this.files += files.length
    if (files.length > 0) this.show()
  }

  private fail(error: unknown): void {
    const { code, message, retryable } = toEngineError(error)
    const text = this.host.text(`error.${code}`)
    this.host.status(() => ({ fill: retryable ? 'yellow' : 'red', shape: 'ring', text }))
    this.host.node.error(message)
  }

  private show(): void {
    this.host.status(() => {
      if (this.rows + this.files === 0) return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
      const counts = { rows: short(this.rows), files: short(this.files) }
      return { fill: 'green', shape: 'dot', text: this.host.text('status.written', counts) }
    })
  }
}

function told({ path, rows, bytes }: WrittenFile): object {
  return { payload: path, filename: path, arrow: { rows, bytes } }
}

export class FileReading {
  private readonly folder: string
  private rows = 0

  constructor(private readonly host: FileHost) {
    this.folder = folderBelow(host.RED, host.config.folder)
    this.show()
  }

  async input(message: Message, reply: Reply): Promise<void> {
    const name = typeof message.filename === 'string' ? message.filename : message.payload
    if (typeof name !== 'string' || name === '') {
      throw new EngineError('INVALID_INPUT', this.host.text('failure.filename', { given: quote(name) }))
    }
    const path = await fileIn(this.folder, name)
    const payload = await whole(path)
    const batch = await Batch.fromIPC(payload, { copy: true })
    this.rows += batch.numRows
    const arrow = { rows: batch.numRows, bytes: payload.length, schema: batch.schema.columns }
    reply.send({ ...message, payload, filename: path, arrow })
    this.show()
    reply.done()
  }

  close(): void {}

  private show(): void {
    this.host.status(() => {
      if (this.rows === 0) return { fill: 'grey', shape: 'ring', text: this.host.text('status.waiting') }
      return { fill: 'green', shape: 'dot', text: this.host.text('status.read', { rows: short(this.rows) }) }
    })
  }
}

async function whole(path: string): Promise<Buffer> {
  const failed = (error: Error): never => {
    throw new EngineError('STORE_FAILED', `${quote(path)} cannot be read: ${error.message}; see its permissions`)
  }
  const found = await stat(path).catch(failed)
  // A device may be without an end.
  if (!found.isFile()) throw new EngineError('INVALID_INPUT', `${quote(path)} is no file; name a file`)
  if (found.size > READ_MAX) {
    throw new EngineError('TOO_LARGE', `${quote(path)} has ${found.size} bytes, more than the ${READ_MAX} of a message`)
  }
  return readFile(path).catch(failed)
}

/** The library's client behind a config node: opened with its first user, shared, closed behind the last. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { Lent } from '../shared/lent'
import { type Host, stateOf } from '../shared/node'
import type { Backlog, Link } from '../shared/running'
import { folderBelow } from './folder'
import { Batch, type Converted, type Row, Schema, ZerobusClient, type ZerobusOptions, type ZerobusStats } from './lib'
import { type Tested, tryOut } from './reach'
import type { TableConfig } from './zerobus-table.config'

const MB = 2 ** 20
const TICK_MS = 1000
/** A client that cannot be opened is tried again, but not with every tick. */
const REOPEN_MS = 5000
/** So long a close waits for those who have rows in hand to give them to the client. */
const LEAVE_MS = 1500
/** What a loss of power can take where not each batch waits for the disk. */
const SOON_MS = 200

type Tell = (key: string, params: Record<string, string | number>) => void

export class TableHost {
  private readonly lent: Lent<ZerobusClient>
  private readonly users = new Set<() => void>()
  private client: ZerobusClient | undefined
  private schema: Promise<Schema> | undefined
  private timer: NodeJS.Timeout | undefined
  private nextTry = 0
  private closed = false
  private allLeft: (() => void) | undefined
  /** Why it could not be opened. */
  problem: EngineError | undefined
  /** What was told already. */
  private held = false
  private lost = 0
  private aside: Set<string> | undefined

  constructor(
    readonly options: ZerobusOptions,
    private readonly config: Pick<TableConfig, 'columns' | 'unknown'>,
    private readonly tell: Tell,
  ) {
    if (config.columns.length > 0) this.schema = Promise.resolve(Schema.of(config.columns))
    this.lent = new Lent(
      'Zerobus table',
      () => this.open(),
      (client) => this.shut(client),
    )
  }

  /** `tick` is called each second, while it can be of use. */
  join(tick: () => void): void {
    this.users.add(tick)
    this.lent.join()
    this.timer ??= setInterval(() => this.tick(), TICK_MS).unref()
    // What a spool holds leaves without a message; and wrong settings show at once.
    setImmediate(() => this.tick())
  }

  leave(tick: () => void): void {
    this.users.delete(tick)
    this.lent.leave()
    if (this.users.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
    this.allLeft?.()
  }

  /** The client, opened where it is not. A failure is that of this call: the next one tries again. */
  opened(): Promise<ZerobusClient> {
    return this.lent.get()
  }

  get stats(): ZerobusStats | undefined {
    return this.client?.stats()
  }

  get link(): Link {
    const lastError = this.stats?.lastError ?? null
    if (lastError === null) return this.lent.link
    return { state: 'failed', error: { code: '', message: lastError } }
  }

  get backlog(): Backlog | undefined {
    const { spool } = this.options
    if (!spool || !this.stats) return undefined
    const { spooled, spoolBytes, spoolOldestMs, spoolLost } = this.stats
    return { records: spooled, bytes: spoolBytes, oldestMs: spoolOldestMs, dropped: spoolLost }
  }

  /** Rows in the columns of the table; without any, the first rows tell them. */
  async toBatch(rows: readonly Row[]): Promise<Converted> {
    this.schema ??= Schema.infer(rows)
    const { schema } = this
    try {
      return await Batch.fromRows(rows, { schema: await schema, unknown: this.config.unknown })
    } catch (error) {
      if (this.schema === schema && this.config.columns.length === 0) this.schema = undefined
      throw error
    }
  }

  async test(): Promise<Tested> {
    return tryOut(this.options, await this.schema?.catch(() => undefined))
  }

  /** What is on its way has a few seconds to arrive. */
  async close(): Promise<void> {
    await this.left()
    this.closed = true
    clearInterval(this.timer)
    return this.lent.close()
  }

  private async left(): Promise<void> {
    if (this.users.size === 0) return
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, LEAVE_MS)
      this.allLeft = () => {
        clearTimeout(limit)
        resolve()
      }
    })
  }

  private async open(): Promise<ZerobusClient> {
    const { spool } = this.options
    try {
      const client = await ZerobusClient.open(this.options)
      this.aside = spool && new Set(await asideIn(spool.folder))
      this.client = client
      this.problem = undefined
      return client
    } catch (cause) {
      const error = toEngineError(cause)
      if (error.message !== this.problem?.message) this.tell('warning.open', { reason: error.message })
      this.problem = error
      throw error
    }
  }

  private shut(client: ZerobusClient): Promise<void> {
    this.client = undefined
    return client.close()
  }

  private tick(): void {
    if (this.closed || this.users.size === 0) return
    if (this.client) this.watch(this.client.stats())
    else if (performance.now() >= this.nextTry) {
      this.nextTry = performance.now() + REOPEN_MS
      // It is told where it happens.
      this.opened().catch(() => {})
    }
    for (const tick of this.users) tick()
  }

  /** What a spool does comes too late for any message. */
  private watch({ lastError, spoolLost, rowsFailed }: ZerobusStats): void {
    const { spool } = this.options
    if (!spool) return
    if (lastError && !this.held) this.tell('warning.held', { reason: lastError })
    this.held = lastError !== null
    if (spoolLost > this.lost) this.tell('warning.lost', { batches: spoolLost - this.lost })
    this.lost = spoolLost
    if (rowsFailed > 0) void this.lookAside(spool.folder)
  }

  private async lookAside(folder: string): Promise<void> {
    for (const file of await asideIn(folder)) {
      if (this.aside?.has(file)) continue
      this.aside?.add(file)
      this.tell('warning.refused', { file })
    }
  }
}

/** Files of rows that Zerobus refused. */
async function asideIn(folder: string): Promise<string[]> {
  const path = join(folder, 'rejected')
  const names = await readdir(path).catch(() => [])
  return names.filter((name) => name.endsWith('.arrow')).map((name) => join(path, name))
}

/** The host behind a table node. */
export function tableOf(host: Pick<Host<Fields>, 'RED' | 'text'>, id: string): TableHost {
  const table = stateOf<unknown>(host.RED, id)
  if (!(table instanceof TableHost)) throw new EngineError('INVALID_OPTION', host.text('failure.table'))
  return table
}

/** What the saved settings mean to the library. */
export function clientOptions(
  RED: NodeAPI,
  config: TableConfig,
  id: string,
  credentials: unknown,
  ca: string | Buffer | undefined,
): ZerobusOptions {
  const { clientId = '', clientSecret = '' } = (credentials ?? {}) as { clientId?: string; clientSecret?: string }
  const { endpoint, table, unityCatalogUrl, delivery, compression, writerDisabled } = config
  const { attempts: maxAttempts, baseDelayMs, maxDelayMs } = config
  const own = (kind: string) => join('millrace', 'arrow', `${kind}-${encodeURIComponent(id)}`)
  const copies = config.copiesArrow || config.copiesProtobuf
  return {
    ...{ endpoint, table, unityCatalogUrl, clientId, clientSecret, delivery, compression, writerDisabled },
    retry: { maxAttempts, baseDelayMs, maxDelayMs },
    maxInFlightBytes: Math.ceil(config.inFlightMb * MB),
    ...(ca !== undefined && { ca: String(ca) }),
    ...(copies && {
      debug: {
        arrow: config.copiesArrow,
        protobuf: config.copiesProtobuf,
        folder: folderBelow(RED, config.copiesFolder || own('copies')),
        maxFileBytes: Math.ceil(config.copiesMb * MB),
        keep: config.copiesKeep,
      },
    }),
    ...(config.spool && {
      spool: {
        folder: folderBelow(RED, config.spoolFolder || own('zerobus')),
        syncMs: config.spoolSync === 'each' ? 0 : SOON_MS,
        maxBytes: Math.ceil(config.spoolMb * MB),
        whenFull: config.spoolWhenFull,
      },
    }),
  }
}

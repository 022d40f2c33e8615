/** The library's client behind a config node: opened with its first user, shared, closed behind the last. */
import { join } from 'node:path'
import type { NodeAPI } from 'node-red'
import type { Fields } from '../shared/config'
import { EngineError, toEngineError } from '../shared/errors'
import { Lent } from '../shared/lent'
import { type Host, stateOf } from '../shared/node'
import type { Backlog, Link } from '../shared/running'
import { type Aside, AsideFolder, readAside } from './aside'
import { folderBelow } from './folder'
import { Batch, type Converted, type Row, Schema, ZerobusClient, type ZerobusConfig, type ZerobusStats } from './lib'
import { Inferred } from './lib/inferred'
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

/** A node that sends to the table. */
export interface TableUser {
  /** Each second, while it can be of use. */
  tick(): void
  /** Whether somebody hears of its rows that failed. */
  readonly hearsFailures: boolean
  /** Rows from the spool, which Zerobus did not take; or a batch that cannot be read any more. */
  refused(aside: Aside): void
}

type Tell = (key: string, params: Record<string, string | number>) => void

const nothing = () => ({ held: false, lost: 0, news: 0, copies: null as string | null })

export class TableHost {
  private readonly lent: Lent<ZerobusClient>
  private readonly users = new Set<TableUser>()
  private client: ZerobusClient | undefined
  private readonly declared: Schema | undefined
  private readonly inferred = new Inferred()
  private timer: NodeJS.Timeout | undefined
  private nextTry = 0
  private closed = false
  private allLeft: (() => void) | undefined
  /** Why it could not be opened. */
  problem: EngineError | undefined
  /** What was told of this client already. */
  private told = nothing()
  private aside: AsideFolder | undefined
  private looking: Promise<void> = Promise.resolve()

  constructor(
    readonly options: ZerobusConfig,
    private readonly config: Pick<TableConfig, 'columns' | 'unknown'>,
    private readonly tell: Tell,
  ) {
    if (config.columns.length > 0) this.declared = Schema.of(config.columns)
    this.lent = new Lent(
      'Zerobus table',
      () => this.open(),
      (client) => this.shut(client),
    )
  }

  join(user: TableUser): void {
    this.users.add(user)
    this.lent.join()
    this.timer ??= setInterval(() => this.tick(), TICK_MS).unref()
    // What a spool holds leaves without a message; and wrong settings show at once.
    setImmediate(() => this.tick())
  }

  leave(user: TableUser): void {
    this.users.delete(user)
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

  /** A spool that the disk failed takes nothing more: the next who wants the client gets a new one. */
  broken(client: ZerobusClient): void {
    if (client === this.client) this.lent.drop()
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
    const schema = this.declared ?? (await this.inferred.of(rows))
    return Batch.fromRows(rows, { schema, unknown: this.config.unknown })
  }

  async test(): Promise<Tested> {
    return tryOut(this.options, this.declared ?? this.inferred.known)
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
      // Before it opens: it may find rows at fault at once.
      this.aside = spool && (await AsideFolder.open(spool.folder))
      const client = await ZerobusClient.open(this.options)
      this.told = nothing()
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

  private async shut(client: ZerobusClient): Promise<void> {
    this.client = undefined
    await client.close()
    this.look(client.stats())
    await this.looking
  }

  private tick(): void {
    if (this.closed || this.users.size === 0) return
    if (this.client) this.watch(this.client.stats())
    else if (performance.now() >= this.nextTry) {
      this.nextTry = performance.now() + REOPEN_MS
      // It is told where it happens.
      this.opened().catch(() => {})
    }
    for (const user of this.users) user.tick()
  }

  /** What a spool does comes too late for any message, and copies are for looking at: no message fails for them. */
  private watch(stats: ZerobusStats): void {
    const { lastError, copiesError, spooled, spoolLost } = stats
    const { told } = this
    if (copiesError !== null && told.copies === null) this.tell('warning.copies', { reason: copiesError })
    told.copies = copiesError
    if (!this.options.spool) return
    // What is refused is a failure, too, but leaves the spool.
    const held = lastError !== null && spooled > 0
    if (held && !told.held) this.tell('warning.held', { reason: lastError })
    told.held = held
    if (spoolLost > told.lost) this.tell('warning.lost', { batches: spoolLost - told.lost })
    told.lost = spoolLost
    this.look(stats)
  }

  /** The folder is read when there may be something new in it: what cannot be read counts as lost. */
  private look({ rowsAside, spoolLost }: ZerobusStats): void {
    const { aside, told } = this
    const news = rowsAside + spoolLost
    if (!aside || news === told.news) return
    told.news = news
    this.looking = this.looking.then(async () => {
      for (const file of await aside.news()) await this.hand(file)
    })
  }

  /** To one of those who send to the table: the spool does not know whose rows they were. */
  private async hand(file: string): Promise<void> {
    try {
      const aside = await readAside(file)
      const users = [...this.users]
      const user = users.find(({ hearsFailures }) => hearsFailures) ?? users[0]
      if (user) user.refused(aside)
      else this.tell(aside.readable ? 'warning.refused' : 'warning.unreadable', { file })
    } catch {
      this.tell('warning.refused', { file })
    }
  }
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
): ZerobusConfig {
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
    ...(config.telemetry && { observability: { endpoint: config.telemetry } }),
    ...(copies && {
      debug: {
        arrow: config.copiesArrow,
        protobuf: config.copiesProtobuf,
        folder: folderBelow(RED, config.copiesFolder || own('copies'), 'arrow', 'protobuf'),
        maxFileBytes: Math.ceil(config.copiesMb * MB),
        keep: config.copiesKeep,
      },
    }),
    ...(config.spool && {
      spool: {
        folder: folderBelow(RED, config.spoolFolder || own('zerobus'), 'rejected'),
        syncMs: config.spoolSync === 'each' ? 0 : SOON_MS,
        maxBytes: Math.ceil(config.spoolMb * MB),
        whenFull: config.spoolWhenFull,
      },
    }),
  }
}

/** What the tests of the sender share. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Batch, type TransmissionResult, ZerobusClient, type ZerobusConfig } from '../../nodes/arrow/lib'
import { rowsOf, type ServerOptions, ZerobusServer } from './server'

export const table = 'main.default.readings'
export const columns = [
  { name: 'id', type: 'int64', nullable: false },
  { name: 'value', type: 'float64' },
]
/** The same in the table. */
export const seen = [
  { name: 'id', type: 'BIGINT', nullable: false },
  { name: 'value', type: 'DOUBLE' },
]

const ends: (() => unknown)[] = []

/** To be called after each test. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end()
}

export async function start(options: ServerOptions = {}): Promise<ZerobusServer> {
  const server = await ZerobusServer.start({ tables: { [table]: seen }, ...options })
  ends.push(() => server.stop())
  return server
}

/** Quick to try again. */
export const quick = { maxAttempts: 5, baseDelayMs: 1, maxDelayMs: 10 }

export async function open(server: ZerobusServer, options: Partial<ZerobusConfig> = {}): Promise<ZerobusClient> {
  const config = { ...(server.config(table) as unknown as ZerobusConfig), retry: quick, ...options }
  const client = await ZerobusClient.open(config)
  ends.push(() => client.close(0))
  return client
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-zerobus-'))
  ends.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Rows with ids from a number on. */
export async function batchOf(first: number, count: number): Promise<Batch> {
  const rows = Array.from({ length: count }, (_, place) => ({ id: first + place, value: (first + place) / 4 }))
  const { batch } = await Batch.fromRows(rows, { schema: columns })
  return batch
}

export function idsOf(server: ZerobusServer): number[] {
  return server.rows(table).map(({ id }) => Number(id))
}

/**
 * Rows that came again although the client knew that they were kept, as far as the server can tell: nothing of what a
 * connection acknowledged that was cut, and nothing of rows that came and were not kept. `Repeats` sees these.
 */
export function sentAgain(server: ZerobusServer): number[] {
  const known = new Set<number>()
  const again: number[] = []
  for (const kept of server.kept.get(table) ?? []) {
    const ids = rowsOf(kept).map(({ id }) => Number(id))
    again.push(...ids.filter((id) => known.has(id)))
    if (!server.cut.has(kept.connection)) for (const id of ids.slice(0, kept.acked)) known.add(id)
  }
  return again
}

/** Rows that come although their sender was told that they had arrived, over whatever connection, kept or not. */
export class Repeats {
  readonly ids: number[] = []
  private readonly arrived = new Set<number>()

  /** What a server calls as `heard`. */
  readonly heard = (rows: { id?: unknown }[]): void => {
    for (const { id } of rows) if (this.arrived.has(Number(id))) this.ids.push(Number(id))
  }

  /** Of a call of `send`, whose rows have ids from a number on; what is in a spool has not arrived. */
  note(first: number, { spooled, successfulRows }: Pick<TransmissionResult, 'spooled' | 'successfulRows'>): void {
    if (!spooled) for (const row of successfulRows) this.arrived.add(first + row)
  }
}

export function range(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, place) => first + place)
}

/**
 * A Zerobus server for tests and examples: true to the protocol, with faults on demand, and a memory of what it
 * received. It listens on loopback.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { type Column, type Field, fieldsOf, misfits, type Row, toRow } from './delta'
import { Front } from './front'
import { columnsOf, type IpcMessage, inspect, toRows } from './ipc'
import { readRecord as readJson } from './json'
import { OAuth } from './oauth'
import { type Message, readDescriptor, readRecord as readProtobuf } from './protobuf'
import { schemaStatus, statusOf } from './status'

/** What happens to a message instead of the usual. */
export type Fault =
  /** The stream ends with a status; `store` keeps the message first, without an acknowledgement. */
  | { kind: 'status'; code: status; message?: string; store?: boolean }
  /** A part of its rows is kept, and acknowledged where that can be said; then the stream ends. */
  | { kind: 'partial'; rows: number }
  /** The message is kept and the client told to leave within so long; `late`: before its acknowledgement. */
  | { kind: 'close'; ms: number; late?: boolean }
  /** The stream ends without an error; the message is not kept. */
  | { kind: 'end' }
  /** The network cuts the connection; `store` keeps the message first. */
  | { kind: 'cut'; store?: boolean }
  /** The message is kept, and neither it nor a later one of the connection is acknowledged. */
  | { kind: 'silent' }

export interface ServerOptions {
  /** By full name. A table without columns takes any schema. */
  tables?: Record<string, Column[]>
  clientId?: string
  clientSecret?: string
  /** Seconds that a token is good for; 0: the answer does not say. */
  expiresIn?: number
  /** Milliseconds from a message to its acknowledgement. */
  ackDelayMs?: number
  /** One acknowledgement for so many messages; the rest with the next, or after a short while. */
  ackEvery?: number
  /** The rest has no acknowledgement before the client is done. */
  hold?: boolean
  /** Larger messages end the stream. */
  maxReceive?: number
  /** Counts rows and forgets the rest. */
  forget?: boolean
  /** Where the endpoint and the token endpoint listen; default: wherever there is room. */
  ports?: [endpoint: number, tokens: number]
  tls?: { key: Buffer; cert: Buffer }
  /** Asked for each message with rows: the number of the connection and of the message on it, both from 0. */
  fault?: (connection: number, message: number) => Fault | undefined
  /** Told of the rows of each message, whether they are kept or not. */
  heard?: (rows: Row[]) => void
  /** Rows that the table does not take, whatever the schema: the stream ends with INVALID_ARGUMENT. */
  reject?: (rows: Row[]) => boolean
  /** Asked when a stream opens. */
  refuse?: (connection: number) => Partial<StatusObject> | undefined
}

type Content = { schema: IpcMessage; message: IpcMessage; fields: Field[] } | { rows: Row[] }

/** A message that was kept, or the part of it that was. */
export interface Kept {
  connection: number
  rows: number
  /** How many of the rows the client knows to be kept; on a connection that was cut, how many it may know. */
  acked: number
  data?: Content
}

/** What is empty is left out. */
interface FlightData {
  data_header?: Buffer
  app_metadata?: Buffer
  data_body?: Buffer
}

interface RecordRequest {
  payload?: 'create_stream' | 'ingest_record' | 'ingest_record_batch'
  create_stream?: { table_name?: string; descriptor_proto?: Buffer; record_type?: string }
  ingest_record?: { offset_id?: string; proto_encoded_record?: Buffer; json_record?: string }
  ingest_record_batch?: {
    offset_id?: string
    proto_encoded_batch?: { records: Buffer[] }
    json_batch?: { records: string[] }
  }
}

const NOTHING = Buffer.alloc(0)
const TABLE_HEADER = 'x-databricks-zerobus-table-name'
const LEFTOVER_ACK_MS = 5

export class ZerobusServer {
  readonly kept = new Map<string, Kept[]>()
  /**
   * Connections that the network cut, or the client left: nobody can tell here which of their last acknowledgements were
   * heard. Whoever sent knows, and compares with what is `heard`.
   */
  readonly cut = new Set<number>()
  /** The headers of each stream that was opened. */
  readonly opened: Record<string, string>[] = []
  connections = 0
  private readonly server: Server
  private boundPort = 0
  private front?: Front

  private constructor(
    readonly options: ServerOptions,
    readonly oauth: OAuth,
  ) {
    this.server = new Server({ 'grpc.max_receive_message_length': options.maxReceive ?? 32 << 20 })
  }

  static async start(options: ServerOptions = {}): Promise<ZerobusServer> {
    const { clientId = 'client', clientSecret = 'secret', expiresIn = 3600, ports } = options
    const oauth = await OAuth.start(
      // Clients take what stands before the first dot of the endpoint for the workspace.
      { clientId, clientSecret, workspaceId: '127', expiresIn: expiresIn === 0 ? undefined : expiresIn },
      ports?.[1],
    )
    const zerobus = new ZerobusServer(options, oauth)
    try {
      await zerobus.listen()
    } catch (error) {
      await zerobus.stop()
      throw error
    }
    return zerobus
  }

  /** Where the front listens. */
  get endpoint(): string {
    const scheme = this.options.tls ? 'https://localhost' : 'http://127.0.0.1'
    return `${scheme}:${this.front?.port ?? this.boundPort}`
  }

  /** Past the front, for measuring. */
  get directEndpoint(): string {
    return `http://127.0.0.1:${this.boundPort}`
  }

  /** What a client needs to send to a table. */
  config(table: string): Record<string, unknown> {
    return {
      endpoint: this.endpoint,
      table,
      unityCatalogUrl: this.oauth.url,
      clientId: this.options.clientId ?? 'client',
      clientSecret: this.options.clientSecret ?? 'secret',
    }
  }

  /** The endpoint refuses connections, and cuts those that are. */
  set away(away: boolean) {
    if (!this.front) return
    this.front.away = away
    if (away) {
      for (let connection = 0; connection < this.connections; connection++) this.cut.add(connection)
      this.front.cut()
    }
  }

  /** The number of rows that a table has. */
  count(table: string): number {
    return (this.kept.get(table) ?? []).reduce((sum, { rows }) => sum + rows, 0)
  }

  /** The rows of a table, in order. */
  rows(table: string): Row[] {
    return (this.kept.get(table) ?? []).flatMap(rowsOf)
  }

  async stop(): Promise<void> {
    await this.front?.stop()
    this.server.forceShutdown()
    await this.oauth.stop()
  }

  private async listen(): Promise<void> {
    const load = (name: string, service: string) =>
      loadSync(join(__dirname, name), { keepCase: true, longs: String, enums: String, oneofs: true })[
        service
      ] as ServiceDefinition
    this.server.addService(load('flight.proto', 'arrow.flight.protocol.FlightService'), {
      DoPut: (call: ServerDuplexStream<FlightData, object>) => new FlightSession(this, call),
    })
    this.server.addService(load('zerobus.proto', 'databricks.zerobus.Zerobus'), {
      EphemeralStream: (call: ServerDuplexStream<RecordRequest, object>) => new RecordSession(this, call),
    })
    const { tls } = this.options
    const credentials = tls
      ? ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.cert }])
      : ServerCredentials.createInsecure()
    this.boundPort = await new Promise((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)))
    })
    this.front = await Front.start(this.boundPort, this.options.ports?.[0])
    if (tls) this.oauth.options.workspaceId = `localhost:${this.front.port}`
  }

  cutConnection(connection: number, peer: string): void {
    this.cut.add(connection)
    this.front?.cut(Number(peer.split(':').pop()))
  }
}

export function rowsOf({ rows, data }: Kept): Row[] {
  if (!data) return []
  if ('rows' in data) return data.rows
  const found = toRows([data.schema, data.message]).slice(0, rows)
  return data.fields.length > 0 ? found.map((row) => toRow(data.fields, row)) : found
}

/** What both kinds of streams have in common: who may open one, faults, and acknowledgements. */
abstract class Session<Request> {
  protected readonly connection: number
  protected readonly table: string
  /** Of the table; none takes any. */
  protected readonly fields: Field[]
  /** Those that the client does not know of. */
  private readonly unacked: { kept: Kept; offset: number }[] = []
  private ackedRows = 0
  private messages = 0
  private offset = -1
  private silent = false
  /** The client was asked to leave. */
  private asked = false
  private ended = false
  private timer: NodeJS.Timeout | undefined
  /** The end of a client that was asked to leave, and stays. */
  private farewell: NodeJS.Timeout | undefined

  constructor(
    protected readonly server: ZerobusServer,
    protected readonly call: ServerDuplexStream<Request, object>,
  ) {
    const headers = Object.fromEntries(Object.entries(call.metadata.getMap()).map(([key, value]) => [key, `${value}`]))
    this.connection = server.connections++
    this.table = headers[TABLE_HEADER] ?? ''
    this.fields = fieldsOf(server.options.tables?.[this.table] ?? [])
    server.opened.push(headers)
    // A client waits for them before it says anything.
    call.sendMetadata(new Metadata())
    call.on('error', () => {})
    const refused = server.options.refuse?.(this.connection) ?? this.forbidden(headers.authorization)
    if (refused) {
      this.fail(refused)
      return
    }
    call.on('data', (request: Request) => {
      if (this.ended) return
      try {
        this.hear(request)
      } catch (error) {
        this.fail(statusOf(status.INVALID_ARGUMENT, `not understood: ${error}`))
      }
    })
    call.on('end', () => {
      if (this.ended) return
      // It was not asked to: it may have given up before it heard the last acknowledgements.
      if (!this.asked) server.cut.add(this.connection)
      this.acknowledge()
      this.end()
    })
    call.on('cancelled', () => {
      // It comes after each end, too. A client that leaves does not hear what is acknowledged meanwhile.
      if (!this.ended) server.cut.add(this.connection)
      this.stop()
    })
  }

  /** Whether an acknowledgement may be for a part of a message. */
  protected abstract readonly countsRows: boolean
  protected abstract hear(request: Request): void
  protected abstract ack(offset: number, rows: number): void
  protected abstract closeSignal(offset: number, rows: number, ms: number): void
  /** The part of a message that is its first rows. */
  protected abstract first(data: Content, rows: number): Content

  protected fail(problem: Partial<StatusObject>): void {
    if (this.ended) return
    this.stop()
    this.call.emit('error', problem)
  }

  /** A message with rows came. */
  protected receive(offset: number, rows: number, data: Content): void {
    if (offset !== this.offset + 1) {
      const expected = this.offset + 1
      this.fail(statusOf(status.INVALID_ARGUMENT, `Non-incremental offset ${offset}, expected ${expected} (4002)`))
      return
    }
    this.offset = offset
    const { heard, reject } = this.server.options
    const came = heard || reject ? rowsOf({ connection: this.connection, rows, acked: 0, data }) : []
    heard?.(came)
    if (reject?.(came)) {
      this.fail(statusOf(status.INVALID_ARGUMENT, 'a row is not as the table wants it'))
      return
    }
    const fault = this.server.options.fault?.(this.connection, this.messages++)
    switch (fault?.kind) {
      case undefined:
        this.keep(offset, rows, data)
        this.scheduleAck()
        return
      case 'status':
        if (fault.store) this.keep(offset, rows, data)
        this.fail(statusOf(fault.code, fault.message ?? 'on purpose'))
        return
      case 'partial': {
        const part = Math.min(fault.rows, rows)
        if (part > 0) this.keep(offset, part, this.first(data, part))
        this.acknowledge(part < rows ? offset - 1 : offset)
        this.fail(statusOf(status.UNAVAILABLE, 'on purpose'))
        return
      }
      case 'close':
        this.asked = true
        this.keep(offset, rows, data)
        this.farewell ??= setTimeout(() => {
          this.acknowledge()
          this.end()
        }, fault.ms)
        if (fault.late) {
          this.closeSignal(-1, this.ackedRows, fault.ms)
          this.scheduleAck()
        } else this.acknowledge(offset, (rowsAcked) => this.closeSignal(offset, rowsAcked, fault.ms))
        return
      case 'end':
        this.end()
        return
      case 'cut':
        if (fault.store) this.keep(offset, rows, data)
        this.stop()
        this.server.cutConnection(this.connection, this.call.getPeer())
        return
      case 'silent':
        this.keep(offset, rows, data)
        this.silent = true
    }
  }

  private forbidden(authorization = ''): Partial<StatusObject> | undefined {
    const tables = this.server.options.tables
    if (tables && !Object.hasOwn(tables, this.table)) return statusOf(status.NOT_FOUND, `no table ${this.table}`)
    const known = this.server.oauth.knows(authorization.replace(/^Bearer /, ''), this.table)
    return known ? undefined : statusOf(status.UNAUTHENTICATED, 'the token is not good for this table')
  }

  private end(): void {
    this.stop()
    this.call.end()
  }

  private stop(): void {
    this.ended = true
    clearTimeout(this.timer)
    clearTimeout(this.farewell)
  }

  private keep(offset: number, rows: number, data: Content): void {
    const kept: Kept = { connection: this.connection, rows, acked: 0 }
    if (!this.server.options.forget) kept.data = data
    this.unacked.push({ kept, offset })
    const table = this.server.kept.get(this.table)
    if (table) table.push(kept)
    else this.server.kept.set(this.table, [kept])
  }

  private scheduleAck(): void {
    const { ackDelayMs = 0, ackEvery = 1, hold } = this.server.options
    if (this.silent) return
    if (ackDelayMs === 0 && this.unacked.length >= ackEvery) {
      this.acknowledge()
      return
    }
    if (hold) return
    this.timer ??= setTimeout(() => this.acknowledge(), ackDelayMs || LEFTOVER_ACK_MS)
  }

  private acknowledge(offset = this.offset, send = (rows: number) => this.ack(offset, rows)): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.silent) return
    for (const { kept, offset: place } of this.unacked.splice(0)) {
      if (place > offset && !this.countsRows) continue
      kept.acked = kept.rows
      this.ackedRows += kept.rows
    }
    if (this.ackedRows > 0) send(this.ackedRows)
  }
}

class FlightSession extends Session<FlightData> {
  protected readonly countsRows = true
  private schema?: IpcMessage

  protected hear({ data_header = NOTHING, data_body = NOTHING, app_metadata = NOTHING }: FlightData): void {
    const message = { header: data_header, body: data_body }
    const { kind, rows } = inspect(data_header)
    if (!this.schema) {
      const causes =
        kind === 'schema' && this.fields.length > 0 ? misfits(this.fields, columnsOf(message), 'arrow') : []
      if (kind !== 'schema') this.fail(statusOf(status.INVALID_ARGUMENT, 'the first message is no schema'))
      else if (causes.length > 0) this.fail(schemaStatus(causes))
      else this.call.write(putResult({ ack_up_to_offset: -1, ack_up_to_records: 0 }))
      this.schema = message
      return
    }
    if (kind !== 'batch') {
      this.fail(statusOf(status.INVALID_ARGUMENT, 'a message is no record batch'))
      return
    }
    let offset: unknown
    try {
      offset = JSON.parse(app_metadata.toString()).offset_id
    } catch {
      // It has none.
    }
    const data = { schema: this.schema, message, fields: this.fields }
    this.receive(typeof offset === 'number' ? offset : Number.NaN, rows, data)
  }

  protected ack(offset: number, rows: number): void {
    this.call.write(putResult({ ack_up_to_offset: offset, ack_up_to_records: rows }))
  }

  protected closeSignal(offset: number, rows: number, ms: number): void {
    this.call.write(putResult({ ack_up_to_offset: offset, ack_up_to_records: rows, close_stream_duration_ms: ms }))
  }

  protected first(data: Content): Content {
    // The rows behind are cut off when they are read.
    return data
  }
}

function putResult(metadata: object): object {
  return { app_metadata: Buffer.from(JSON.stringify(metadata)) }
}

class RecordSession extends Session<RecordRequest> {
  protected readonly countsRows = false
  /** What a record is read with, once the stream is open. */
  private reader: ((record: string | Buffer) => Row) | undefined

  protected hear(request: RecordRequest): void {
    const { payload, create_stream, ingest_record, ingest_record_batch } = request
    if (!this.reader) {
      this.reader = this.create(payload === 'create_stream' ? create_stream : undefined)
      return
    }
    if (payload === 'ingest_record' && ingest_record) {
      const record = ingest_record.json_record ?? ingest_record.proto_encoded_record
      if (record !== undefined) this.take(ingest_record.offset_id, [record])
      return
    }
    const batch = ingest_record_batch
    const records = batch?.json_batch?.records ?? batch?.proto_encoded_batch?.records
    if (batch && records) this.take(batch.offset_id, records)
    else this.fail(statusOf(status.INVALID_ARGUMENT, `an unexpected ${payload}`))
  }

  protected ack(offset: number): void {
    if (offset >= 0) this.call.write({ ingest_record_response: { durability_ack_up_to_offset: offset } })
  }

  protected closeSignal(offset: number, _rows: number, ms: number): void {
    this.ack(offset)
    const duration = { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 }
    this.call.write({ close_stream_signal: { duration } })
  }

  protected first(data: Content, rows: number): Content {
    return 'rows' in data ? { rows: data.rows.slice(0, rows) } : data
  }

  private take(offset: string | undefined, records: (string | Buffer)[]): void {
    const rows = records.map((record) => this.reader?.(record) ?? {})
    this.receive(Number(offset), rows.length, { rows })
  }

  private create(create: RecordRequest['create_stream']): RecordSession['reader'] {
    const { table_name, record_type, descriptor_proto } = create ?? {}
    let problem: Partial<StatusObject> | undefined
    let reader: RecordSession['reader']
    if (table_name !== this.table) {
      problem = statusOf(status.INVALID_ARGUMENT, 'the stream is not created for the table of the header')
    } else if (record_type === 'JSON') reader = (record) => this.readJson(record)
    else if (record_type !== 'PROTO' || !descriptor_proto?.length) {
      problem = statusOf(status.INVALID_ARGUMENT, `records of type ${record_type} without a descriptor`)
    } else {
      const message = readDescriptor(descriptor_proto)
      const causes = this.fields.length > 0 ? misfits(this.fields, message.members, 'protobuf') : []
      if (causes.length > 0) problem = schemaStatus(causes, 'Protobuf')
      else reader = (record) => this.readProtobuf(message, record)
    }
    if (problem) this.fail(problem)
    else this.call.write({ create_stream_response: { stream_id: randomUUID() } })
    return reader
  }

  private readJson(record: string | Buffer): Row {
    if (typeof record !== 'string') throw new Error('the stream was opened for JSON')
    return this.fields.length > 0 ? toRow(this.fields, readJson(this.fields, record)) : JSON.parse(record)
  }

  private readProtobuf(message: Message, record: string | Buffer): Row {
    if (typeof record === 'string') throw new Error('the stream was opened for Protobuf')
    const row = readProtobuf(message, record)
    if (this.fields.length > 0) return toRow(this.fields, row)
    return { ...Object.fromEntries(message.members.map(({ name }) => [name, null])), ...row }
  }
}

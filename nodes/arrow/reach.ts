/** Whether a table can be reached, and which step fails where it cannot. */
import { createConnection } from 'node:net'
import { connect, rootCertificates } from 'node:tls'
import { networkFault } from '../shared/network'
import { Schema, ZerobusClient, type ZerobusConfig } from './lib'

/** What the button in the dialog tells. */
export type Tested = { ok: true; ms: number } | { ok: false; fault: string; message: string }

/** So long each step may take. */
const STEP_MS = 5000

/** The engine's kinds of failures that name their step. */
const FAULTS: Record<string, string> = {
  configuration: 'configuration',
  authentication: 'auth',
  permission: 'permission',
  missing: 'missing',
  schema: 'schema',
  // Of a stream of records, before it has any.
  rejected: 'schema',
  conversion: 'schema',
}

/** Opens a stream and ends it, without sending a row. Without columns to open it with, it is enough to be let in. */
export async function tryOut(options: ZerobusConfig, schema: Schema | undefined): Promise<Tested> {
  const start = performance.now()
  if (options.writerDisabled) return { ok: false, fault: 'disabled', message: '' }
  const failure = await ZerobusClient.test({ ...options, connectTimeoutMs: STEP_MS }, schema ?? Schema.of([]))
  const ms = Math.round(performance.now() - start)
  if (!failure) return { ok: true, ms }
  const { kind, error } = failure
  const fault = Object.hasOwn(FAULTS, kind) ? FAULTS[kind] : undefined
  // It was let in, which is all that was asked.
  if (fault === 'schema' && !schema) return { ok: true, ms }
  if (fault) return { ok: false, fault, message: error.message }
  return (await onTheWay(options)) ?? { ok: false, fault: 'answer', message: error.message }
}

/** What is wrong on the way to either side. */
async function onTheWay({ unityCatalogUrl, endpoint, ca }: ZerobusConfig): Promise<Tested | undefined> {
  for (const url of [unityCatalogUrl, endpoint]) {
    try {
      await reach(new URL(url ?? ''), ca)
    } catch (cause) {
      const { fault, what } = networkFault(cause)
      return { ok: false, fault, message: `${url}: ${what}` }
    }
  }
  return undefined
}

function reach({ protocol, hostname, port }: URL, ca: string | undefined): Promise<void> {
  const isSafe = protocol === 'https:'
  const to = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (isSafe ? 443 : 80) }
  return new Promise((resolve, reject) => {
    const socket = isSafe ? connect({ ...to, ...(ca && { ca: [...rootCertificates, ca] }) }) : createConnection(to)
    const late = () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))
    socket.setTimeout(STEP_MS, late)
    // A handshake that fails may bring more than one.
    socket.on('error', reject)
    socket.once(isSafe ? 'secureConnect' : 'connect', () => {
      socket.destroy()
      resolve()
    })
  })
}

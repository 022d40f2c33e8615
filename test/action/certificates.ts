/** Certificates of an authority of its own, made anew for a run. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificates {
  folder: string
  /** Paths, as programs want them. */
  path(name: string): string
  /** `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, `other.pem`: an authority nobody knows. */
  read(name: string): string
  /** A file with a key and its certificate. */
  pair(name: string): string
  remove(): void
}

/** Undefined where there is no openssl. */
export function certificates(): Certificates | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  const path = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'rsa:2048', '-nodes']
  try {
    for (const name of ['ca', 'other']) {
      const subject = `/CN=Millrace test ${name}`
      openssl('req', '-x509', ...key, '-days', '2', '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.pem`)
    }
    writeFileSync(path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
    for (const name of ['server', 'client']) {
      openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
      openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
    }
  } catch {
    rmSync(folder, { recursive: true, force: true })
    return undefined
  }
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const pair = (name: string) => {
    writeFileSync(path(`${name}.both`), read(`${name}.key`) + read(`${name}.pem`))
    return path(`${name}.both`)
  }
  return { folder, path, read, pair, remove }
}

/**
 * Whether this machine's addresses changed. The DDS keeps those that it found when it was opened: it goes on when a link
 * comes back as it was, but with another address nobody hears it any more.
 */
import os from 'node:os'

const LOOK_MS = 3000

export type Addresses = ReadonlySet<string>
type Listener = (now: Addresses) => void

const listeners = new Set<Listener>()
let timer: NodeJS.Timeout | undefined

/** Those at which others can reach this machine. The DDS uses IPv4. */
export function addresses(): Addresses {
  const all = Object.values(os.networkInterfaces()).flatMap((interfaces) => interfaces ?? [])
  return new Set(all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address))
}

/** Names and IPv4 addresses, for the dialog. */
export function interfaces(): string[] {
  return Object.entries(os.networkInterfaces()).flatMap(([name, entries = []]) => {
    const found = entries.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
    return found.length > 0 ? [name, ...found] : []
  })
}

/** One is gone and another came. One that is only gone may come back as it was; one more takes nothing away. */
export function haveMoved(before: Addresses, now: Addresses): boolean {
  const isNew = [...now].some((address) => !before.has(address))
  const isGone = [...before].some((address) => !now.has(address))
  return isNew && (isGone || before.size === 0)
}

/** Looks every few seconds, for all at the same time; the result ends it. */
export function watchAddresses(listener: Listener): () => void {
  listeners.add(listener)
  timer ??= setInterval(() => {
    const now = addresses()
    for (const tell of [...listeners]) tell(now)
  }, LOOK_MS).unref()
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

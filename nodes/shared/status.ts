import type { Node, NodeStatus } from 'node-red'

const INTERVAL_MS = 1000

/** A node's status: at most once a second, and only when it changed. The last state always shows. */
export class StatusLine {
  private make: (() => NodeStatus) | undefined
  private shown = ''
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(private readonly node: Pick<Node, 'status'>) {}

  /** Shows what `make` returns when its turn comes; a later call takes the place of an earlier one. */
  show(make: () => NodeStatus): void {
    if (this.closed) return
    this.make = make
    if (this.timer) return
    this.render()
    this.timer = setTimeout(() => {
      this.timer = undefined
      if (this.make) this.show(this.make)
    }, INTERVAL_MS).unref()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.timer = undefined
    this.make = undefined
  }

  private render(): void {
    const status = this.make?.() ?? {}
    this.make = undefined
    const text = JSON.stringify(status)
    if (text === this.shown) return
    this.shown = text
    this.node.status(status)
  }
}

/** Of a node that counts: a grey ring until it has done something. */
export function counted(count: number, text: string): NodeStatus {
  return count > 0 ? { fill: 'green', shape: 'dot', text } : { fill: 'grey', shape: 'ring', text }
}

/** A count in at most four characters: 999, 1.2k, 35k, 4.1M. */
export function short(count: number): string {
  const units = ['', 'k', 'M', 'G', 'T']
  let unit = 0
  let value = count
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}${units[unit]}`
}

/** In one unit: 12 s, 5 min, 3 h, 2 d. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}

/** What the panels of the nodes that act share. Runs in the browser. */
import type { ConfigSpec, Fields } from '../shared/config'
import { act, ask, prepareTest, showFound, text } from '../shared/editor'
import type { SenderStatus } from './lib/driver'
import type { Tested } from './outlet'

const FORM = 'millrace-action'

type Config = Pick<ConfigSpec<Fields>, 'type'>

/** One muted red for the word. */
export const looks = { category: 'millrace action', color: '#dcb9ac', icon: 'action.svg' } as const

/** The rows of `delivery.html`: how the node fares, and the test: of what is deployed, or of what `given` returns. */
export function prepareDelivery(config: Config, id: string, given?: () => object): void {
  showStatus(config, id)
  const durable = $('#node-input-durable')
  const show = () => {
    $('.millrace-durable').toggle(durable.is(':checked'))
    $('.millrace-direct').toggle(!durable.is(':checked'))
  }
  durable.on('change', show)
  show()
  prepareTest(config, FORM, async () => {
    const tested = await act<Tested>(config.type, id, 'test', given?.())
    return tested && textOf(config, tested)
  })
}

/** Shows rows of a class only while a choice has their value: `millrace-auth-basic` with `basic`. */
export function showFor(field: string, values: readonly string[]): void {
  const select = $(`#node-input-${field}`)
  const show = () => {
    for (const value of values) $(`.millrace-${field}-${value}`).toggle(select.val() === value)
  }
  select.on('change', show)
  show()
}

async function showStatus(config: Config, id: string): Promise<void> {
  const status = await ask<SenderStatus>(config.type, id, 'status').catch(() => null)
  if (!status) return
  const { sent, failed, waiting, retried, dropped, latencyMs, lastError, outbox } = status
  const lines = [text(config, 'test.counts', { sent, failed, waiting, retried, dropped })]
  if (outbox) {
    const { records, bytes, oldestMs } = outbox
    const since = oldestMs === null ? '–' : new Date(oldestMs).toLocaleString()
    lines.push(text(config, 'test.outbox', { records, mb: round(bytes / (1 << 20)), since }))
  }
  if (latencyMs) lines.push(text(config, 'test.latency', { p50: round(latencyMs.p50), p95: round(latencyMs.p95) }))
  if (lastError) lines.push(text(config, 'test.lastError', { reason: lastError.message }))
  showFound(FORM, lines.join('\n'))
}

/** At which step it fails, where it does. */
function textOf(config: Config, tested: Tested): string {
  if (tested.ok) return text(config, 'test.good', { found: tested.found, ms: tested.ms })
  return `${text(config, `fault.${tested.fault}`)}\n${tested.message}`
}

function round(ms: number): number {
  return Number(ms.toPrecision(3))
}

/** What the panels of the nodes that act share. Runs in the browser. */
import type { ConfigSpec, Fields } from '../shared/config'
import { act, ask, text } from '../shared/editor'
import type { SenderStatus } from './lib/driver'
import type { Tested } from './outlet'

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
  $('#millrace-action-test').on('click', () => test(config, id, given?.()))
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
  show(lines.join('\n'))
}

/** Tries it out, and says at which step it fails. */
async function test(config: Config, id: string, given?: object): Promise<void> {
  const button = $('#millrace-action-test').prop('disabled', true)
  show(text(config, 'test.running'))
  try {
    const tested = await act<Tested>(config.type, id, 'test', given)
    if (!tested) show(text(config, 'test.undeployed'))
    else if (tested.ok) show(text(config, 'test.good', { found: tested.found, ms: tested.ms }))
    else show(`${text(config, `fault.${tested.fault}`)}\n${tested.message}`)
  } catch (error) {
    show(text(config, 'test.failed', { reason: (error as Error).message }))
  }
  button.prop('disabled', false)
  scrollToFound()
}

function show(found: string): void {
  $('#millrace-action-found').text(found).prop('hidden', false)
}

/** The dialog may be longer than the screen. */
function scrollToFound(): void {
  $('#millrace-action-found')[0]?.scrollIntoView({ block: 'nearest' })
}

function round(ms: number): number {
  return Number(ms.toPrecision(3))
}

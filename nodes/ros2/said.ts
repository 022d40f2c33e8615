/** What is said of a context's transport. No import of Node.js: the editor bundles this file. */
import type { TransportInUse } from './lib'

type Text = (key: string, params?: Record<string, string>) => string

/** Which one is in use, and why not the other. */
export function saidOf({ name, whyNot }: TransportInUse, text: Text): string[] {
  const using = text('transport.using', { transport: name })
  if (!whyNot) return [using]
  return [using, text('transport.whyNot', { reason: text(`transport.reason.${whyNot.rclnodejs}`) })]
}

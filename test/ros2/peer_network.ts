/**
 * A context behind a config node, in whatever network this process is: hears, or talks ten times a second. Says what happens in
 * lines of JSON.
 */
import { type ContextConfig, contextConfig } from '../../nodes/ros2/context.config'
import { ContextHost } from '../../nodes/ros2/host'
import type { Context, Publisher, Subscription } from '../../nodes/ros2/lib'

const TEXT = 'std_msgs/msg/String'
const say = (event: string, value?: unknown) => console.log(JSON.stringify({ event, value }))
const role = process.argv[2]
const qos = { reliability: 'reliable', depth: 10 } as const

const given: Record<string, unknown> = { domain: '153', discovery: 'subnet', nodeName: role }
const config = Object.fromEntries(
  Object.entries(contextConfig.fields).map(([name, field]) => [name, field.read(given[name])]),
)
let publisher: Publisher | undefined
let subscription: Subscription | undefined
let wasHeard = false

const host = new ContextHost(config as unknown as ContextConfig, (error) => say('reported', error.code))
host.join({
  opened(context: Context) {
    say('opened')
    say('state', 'opened')
    if (role === 'talk') publisher = context.publish('/t', TEXT, qos)
    else
      subscription = context.subscribe(
        '/t',
        TEXT,
        ({ message }) => {
          wasHeard = true
          say('heard', message.data)
        },
        { qos },
      )
  },
  failed: (error) => {
    publisher?.close()
    subscription?.close()
    publisher = undefined
    say('failed', error.code)
    say('state', error.code)
  },
  changed(graph) {
    const others = graph.publishers.filter(({ topic }) => topic === '/t').length
    if (role === 'listen' && others === 0 && wasHeard) say('alone')
  },
})
if (role === 'talk') {
  setInterval(() => {
    try {
      publisher?.send({ data: String(Date.now()) })
    } catch (error) {
      say('refused', String(error))
    }
  }, 100)
}
// The host's own timers keep no process alive.
setInterval(() => {}, 60_000)

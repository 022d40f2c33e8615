// Loaded by the settings of a Node-RED under test: tells the parent process what nodes send, and answers questions.
const { createRequire } = require('node:module')

const ours = /[\\/]@millrace[\\/]node-red[\\/]dist[\\/]/
const timers = new Set()
watchTimers('setTimeout', 'clearTimeout', false)
watchTimers('setInterval', 'clearInterval', true)

const answers = {
  /** Timers that the package has running; those that keep no process alive count, too. */
  timers: () => timers.size,
  /** What keeps the process alive, by kind. */
  resources: () => process.getActiveResourcesInfo().sort(),
  /** Time of the processor so far, of all threads, in ms. */
  cpu: () => (process.cpuUsage().user + process.cpuUsage().system) / 1000,
  /** Whether every object inherits what came as JSON. */
  polluted: () => [{}, [], () => {}].some((one) => one.polluted !== undefined),
  rss: () => process.memoryUsage().rss,
  /** Bytes of JavaScript and of the process after a collection. */
  memory: () => {
    collect()
    const { heapUsed, external, rss } = process.memoryUsage()
    return { script: heapUsed + external, rss }
  },
  /** Who listens to the process and to Node-RED's own events. */
  listeners: () =>
    [process, runtime('@node-red/util').events].flatMap((emitter) =>
      emitter.eventNames().map((name) => `${String(name)} ${emitter.listenerCount(name)}`),
    ),
  /** The admin routes of our nodes: `METHOD path`. */
  routes: () => {
    const { httpAdmin } = runtime('@node-red/runtime')
    const routes = (httpAdmin._router ?? httpAdmin.router).stack.flatMap(({ route }) => (route ? [route] : []))
    const own = routes.filter(({ path }) => /^\/millrace/.test(path))
    return own.flatMap(({ path, methods }) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
  },
}

let runtime
let collector

process.on('message', ({ id, ask }) => {
  if (id) process.send({ id, answer: answers[ask]() })
})

/** Tells of each message that a node of ours sends. */
module.exports = (nodeRed) => {
  runtime = createRequire(`${nodeRed}/red.js`)
  const { events, hooks } = runtime('@node-red/util')
  hooks.add('onSend.probe', (events) => {
    for (const { msg, source } of events) {
      if (source.node.type.startsWith('millrace-')) {
        process.send({ sent: { node: source.id, port: source.port, payload: msg.payload, sync: msg.sync } })
      }
    }
  })
  events.on('node-status', ({ id, status }) => process.send({ status: { node: id, ...status } }))
  hooks.add('onComplete.probe', ({ error, msg, node }) => {
    if (error) process.send({ failed: { node: node.id, code: error.code } })
    // A message that is counted.
    else if (msg?.n !== undefined) process.send({ done: { node: node.id, n: msg.n } })
  })
}

function collect() {
  if (!collector) {
    require('node:v8').setFlagsFromString('--expose-gc')
    collector = require('node:vm').runInNewContext('gc')
  }
  collector()
}

function watchTimers(set, clear, repeats) {
  const [start, stop] = [globalThis[set], globalThis[clear]]
  const watched = (call, ...rest) => {
    if (!ours.test(new Error().stack)) return start(call, ...rest)
    const timer = start(
      (...args) => {
        if (!repeats) timers.delete(timer)
        call(...args)
      },
      ...rest,
    )
    timers.add(timer)
    return timer
  }
  globalThis[set] = Object.assign(watched, start)
  // `util.promisify` finds its own form of a timer by a symbol.
  for (const key of Object.getOwnPropertySymbols(start)) watched[key] = start[key]
  globalThis[clear] = (timer) => {
    timers.delete(timer)
    stop(timer)
  }
}

// Loaded by the settings of a Node-RED under measurement, instead of the tests' probe: looks at what nodes of ours put
// on their wires, where they put it.
const { createRequire } = require('node:module')

let latencies = []
let count = 0
let groups = 0
let bytes = 0
let rss = 0

/** Texts begin with the time of sending, in ns; others carry it in their header. */
function sentNs(payload) {
  if (typeof payload?.data === 'string') return Number(payload.data.slice(0, 20))
  const stamp = payload?.header?.stamp
  return stamp ? stamp.sec * 1e9 + stamp.nanosec : undefined
}

module.exports = (nodeRed) => {
  const { hooks } = createRequire(`${nodeRed}/red.js`)('@node-red/util')
  hooks.remove('onSend.probe')
  hooks.add('onSend.bench', (events) => {
    const nowNs = (performance.timeOrigin + performance.now()) * 1e6
    for (const { msg, source } of events) {
      // What a `millrace-ros2-sync` heard is in its groups, or among what it says has no partner.
      if (source.node.type.endsWith('-sync')) {
        if (source.port === 0) groups += 1
        if (source.node.type === 'millrace-ros2-sync') count += msg.sync.dropped ?? msg.sync.topics.length
      }
      if (source.node.type !== 'millrace-ros2-in') continue
      count += 1
      bytes += msg.payload?.data?.length ?? 0
      const sent = sentNs(msg.payload)
      if (sent !== undefined) latencies.push((nowNs - sent) / 1e6)
    }
  })
  setInterval(() => {
    rss = Math.max(rss, process.memoryUsage().rss)
  }, 50).unref()
  let before = process.cpuUsage()
  process.on('message', ({ bench }) => {
    if (!bench) return
    latencies.sort((a, b) => a - b)
    const at = (part) => latencies[Math.floor(latencies.length * part)]
    const { user, system } = process.cpuUsage(before)
    const cpuSeconds = (user + system) / 1e6
    process.send({ bench: { count, groups, bytes, p50: at(0.5), p99: at(0.99), rssMb: rss / 2 ** 20, cpuSeconds } })
    latencies = []
    count = groups = bytes = rss = 0
    before = process.cpuUsage()
  })
}

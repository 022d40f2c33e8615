// Node-RED with this checkout's nodes and the tour, on this machine only.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { inside } from './lib/files.mjs'
import { linkPackage } from './lib/link.mjs'
import { Failure, main } from './lib/run.mjs'
import { packageCommand } from './lib/tools.mjs'
import { placeTour } from './lib/tour.mjs'
import { setup } from './setup.mjs'

const host = '127.0.0.1'
const port = Number(process.env.PORT || 1880)
const address = `http://${host}:${port}/`

main(async () => {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Failure(`PORT=${process.env.PORT} is not a port.`)
  await checkPort()
  await setup()
  linkPackage()
  placeTour()
  process.exitCode = await runNodeRed()
})

function checkPort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', ({ code }) => {
      const why = code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${code})`
      reject(new Failure(`Port ${port} ${why}. Choose another: PORT=${port === 1881 ? 1882 : 1881} npm start`))
    })
    server.listen(port, host, () => server.close(resolve))
  })
}

function runNodeRed() {
  const files = ['--userDir', inside('.node-red'), '--settings', inside('scripts/lib/settings.cjs')]
  const child = spawn(process.execPath, [...packageCommand('node-red', 'node-red'), ...files], {
    cwd: inside(),
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })

  // One Ctrl-C can arrive twice, from the terminal and from npm, so only a later one means impatience. Node-RED, which
  // the terminal signals too, takes the first as a wish to stop and ignores the rest.
  let stoppedAt
  const stop = () => {
    stoppedAt ??= Date.now()
    child.kill(Date.now() - stoppedAt > 1000 ? 'SIGKILL' : 'SIGTERM')
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)

  const over = new AbortController()
  announce(over.signal)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      over.abort()
      if (stoppedAt && signal !== 'SIGKILL') resolve(0)
      else resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

// The port answers once flows are about to run; the log's own words depend on the person's language.
async function announce(signal) {
  while (!signal.aborted) {
    const answer = await fetch(address, { signal }).catch(() => undefined)
    if (answer?.ok) {
      console.log(`\n  Millrace is running: ${address}\n  Ctrl-C stops it.\n`)
      return
    }
    await delay(100)
  }
}

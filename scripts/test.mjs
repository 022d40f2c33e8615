// Every test: `test.mjs`. The runtime tests on Node-RED 5: `test.mjs nr5`, those of the editor: `test.mjs nr5 editor`.
// Full counts: `test.mjs long`.
import { mochaTests, mochaTestsWithCoverage } from './lib/mocha.mjs'
import { nodeRed5 } from './lib/node-red-5.mjs'
import { rclnodejsEnv, ros2Python } from './lib/ros2.mjs'
import { Failure, main } from './lib/run.mjs'
import { rustTests, rustTestsWithCoverage } from './lib/rust.mjs'
import { kafkaJars, natsServer, redisServer } from './lib/servers.mjs'
import { Suites } from './lib/suites.mjs'
import { chromium, llvmTools, pythonVenv } from './lib/system.mjs'
import { setup } from './setup.mjs'

const everything = ['test/**/*.test.ts']

const modes = {
  async all(suites) {
    const env = { ...(await browserEnv()), ...(await peersEnv()) }
    const llvm = await llvmTools()
    if (llvm) await rustTestsWithCoverage(suites, llvm)
    else {
      await rustTests(suites)
      const reason = 'needs llvm-profdata and llvm-cov of the LLVM version that `rustc -vV` names'
      suites.add({ suite: 'rust coverage', passed: 0, failed: 0, skipped: [reason] })
    }
    await mochaTestsWithCoverage(suites, everything, env)
  },

  async nr5(suites) {
    const part = process.argv[3] ?? 'runtime'
    if (!['runtime', 'editor'].includes(part)) throw new Failure(`On Node-RED 5 run runtime and editor, not ${part}.`)
    const env = { ...(await nodeRed5()), ...(part === 'editor' && (await browserEnv())) }
    await mochaTests(suites, [`test/${part}/**/*.test.ts`], env)
  },

  async long(suites) {
    const env = { ...(await browserEnv()), ...(await peersEnv()), MILLRACE_LONG: '1' }
    await rustTests(suites, { options: ['--release'], env })
    await mochaTests(suites, everything, env)
  },
}

async function browserEnv() {
  const browser = await chromium()
  if (browser) return { CHROMIUM: browser }
  console.log('\nSKIPPED editor suite: no Chromium: install it or set CHROMIUM\n')
  return { MILLRACE_SKIP_EDITOR: '1' }
}

async function peersEnv() {
  const python = await ros2Python()
  const redis = await redisServer()
  const nats = await natsServer()
  const numpy = await pythonVenv('numpy', ['numpy'])
  const kafka = await kafkaJars()
  const sourced = python && (await rclnodejsEnv(python))
  return {
    ...(python && { MILLRACE_ROS2_PYTHON: python }),
    ...(sourced && { MILLRACE_ROS2_SOURCED: JSON.stringify(sourced) }),
    ...(redis && { MILLRACE_REDIS_SERVER: redis }),
    ...(nats && { MILLRACE_NATS_SERVER: nats }),
    ...(kafka && { MILLRACE_KAFKA_JARS: kafka }),
    ...(numpy && { MILLRACE_NUMPY_VENV: numpy }),
  }
}

main(async () => {
  const mode = process.argv[2] ?? 'all'
  if (!Object.hasOwn(modes, mode))
    throw new Failure(`No such run of tests: ${mode}. There are ${Object.keys(modes).join(', ')}.`)
  await setup()
  const suites = new Suites()
  await modes[mode](suites)
  suites.print()
  process.exitCode = suites.failed ? 1 : 0
})

/**
 * A network that goes and comes, and an address that changes: two processes in private network namespaces, over a pair of
 * virtual interfaces. The machine's own interfaces are not touched.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ros2Suite } from './rig'

const ours = `millrace-${process.pid}-a`
const theirs = `millrace-${process.pid}-b`
const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' })
const must = (...args: string[]) => {
  const { status, stderr } = ip(...args)
  assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}`)
}

/** Whether a namespace with an interface can be had here. */
function canHaveNamespaces(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || ip('netns', 'add', ours).status !== 0) return false
  const works = ip('-n', ours, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1').status === 0
  ip('netns', 'del', ours)
  return works
}

/** `peer_network.ts` in a namespace: says in lines what its host does. */
class Inside {
  readonly said: { event: string; value?: unknown }[] = []
  private wake: () => void = () => {}

  constructor(readonly process: ChildProcess) {
    process.on('exit', () => this.wake())
    createInterface({ input: process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.said.push(JSON.parse(line))
      this.wake()
    })
  }

  static start(namespace: string, role: 'talk' | 'listen'): Inside {
    const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env
    const args = [
      'netns',
      'exec',
      namespace,
      process.execPath,
      '--import',
      'tsx',
      join(__dirname, 'peer_network.ts'),
      role,
    ]
    return new Inside(spawn('ip', args, { env, stdio: ['ignore', 'pipe', 'inherit'] }))
  }

  /** Waits for something said from now on, or from a place on. */
  async until(event: string, from = this.said.length): Promise<void> {
    while (!this.said.slice(from).some((one) => one.event === event)) {
      assert.equal(this.process.exitCode, null, 'it ended')
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill('SIGKILL')
    await once(this.process, 'exit')
  }
}

ros2Suite('over a network that changes', function () {
  this.timeout(90_000)
  let listener: Inside
  let talker: Inside

  before(function () {
    if (canHaveNamespaces()) return
    console.log(
      '\nSKIPPED ros2 over a network that changes: no private network namespaces here (needs Linux and root)\n',
    )
    this.skip()
  })

  beforeEach(async () => {
    for (const name of [ours, theirs]) must('netns', 'add', name)
    must('-n', ours, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v0', 'netns', theirs)
    for (const [name, address] of [
      [ours, '10.99.0.1/24'],
      [theirs, '10.99.0.2/24'],
    ] as const) {
      must('-n', name, 'address', 'add', address, 'dev', 'v0')
      must('-n', name, 'link', 'set', 'v0', 'up')
      must('-n', name, 'link', 'set', 'lo', 'up')
    }
    listener = Inside.start(ours, 'listen')
    talker = Inside.start(theirs, 'talk')
    await listener.until('heard', 0)
  })

  afterEach(async () => {
    await Promise.all([listener?.stop(), talker?.stop()])
    for (const name of [ours, theirs]) ip('netns', 'del', name)
  })

  it('goes on when the link is down for longer than a lease and comes back', async () => {
    must('-n', ours, 'link', 'set', 'v0', 'down')
    await listener.until('alone')
    must('-n', ours, 'link', 'set', 'v0', 'up')
    await listener.until('heard')
  })

  it('goes on when its own address changes', async () => {
    must('-n', ours, 'address', 'del', '10.99.0.1/24', 'dev', 'v0')
    must('-n', ours, 'address', 'add', '10.99.0.7/24', 'dev', 'v0')
    await listener.until('opened')
    await listener.until('heard')
  })

  it('hears a peer again whose address changed', async () => {
    must('-n', theirs, 'address', 'del', '10.99.0.2/24', 'dev', 'v0')
    must('-n', theirs, 'address', 'add', '10.99.0.8/24', 'dev', 'v0')
    await talker.until('opened')
    await listener.until('heard')
  })

  it('opens when the first address comes', async () => {
    await listener.stop()
    must('-n', ours, 'link', 'set', 'v0', 'down')
    must('-n', ours, 'address', 'flush', 'dev', 'v0')
    listener = Inside.start(ours, 'listen')
    await listener.until('state', 0)
    must('-n', ours, 'address', 'add', '10.99.0.1/24', 'dev', 'v0')
    must('-n', ours, 'link', 'set', 'v0', 'up')
    await listener.until('heard')
  })
})

/**
 * Python scripts beside the least that could do: a plain pipe to a persistent Python that reads lines of JSON, without
 * supervision, timeouts, bytes or reload. One run, alternating, the same function in both. A Python is needed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { action } from '../nodes'
import { median } from './lib/figures'

const ROUNDS = 7
const SEQUENTIAL = 20_000
const PIPELINED = 60_000
const WINDOW = 1000
const BYTES = 8 << 20
const DATA = { sourceNodeId: 'gas', timestamp: 1_700_000_000_000, concentration_ppm: 812.5 }

const interpreter = process.env.MILLRACE_PYTHON ?? 'python3'
const SCRIPT = `
import os
def on_measurement(data):
    return {"count": 1, "value": data["concentration_ppm"]}
def echo(data):
    return data
def die(data):
    os._exit(1)
`
const PEER = `
import base64, json, sys
${SCRIPT}
for line in sys.stdin.buffer:
    data = json.loads(line)
    if "big" in data:
        answer = {"big": base64.b64encode(base64.b64decode(data["big"])).decode()}
    else:
        answer = on_measurement(data)
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\\n")
    sys.stdout.buffer.flush()
`

type Call = (data: object) => Promise<unknown>

class Peer {
  private readonly child: ChildProcess
  private readonly waiting: ((answer: unknown) => void)[] = []
  private pieces: Buffer[] = []

  constructor() {
    this.child = spawn(interpreter, ['-c', PEER], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdout?.on('data', (data: Buffer) => {
      if (!data.includes(10)) return void this.pieces.push(data)
      const lines = Buffer.concat([...this.pieces, data])
        .toString()
        .split('\n')
      this.pieces = [Buffer.from(lines.pop() ?? '')]
      for (const line of lines) this.waiting.shift()?.(JSON.parse(line))
    })
  }

  readonly call: Call = (data) => {
    this.child.stdin?.write(`${JSON.stringify(data)}\n`)
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  close(): void {
    this.child.kill()
  }
}

async function sequential(call: Call): Promise<number> {
  const start = performance.now()
  for (let index = 0; index < SEQUENTIAL; index += 1) await call(DATA)
  return SEQUENTIAL / ((performance.now() - start) / 1000)
}

async function pipelined(call: Call): Promise<number> {
  const start = performance.now()
  for (let sent = 0; sent < PIPELINED; sent += WINDOW)
    await Promise.all(Array.from({ length: WINDOW }, () => call(DATA)))
  return PIPELINED / ((performance.now() - start) / 1000)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function main(): Promise<void> {
  const python = await action.Python.open({ interpreter, code: SCRIPT })
  const peer = new Peer()
  const ours: Call = (data) => python.call('measurement', data)
  const results: Record<string, number[]> = {}
  const note = (name: string, value: number) => {
    results[name] ??= []
    results[name].push(value)
  }
  const big = Buffer.alloc(BYTES, 7)
  const text = big.toString('base64')
  for (let round = 0; round < ROUNDS; round += 1) {
    note('one by one, calls/s, plain pipe', await sequential(peer.call))
    note('one by one, calls/s, millrace', await sequential(ours))
    note('pipelined, calls/s, plain pipe', await pipelined(peer.call))
    note('pipelined, calls/s, millrace', await pipelined(ours))
    note('8 MB there and back, ms, plain pipe with base64', await timed(() => peer.call({ big: text })))
    note('8 MB there and back, ms, millrace', await timed(() => python.callFunction('echo', { big })))
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    await python.callFunction('die', null).catch(() => {})
    note('the first call after a process ended, ms, millrace', await timed(() => ours(DATA)))
  }
  for (const [name, values] of Object.entries(results)) {
    const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(value < 1000 ? 1 : 0))
    const middle = median(values)
    console.log(`${name}: ${middle.toFixed(middle < 1000 ? 1 : 0)} (${low} to ${high})`)
  }
  peer.close()
  await python.close()
}

void main()

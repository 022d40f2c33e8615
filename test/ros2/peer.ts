/** Other people's software: Python programs over ROS 2 Jazzy and Eclipse Cyclone DDS. Loopback only. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const python = process.env.MILLRACE_ROS2_PYTHON
const CYCLONE =
  '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface address="127.0.0.1"/></Interfaces>' +
  '<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>' +
  '<Peers><Peer address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>'

/** A program of others, told what to do by lines of JSON. */
export class Peer {
  private readonly lines: AsyncIterator<string>

  constructor(private readonly child: ChildProcess) {
    this.lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  }

  static async start(script: string, domain: number): Promise<Peer> {
    const env = {
      ...process.env,
      ROS_DOMAIN_ID: String(domain),
      CYCLONEDDS_URI: CYCLONE.replace('any', String(domain)),
      ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST',
      RMW_IMPLEMENTATION: 'rmw_fastrtps_cpp',
    }
    const child = spawn(python as string, [join(__dirname, script)], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    const peer = new Peer(child)
    assert.deepEqual(await peer.answer(), { ready: true })
    return peer
  }

  ask(command: object): Promise<Record<string, unknown>> {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`)
    return this.answer()
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGKILL')
    await once(this.child, 'exit')
  }

  private async answer(): Promise<Record<string, unknown>> {
    const { value, done } = await this.lines.next()
    if (done) throw new Error('the peer ended')
    return JSON.parse(value)
  }
}

/** A suite that needs them; without them it is skipped by name. */
export function peersSuite(title: string, body: () => void): void {
  if (python) {
    describe(title, function () {
      this.timeout(60_000)
      body()
    })
    return
  }
  console.log(`SKIPPED ${title}: MILLRACE_ROS2_PYTHON names no Python that has ROS 2 and Cyclone DDS`)
  describe.skip(title, body)
}

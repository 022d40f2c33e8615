/** A real Apache Kafka broker in KRaft mode, on loopback, in a folder of its own. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { freePort } from '../shared/port'

const cached = join(__dirname, '../../.cache/kafka')
const jars = process.env.MILLRACE_KAFKA_JARS ?? (existsSync(join(cached, 'pom.xml')) ? cached : undefined)
const java = spawnSync('java', ['-version']).status === 0

/** Why the tests with a broker do not run; undefined where they do. */
export const missing = !java
  ? 'no Java: install one'
  : !jars
    ? 'no jars of Apache Kafka: `npm test` gets them with Maven, or name their folder by MILLRACE_KAFKA_JARS'
    : undefined

// A broker for a test needs no more than the first stage of the compiler.
const JAVA = ['-Xmx384m', '-Xms64m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', `${jars}/*`]

export class KafkaBroker {
  private readonly folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  private process: ChildProcess | undefined
  private ended: Promise<unknown> = Promise.resolve()

  private constructor(
    /** By the names of the listeners, in lower case. */
    readonly ports: { [listener: string]: number },
    private readonly lines: readonly string[],
  ) {}

  /** `listeners`: names and protocols, beside PLAIN, which has neither TLS nor a login. `users`: for SCRAM. */
  static async start(
    listeners: { [name: string]: string } = {},
    lines: readonly string[] = [],
    users: readonly string[] = [],
  ): Promise<KafkaBroker> {
    const protocols: { [name: string]: string } = { PLAIN: 'PLAINTEXT', CONTROL: 'PLAINTEXT', ...listeners }
    const ports: { [name: string]: number } = {}
    for (const name of Object.keys(protocols)) {
      let port = await freePort()
      // One that was free may be free again.
      while (Object.values(ports).includes(port)) port = await freePort()
      ports[name.toLowerCase()] = port
    }
    const at = (name: string) => `${name}://127.0.0.1:${ports[name.toLowerCase()]}`
    const names = Object.keys(protocols)
    const broker = new KafkaBroker(ports, [
      'process.roles=broker,controller',
      'node.id=1',
      `controller.quorum.voters=1@127.0.0.1:${ports.control}`,
      'controller.listener.names=CONTROL',
      'inter.broker.listener.name=PLAIN',
      `listeners=${names.map(at).join()}`,
      `advertised.listeners=${names
        .filter((name) => name !== 'CONTROL')
        .map(at)
        .join()}`,
      `listener.security.protocol.map=${names.map((name) => `${name}:${protocols[name]}`).join()}`,
      'offsets.topic.replication.factor=1',
      'transaction.state.log.replication.factor=1',
      'transaction.state.log.min.isr=1',
      'auto.create.topics.enable=false',
      'group.initial.rebalance.delay.ms=0',
      // One that was killed is known to be gone.
      'broker.session.timeout.ms=3000',
      'broker.heartbeat.interval.ms=200',
      ...lines,
    ])
    broker.format(users)
    await broker.run()
    return broker
  }

  get config(): string {
    return join(this.folder, 'server.properties')
  }

  /** Starts it, again too; its data is as it was. Resolves when it answers. */
  async run(): Promise<void> {
    const child = spawn('java', [...JAVA, 'kafka.Kafka', this.config], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.process = child
    let log = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (log = (log + text).slice(-10_000)))
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    this.ended = once(child, 'exit').then(() => process.off('exit', end))
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the broker ended:\n${log}`)
      const admin = this.admin()
      // It has no log that would tell.
      const answers = await admin.metadata({ topics: [] }).then(
        ({ brokers }) => brokers.size > 0,
        () => false,
      )
      await admin.close()
      if (answers) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** Makes topics of four partitions; resolves when they can be written to. */
  async make(topics: string[], configs: { name: string; value: string }[] = []): Promise<void> {
    const admin = this.admin()
    await admin.createTopics({ topics, partitions: 4, replicas: 1, configs })
    const isThere = () =>
      admin.metadata({ topics: [...topics], forceUpdate: true }).then(
        () => true,
        () => false,
      )
    while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 20))
    await admin.close()
  }

  private admin(): Admin {
    const bootstrapBrokers = [{ host: '127.0.0.1', port: this.ports.plain as number }]
    const admin = new Admin({ clientId: 'test', bootstrapBrokers, retries: 0 })
    admin.on('error', () => {})
    return admin
  }

  /** Ends it by its process id: at once, as a crash does. */
  async stop(): Promise<void> {
    this.process?.kill('SIGKILL')
    await this.ended
  }

  /** It answers nobody, though its connections stand. */
  freeze(): void {
    this.process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.process?.kill('SIGCONT')
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private format(users: readonly string[]): void {
    const lines = [...this.lines, `log.dirs=${join(this.folder, 'data')}`]
    writeFileSync(this.config, lines.join('\n'))
    const scram = users.flatMap((user) => ['--add-scram', user])
    const id = ['-t', '4L6g3nShT-eMCtK--X86sw']
    execFileSync('java', [...JAVA, 'kafka.tools.StorageTool', 'format', ...id, '-c', this.config, ...scram], {
      stdio: 'pipe',
    })
  }
}

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { standIn } from '../zerobus/stand-in'
import { type Json, Runtime, readJson, root } from './harness'

const tour = readJson(join(root, 'examples/tour.json')) as unknown as Json[]
/** So long each is measured, after it has settled. */
const settleMs = 5000
const measureMs = process.env.MILLRACE_LONG ? 120_000 : 10_000
/** More than a Node-RED without a flow. */
const mostCores = 0.15
const ticksPerSecond = 100
const MB = 1 << 20

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** CPU seconds and resident bytes of a process, as Linux has them. */
function usage(pid: number): { cpu: number; rss: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { cpu: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond, rss: Number(rss) * 1024 }
}

/** The share of a core and the bytes that a Node-RED with these flows takes. */
async function measure(flows: Json[]): Promise<{ cores: number; rss: number; complaints: string[] }> {
  const runtime = await Runtime.boot({ flows })
  try {
    const pid = runtime.process.pid as number
    await pause(settleMs)
    let cores = Number.POSITIVE_INFINITY
    // Others on the machine make a time seem busier, never idler.
    for (let time = 0; time < 3 && cores > mostCores; time += 1) {
      const begin = { ...usage(pid), at: performance.now() }
      await pause(measureMs)
      cores = Math.min(cores, (usage(pid).cpu - begin.cpu) / ((performance.now() - begin.at) / 1000))
    }
    return { cores, rss: usage(pid).rss, complaints: runtime.complaints() }
  } finally {
    await runtime.remove()
  }
}

/** So often three more files of rows are waited for. */
const turns = process.env.MILLRACE_LONG ? 100 : 8
/** The journals of two stores, 64 MB each from the start, and what the limits of the test let stay. */
const diskMb = 2 * 64 + 8

/** All files below a folder; those that went meanwhile are none. */
function filesOf(folder: string): { file: string; size: number }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false })
    return stat?.isFile() ? [{ file: name, size: stat.size }] : []
  })
}

describe('the tour', () => {
  const types = new Set(tour.map(({ type }) => String(type).split('-')[1]))
  const labels = new Map(tour.map(({ id, name, type }) => [String(id), `${type} ${name}`]))

  it('goes through the families that need nothing else', () => {
    for (const word of ['sync', 'action', 'tasks', 'memory', 'arrow']) assert.ok(types.has(word), word)
  })

  it('has its nodes in groups, each with a comment, and no node on another or against it', () => {
    const placed = tour.filter(({ x, type }) => x !== undefined && type !== 'group')
    const groups = tour.filter(({ type }) => type === 'group')
    for (const { id, g } of placed)
      assert.ok(
        groups.some((group) => group.id === g),
        labels.get(String(id)),
      )
    for (const group of groups) {
      assert.equal(placed.filter(({ g, type }) => g === group.id && type === 'comment').length, 1, String(group.name))
    }
    // A node is 30 high.
    const close = placed.flatMap((one, place) =>
      placed
        .slice(place + 1)
        .filter(({ x, y }) => Math.abs(Number(x) - Number(one.x)) < 60 && Math.abs(Number(y) - Number(one.y)) < 40)
        .map((other) => `${one.name} and ${other.name}`),
    )
    assert.deepEqual(close, [])
  })

  it('shows life at every node of ours', async function test() {
    this.timeout(120_000)
    const runtime = await Runtime.boot({ flows: tour })
    try {
      const ours = tour.filter(({ type, wires, d }) => String(type).startsWith('millrace-') && wires && !d)
      const alive = (id: unknown) => runtime.statuses.some(({ node, fill }) => node === id && fill === 'green')
      await runtime.until('every node of ours is green', () => ours.every(({ id }) => alive(id)))
      // An alert is red on purpose.
      const red = runtime.statuses.filter(({ fill, shape }) => fill === 'red' && shape === 'ring')
      assert.deepEqual([...red, ...runtime.failed, ...runtime.complaints()], [])
    } finally {
      await runtime.remove()
    }
  })

  it('moves by itself, soon after its deploy', async function test() {
    this.timeout(120_000)
    const runtime = await Runtime.boot({ flows: tour })
    try {
      const begun = performance.now()
      const groups = String(tour.find(({ type }) => type === 'millrace-sync')?.id)
      const first = () => runtime.sent.filter(({ node }) => node === groups).findIndex(({ port }) => port === 0)
      await runtime.until('a group leaves', () => first() >= 0)
      // On a busy machine the sensors are late, too: 40 frames without a scan are two seconds of theirs.
      assert.ok(first() < 40, `after ${first()} frames without a group`)
      console.log(`      its first group leaves ${Math.round(performance.now() - begun)} ms after its start`)
    } finally {
      await runtime.remove()
    }
  })

  it('takes no more and more of the disk', async function test() {
    this.timeout(120_000)
    const small: { [type: string]: object } = {
      'millrace-arrow-file': { maxAgeS: 0.5, keep: 3 },
      'millrace-memory-store': { keepHours: 0.0003 },
      'millrace-tasks-broker': { resultTtl: 1 },
    }
    const runtime = await Runtime.boot({ flows: tour.map((node) => ({ ...node, ...small[String(node.type)] })) })
    try {
      const writer = tour.find(({ type, action }) => type === 'millrace-arrow-file' && action !== 'read')
      const folders = ['arrow', 'millrace'].map((folder) => join(runtime.userDir, folder))
      const files = () => folders.flatMap((folder) => filesOf(folder))
      const bytes: number[] = []
      for (let turn = 0; turn < turns; turn += 1) {
        await runtime.untilSent(String(writer?.id), 0, 3)
        bytes.push(files().reduce((sum, { size }) => sum + size, 0) / MB)
      }
      const rows = files().filter(({ file }) => file.endsWith('.arrow'))
      console.log(`      ${rows.length} files of rows; MB in all: ${bytes.map((mb) => mb.toFixed(1)).join(' ')}`)
      // One may have been begun before the oldest went.
      assert.ok(rows.length > 0 && rows.length <= 4, rows.map(({ file }) => file).join())
      assert.ok(Math.max(...bytes) < diskMb, `${Math.max(...bytes)} MB`)
      assert.deepEqual(runtime.complaints(), [])
    } finally {
      await runtime.remove()
    }
  })

  it('goes on to Zerobus where the stand-in runs, and its node is enabled', async function test() {
    this.timeout(60_000)
    const { id } = tour.find(({ type }) => type === 'millrace-arrow-zerobus') ?? assert.fail()
    const zerobus = await standIn()
    const runtime = await Runtime.boot()
    try {
      // Credentials come with a deploy, and from no file of flows.
      await runtime.deploy(tour.map((node) => (node.id === id ? { ...node, d: false } : node)))
      const isGreen = () => runtime.statuses.some(({ node, fill }) => node === id && fill === 'green')
      await runtime.until('its rows have arrived', isGreen)
      assert.deepEqual([...runtime.failed, ...runtime.complaints()], [])
    } finally {
      await runtime.remove()
      await zerobus?.stop()
    }
  })

  it('takes little more than a plain Node-RED', async function test() {
    if (process.platform !== 'linux') this.skip()
    this.timeout(2 * (settleMs + 3 * measureMs) + 120_000)
    const plain = await measure([])
    const full = await measure(tour)
    const cores = full.cores - plain.cores
    const mb = (full.rss - plain.rss) / MB
    console.log(
      `      ${(cores * 100).toFixed(1)} % of a core and ${mb.toFixed(0)} MB more than a plain Node-RED of ${(plain.rss / MB).toFixed(0)} MB`,
    )
    assert.deepEqual(full.complaints, [])
    assert.ok(mb < 150, `${mb} MB`)
    assert.ok(cores < mostCores, `${cores} cores`)
  })
})

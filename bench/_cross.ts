import { VectorIndex } from '/work/w-ri/nodes/memory/lib/vectors'
import { randomFill } from 'node:crypto'
import { stat } from 'node:fs'
const main = async () => {
  const index = await VectorIndex.open({ dimensions: 4 })
  await index.put(Uint32Array.from([1]), Float32Array.from([1,0,0,0]), 1)
  const q = Float32Array.from([1,0,0,0])
  const b = Buffer.alloc(8)
  const uv = () => new Promise((r) => randomFill(b, r as never))
  const st = () => new Promise((r) => stat('/', r as never))
  const h = (index as any).handle
  for (let round = 0; round < 4; round++) {
    for (const [n, f] of [['search', () => index.search(q)], ['handle', () => h.search(q, 10, undefined, undefined)], ['settle', () => index.settle()], ['randomFill', uv], ['stat', st]] as const) {
      const N = 5000; const t = process.hrtime.bigint(); const c = process.cpuUsage()
      for (let i = 0; i < N; i++) await f()
      const us = Number(process.hrtime.bigint() - t) / 1e3 / N; const d = process.cpuUsage(c)
      console.log(n.padEnd(12), us.toFixed(1), 'us', 'cpu', ((d.user + d.system) / N).toFixed(1))
    }
  }
  await index.close()
}
main()

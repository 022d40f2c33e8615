import assert from 'node:assert/strict'
import { auth, token } from './admin'
import { busyFlow, Runtime } from './harness'

describe('the admin route of a node', () => {
  let runtime: Runtime
  before(async () => {
    runtime = await Runtime.boot({ settings: auth(), flows: busyFlow() })
    await runtime.untilSent('sync', 0)
  })
  after(() => runtime.remove())

  const cases: [user: string | null, status: number][] = [
    ['admin', 200],
    ['reader', 200],
    ['narrow', 200],
    ['nobody', 401],
    [null, 401],
  ]
  for (const [user, status] of cases) {
    it(`answers ${user ?? 'a stranger'} with ${status}`, async () => {
      const headers = user ? { authorization: `Bearer ${await token(runtime, user)}` } : {}
      const response = await runtime.get('/millrace-sync/sync/topics', headers)
      assert.equal(response.status, status)
      if (status === 200) assert.deepEqual(await response.json(), ['a', 'b'])
    })
  }

  const acting: [user: string | null, status: number][] = [
    ['admin', 200],
    ['actor', 200],
    ['reader', 401],
    ['narrow', 401],
    [null, 401],
  ]
  for (const [user, status] of acting) {
    it(`acts for ${user ?? 'a stranger'} with ${status}`, async () => {
      const headers: Record<string, string> = user ? { authorization: `Bearer ${await token(runtime, user)}` } : {}
      const url = `${runtime.base}/millrace-action-http/unknown/test`
      assert.equal((await fetch(url, { method: 'POST', headers })).status, status)
    })
  }

  it('answers for a node that is not deployed: null', async () => {
    const headers = { authorization: `Bearer ${await token(runtime, 'admin')}` }
    for (const id of ['unknown', '__proto__', 'tick']) {
      const response = await runtime.get(`/millrace-sync/${id}/topics`, headers)
      assert.deepEqual([response.status, await response.json()], [200, null])
    }
  })
})

describe('Node-RED without its editor', () => {
  for (const settings of ['disableEditor: true,', 'httpAdminRoot: false,']) {
    it(`runs the nodes with ${settings}`, async () => {
      const runtime = await Runtime.boot({ settings, flows: busyFlow() })
      try {
        await runtime.untilSent('sync', 0, 3)
        assert.deepEqual(runtime.complaints(), [])
      } finally {
        await runtime.remove()
      }
    })
  }
})

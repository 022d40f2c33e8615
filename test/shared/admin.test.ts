import assert from 'node:assert/strict'
import type { NodeAPI } from 'node-red'
import { lookup } from '../../nodes/shared/admin'
import { EngineError } from '../../nodes/shared/errors'

describe('lookup', () => {
  /** What a route answers, and the permission that it asks for. */
  async function ask(answer: (id: string) => unknown) {
    const told: { path?: string; permission?: string; status: number; json?: unknown } = { status: 200 }
    let handled: Promise<void> | undefined
    const response = {
      status(code: number) {
        told.status = code
        return response
      },
      json: (value: unknown) => {
        told.json = value
      },
    }
    const RED = {
      auth: {
        needsPermission: (permission: string) => {
          told.permission = permission
          return 'guard'
        },
      },
      httpAdmin: {
        get(path: string, guard: string, handle: (request: object, response: object) => Promise<void>) {
          assert.equal(guard, 'guard')
          told.path = path
          handled = handle({ params: { id: 'n1' } }, response)
        },
      },
    }
    lookup(RED as unknown as NodeAPI, 'millrace-x', 'things', answer)
    await handled
    return told
  }

  it('answers with JSON, to who may read', async () => {
    assert.deepEqual(await ask(async (id) => [id]), {
      path: '/millrace-x/:id/things',
      permission: 'millrace-x.read',
      status: 200,
      json: ['n1'],
    })
  })

  it('knows nothing of a node that is not there', async () => {
    assert.equal((await ask(() => undefined)).json, null)
  })

  it('answers a failure with its code', async () => {
    const { status, json } = await ask(() => {
      throw new EngineError('CLOSED', 'the queue is closed')
    })
    assert.deepEqual({ status, json }, { status: 500, json: { code: 'CLOSED', message: 'the queue is closed' } })
  })
})

import assert from 'node:assert/strict'
import type { NodeAPI } from 'node-red'
import { action, lookup } from '../../nodes/shared/admin'
import { EngineError } from '../../nodes/shared/errors'

describe('lookup', () => {
  /** What a route answers, and the permission that it asks for. */
  async function ask(answer: (id: string, query: object) => unknown, make = lookup) {
    const told: { method?: string; path?: string; permission?: string; status: number; json?: unknown } = {
      status: 200,
    }
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
    type Handle = (request: object, response: object) => Promise<void>
    const route = (method: string) => (path: string, guard: string, handle: Handle) => {
      assert.equal(guard, 'guard')
      Object.assign(told, { method, path })
      handled = handle({ params: { id: 'n1' }, query: { limit: '5' } }, response)
    }
    const RED = {
      auth: {
        needsPermission: (permission: string) => {
          told.permission = permission
          return 'guard'
        },
      },
      httpAdmin: { get: route('get'), post: route('post') },
    }
    make(RED as unknown as NodeAPI, 'millrace-x', 'things', answer)
    await handled
    return told
  }

  it('answers with JSON, to who may read', async () => {
    assert.deepEqual(await ask(async (id, query) => [id, query]), {
      method: 'get',
      path: '/millrace-x/:id/things',
      permission: 'millrace-x.read',
      status: 200,
      json: ['n1', { limit: '5' }],
    })
  })

  it('has what acts done, for who may write', async () => {
    const { method, path, permission, json } = await ask(() => 'done', action)
    assert.deepEqual([method, path, permission, json], ['post', '/millrace-x/:id/things', 'millrace-x.write', 'done'])
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

import assert from 'node:assert/strict'
import { tasks } from '../../nodes'
import { behaviour } from './behaviour'
import { Folder } from './folder'
import { randomSchedules } from './random'

describe('the tasks library', () => {
  describe('embedded', () => {
    behaviour(() => new Folder())
    randomSchedules(() => new Folder(), process.env.MILLRACE_LONG ? 500 : 20)
  })

  it('refuses a queue without a path', async () => {
    await assert.rejects(tasks.connect({ path: '' }), { code: 'INVALID_OPTION' })
  })

  it('refuses a store that is open', async () => {
    const folder = new Folder()
    try {
      await folder.connect()
      await assert.rejects(folder.connect(), { code: 'STORE_LOCKED' })
    } finally {
      await folder.remove()
    }
  })
})

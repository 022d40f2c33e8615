import assert from 'node:assert/strict'
import { ingestOf, type Json, Rig, retrieveOf, type Seen, storeOf } from './rig'

const manual = '# Pump\n\nClose the valve.\n\n## Oil\n\nThe pump takes oil of grade 46.'

describe('millrace-memory-ingest', () => {
  afterEach(() => Rig.stop())

  const start = (config: Json = {}) =>
    Rig.start(
      storeOf(),
      ingestOf(config),
      ingestOf({ id: 'remove', operation: 'remove' }),
      ingestOf({ id: 'sources', operation: 'sources', wires: [['found']] }),
      retrieveOf(),
    )

  async function ingest(rig: Rig, message: Json, to = 'ingest'): Promise<Seen> {
    const before = rig.seen.written.length
    rig.send(to, message)
    return (await rig.until('written', before + 1))[before]
  }

  it('keeps a document, and tells what became of it', async () => {
    const rig = await start()
    const first = await ingest(rig, { topic: 'pump.md', payload: manual, metadata: { site: 'A' } })
    const told = { namespace: 'documents', source: 'pump.md', chunks: 2, added: 2, kept: 0, removed: 0 }
    assert.deepEqual([first.memory, first.payload], [told, manual])
    const again = await ingest(rig, { topic: 'pump.md', payload: manual.replace('46', '68'), metadata: { site: 'A' } })
    assert.deepEqual(again.memory, { ...told, added: 1, kept: 1, removed: 1 })
    const { payload } = await rig.answer({ payload: 'which oil?' }, 'retrieve')
    assert.deepEqual([payload[0].citation, payload[0].metadata], ['pump.md, Pump > Oil, line 7', { site: 'A' }])
    await rig.find('status', ({ id, text }) => id === 'ingest' && text === 'status.done')
  })

  it('lists documents, and removes them', async () => {
    const rig = await start()
    await ingest(rig, { topic: 'pump.md', payload: manual, title: 'The pump' })
    const [listed] = (await rig.answer({}, 'sources')).payload
    const { source, title, format, chunks } = listed
    assert.deepEqual([source, title, format, chunks], ['pump.md', 'The pump', 'markdown', 2])
    const removed = async () => (await ingest(rig, { topic: 'pump.md' }, 'remove')).memory.removed
    assert.deepEqual([await removed(), await removed()], [true, false])
    assert.deepEqual((await rig.answer({}, 'sources')).payload, [])
  })

  it('takes all from where it is told, and the bytes of a file', async () => {
    const config = {
      namespace: 'site',
      namespaceType: 'msg',
      source: 'filename',
      text: 'page',
      format: 'html',
      size: 16,
    }
    const rig = await start({ ...config, overlap: 4 })
    const page = Buffer.from(`<p>${'One two three. '.repeat(20)}`)
    const { memory } = await ingest(rig, { site: 'web', filename: '/tmp/page', page })
    assert.deepEqual([memory.namespace, memory.source, memory.chunks > 4], ['web', '/tmp/page', true])
  })

  const wrong: [message: Json, why: string][] = [
    [{ topic: '', payload: 'x' }, 'no name'],
    [{ topic: 'a', payload: { a: 1 } }, 'no text'],
    [{ topic: 'a', payload: Buffer.from('%PDF-1.7 ...') }, 'a PDF'],
    [{ topic: 'a', payload: 'x', metadata: [1] }, 'metadata that is no object'],
  ]
  for (const [message, why] of wrong) {
    it(`refuses ${why}`, async () => {
      const rig = await start()
      rig.send('ingest', message)
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_INPUT')
    })
  }

  for (const config of [{ size: 64, overlap: 33 }, { embedder: 'gone' }]) {
    it(`cannot be with ${JSON.stringify(config)}`, async () => {
      const rig = await start(config)
      rig.send('ingest', { topic: 'a', payload: 'x' })
      assert.equal((await rig.until('caught'))[0].error.code, 'INVALID_OPTION')
    })
  }
})

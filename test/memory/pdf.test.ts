import assert from 'node:assert/strict'
import Module from 'node:module'
import { Database, type Document, Rag } from '../../nodes/memory/lib'
import { pdfText } from '../../nodes/memory/lib/pdf'
import { pdf } from './pdf'
import { ingestOf, Rig, retrieveOf, storeOf } from './rig'

const pages = [
  ['Manual of a pump', 'Before work, close the valve.'],
  [],
  ['The pump takes oil (grade 46).', 'Change it every 500 hours,', 'and look after the bearing then.'],
]
const manual = pdf(pages, 'Pump two')

const failsWith = (code: string, said: RegExp) => (error: { code: string; message: string }) => {
  assert.equal(error.code, code, error.message)
  assert.match(error.message, said)
  return true
}

describe('memory: PDF', () => {
  it('has its text page by page, and its title', async () => {
    assert.deepEqual(await pdfText(manual), { title: 'Pump two', pages: pages.map((lines) => lines.join('\n')) })
    assert.equal((await pdfText(pdf([['a']]))).title, null)
  })

  it('is kept in chunks that tell their page', async () => {
    await using db = await Database.open()
    const rag = new Rag(db)
    const document: Document = { source: 'pump', text: manual, metadata: { site: 'A' } }
    assert.deepEqual(await rag.ingest(document), { source: 'pump', chunks: 2, added: 2, kept: 0, removed: 0 })
    const [found] = await rag.retrieve('which oil does the pump take?')
    assert.ok(found)
    const { page, line, citation, title, metadata, start, end, text } = found
    assert.deepEqual([page, line, citation, title, metadata], [3, 1, 'pump, page 3, line 1', 'Pump two', { site: 'A' }])
    const whole = pages.map((lines) => lines.join('\n')).join('\n')
    assert.equal(whole.slice(start, end), text)
    assert.equal((await rag.sources())[0]?.format, 'pdf')
    assert.match((await rag.prompt('which oil?')).text, /pump, page 3/)
    assert.equal((await rag.ingest({ ...document, title: 'Other' })).kept, 2)
  })

  it('of which a page is changed, and another comes in between, the rest keeps its vectors', async () => {
    await using db = await Database.open()
    const rag = new Rag(db)
    await rag.ingest({ source: 'pump.pdf', text: manual })
    const [first, , last] = pages as [string[], string[], string[]]
    const changed = pdf([first, ['Nothing of this was here.'], [], last], 'Pump two')
    const { added, kept, removed } = await rag.ingest({ source: 'pump.pdf', text: changed })
    assert.deepEqual([added, kept, removed], [1, 2, 0])
    assert.equal((await rag.retrieve('oil'))[0]?.citation, 'pump.pdf, page 4, line 1')
  })

  it('is one by its bytes alone; text is none, whatever its name', async () => {
    await using db = await Database.open()
    const rag = new Rag(db)
    await rag.ingest({ source: 'a.pdf', text: 'the text of it' })
    await rag.ingest({ source: 'b.md', text: Buffer.from('# Bytes\n\nof Markdown') })
    assert.deepEqual(
      (await rag.sources()).map(({ source, format }) => [source, format]),
      [
        ['a.pdf', 'text'],
        ['b.md', 'markdown'],
      ],
    )
    const refuses = (document: Document, said: RegExp) =>
      assert.rejects(rag.ingest(document), failsWith('INVALID_INPUT', said))
    await refuses({ source: 'c', text: manual, format: 'markdown' }, /no markdown/)
    await refuses({ source: 'c', text: 'text', format: 'pdf' }, /bytes of its file/)
    await refuses({ source: 'c', text: Buffer.from('<p>'), format: 'pdf' }, /bytes of its file/)
  })

  it('that cannot be read is told, and ends nothing', async () => {
    await assert.rejects(pdfText(Buffer.from('%PDF-1.7 and no more')), failsWith('INVALID_INPUT', /cannot be read/))
    await assert.rejects(pdfText(manual.subarray(0, 400)), failsWith('INVALID_INPUT', /PDF/))
    await assert.rejects(pdfText(pdf([[], []])), failsWith('INVALID_INPUT', /no text/))
    await assert.rejects(pdfText(pdf(pages, 'Pump two', true)), failsWith('UNAUTHORIZED', /password/))
    await assert.rejects(pdfText(manual, 1), failsWith('TIMEOUT', /1 ms/))
  })

  it('without the package says what to install', async () => {
    const loader = Module as unknown as { _resolveFilename(name: string, ...more: unknown[]): string }
    const resolve = loader._resolveFilename
    loader._resolveFilename = (name, ...more) => {
      if (name === 'unpdf') throw new Error(`Cannot find module '${name}'`)
      return resolve.call(loader, name, ...more)
    }
    try {
      await assert.rejects(pdfText(manual), failsWith('PACKAGE_MISSING', /npm install unpdf/))
    } finally {
      loader._resolveFilename = resolve
    }
  })

  it('goes through the nodes as a file is read', async () => {
    const rig = await Rig.start(storeOf(), ingestOf(), retrieveOf({ topK: 1 }))
    rig.send('ingest', { topic: 'pump.pdf', payload: manual })
    assert.equal((await rig.until('written'))[0].memory.chunks, 2)
    const [{ citation, page }] = (await rig.answer({ payload: 'which oil?' }, 'retrieve')).payload
    assert.deepEqual([citation, page], ['pump.pdf, page 3, line 1', 3])
    await Rig.stop()
  })
})

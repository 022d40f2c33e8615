import assert from 'node:assert/strict'
import { EmbeddingServer } from '../memory/embedding-server'
import { flowOf, text } from './flows'
import { editorSuite } from './suite'

declare const RED: { editor: { editConfig(name: string, type: string, id: string): void } }

const rows = ['namespace', 'key', 'time', 'to', 'query', 'limit', 'folder', 'missing']

editorSuite('memory', {}, (editor) => {
  const page = () => editor().page
  const visible = async (names: string[]) => {
    const shown = await Promise.all(names.map((name) => page().locator(`.millrace-memory-${name}`).isVisible()))
    return names.filter((_, place) => shown[place])
  }

  let server: EmbeddingServer
  before(async () => {
    server = await EmbeddingServer.start()
    server.key = 'sk-1'
    await editor().load([
      { id: 'store', type: 'millrace-memory-store', path: 'editor' },
      { id: 'embedder', type: 'millrace-memory-embedder', url: server.url, model: 'test-model' },
      ...flowOf({
        fill: {
          type: 'inject',
          once: true,
          onceDelay: 0,
          props: [{ p: 'payload' }],
          payload: '{"pump-1":1,"pump-2":2,"valve":3}',
          payloadType: 'json',
          wires: [['write']],
        },
        write: { type: 'millrace-memory-write', store: 'store', operation: 'batch', namespace: 'devices' },
        read: { type: 'millrace-memory-read', store: 'store', namespace: 'devices', key: '', keyType: 'str' },
        differs: { type: 'millrace-memory-read', store: 'store', operation: 'diff' },
        search: { type: 'millrace-memory-search', store: 'store', namespace: 'devices' },
        remember: { type: 'millrace-memory-remember', store: 'store' },
        recall: { type: 'millrace-memory-recall', store: 'store' },
        ingest: { type: 'millrace-memory-ingest', store: 'store', embedder: 'embedder' },
        retrieve: { type: 'millrace-memory-retrieve', store: 'store' },
        watch: { type: 'millrace-memory-watch', store: 'store', namespace: 'devices' },
      }),
    ])
  })
  after(() => server.stop())

  it('the test of a store lists its namespaces', async () => {
    await page().evaluate(() => RED.editor.editConfig('', 'millrace-memory-store', 'store'))
    const found = page().locator('#millrace-memory-found')
    // The first write may still be on its way.
    do {
      await page().locator('#millrace-memory-test').click()
      await page().locator('#millrace-memory-test:enabled').waitFor()
    } while (!/\n {2}devices: 3/.test((await found.textContent()) ?? ''))
    await page().locator('#node-config-dialog-cancel').click()
    await found.waitFor({ state: 'detached' })
  })

  const operations: [operation: string, shown: string[]][] = [
    ['get', ['namespace', 'key', 'missing']],
    ['at', ['namespace', 'key', 'time', 'missing']],
    ['history', ['namespace', 'key', 'limit', 'missing']],
    ['diff', ['namespace', 'key', 'time', 'to', 'missing']],
    ['list', ['namespace', 'key', 'limit']],
    ['query', ['namespace', 'query']],
    ['backup', ['folder']],
  ]
  it('a read asks for what its operation needs', async () => {
    await editor().edit('read')
    for (const [operation, shown] of operations) {
      await page().locator('#node-input-operation').selectOption(operation)
      assert.deepEqual(await visible(rows), shown, operation)
    }
    const read: [string, string] = ['memory', 'read']
    const said = (row: string) => page().locator(`.millrace-memory-${row} label span`).textContent()
    await page().locator('#node-input-operation').selectOption('list')
    assert.equal(await said('key'), text('label.prefix', {}, 'en-US', read))
    await page().locator('#node-input-operation').selectOption('diff')
    assert.deepEqual(
      [await said('key'), await said('time')],
      [text('label.key', {}, 'en-US', read), text('label.from', {}, 'en-US', read)],
    )
    await editor().cancel()
  })

  it('a saved operation has its own labels from the start', async () => {
    await editor().edit('differs')
    const said = await page().locator('.millrace-memory-time label span').textContent()
    assert.equal(said, text('label.from', {}, 'en-US', ['memory', 'read']))
    await editor().cancel()
  })

  it('a write asks for what its operation needs', async () => {
    await editor().edit('write')
    const writes: [operation: string, shown: string[]][] = [
      ['put', ['namespace', 'key', 'value', 'ttl', 'missing']],
      ['batch', ['namespace', 'value', 'ttl', 'missing']],
      ['delete', ['namespace', 'key', 'missing']],
      ['restore', ['namespace', 'key', 'time', 'missing']],
      ['embed', ['namespace', 'key', 'value', 'embeds', 'ttl']],
      ['retain', ['namespace', 'value']],
      ['index', ['namespace', 'value']],
    ]
    for (const [operation, shown] of writes) {
      await page().locator('#node-input-operation').selectOption(operation)
      assert.deepEqual(
        await visible(['namespace', 'key', 'value', 'embeds', 'time', 'ttl', 'missing']),
        shown,
        operation,
      )
    }
    await editor().cancel()
  })

  it('a memory asks for what its operation needs', async () => {
    await editor().edit('remember')
    const all = ['embeds', 'kind', 'text', 'importance', 'tags']
    const operations: [operation: string, shown: string[], label: string][] = [
      ['remember', all, 'label.text'],
      ['forget', ['text'], 'label.id'],
      ['consolidate', ['embeds', 'consolidate'], 'label.text'],
      ['undo', ['text'], 'label.done'],
    ]
    for (const [operation, shown, label] of operations) {
      await page().locator('#node-input-operation').selectOption(operation)
      assert.deepEqual(await visible([...all, 'consolidate']), shown, operation)
      const said = await page().locator('.millrace-memory-text label span').textContent()
      assert.equal(said, text(label, {}, 'en-US', ['memory', 'remember']))
    }
    await editor().cancel()
  })

  it('a recall asks for a limit or a budget', async () => {
    await editor().edit('recall')
    assert.deepEqual(await visible(['limit', 'budget']), ['limit'])
    await page().locator('#node-input-output').selectOption('context')
    assert.deepEqual(await visible(['limit', 'budget']), ['budget'])
    await editor().cancel()
  })

  it('an ingestion asks for what its operation needs', async () => {
    await editor().edit('ingest')
    const operations: [operation: string, shown: string[]][] = [
      ['ingest', ['namespace', 'source', 'text', 'format', 'chunks']],
      ['remove', ['namespace', 'source']],
      ['sources', ['namespace']],
    ]
    for (const [operation, shown] of operations) {
      await page().locator('#node-input-operation').selectOption(operation)
      assert.deepEqual(await visible(['namespace', 'source', 'text', 'format', 'chunks']), shown, operation)
    }
    await editor().cancel()
  })

  it('a retrieval asks for the budget of a prompt', async () => {
    await editor().edit('retrieve')
    assert.deepEqual(await visible(['budget', 'instructions']), [])
    await page().locator('#node-input-output').selectOption('prompt')
    assert.deepEqual(await visible(['budget', 'instructions']), ['budget', 'instructions'])
    await page().locator('#node-input-instructions').fill('Be brief.')
    await editor().save()
    assert.deepEqual(await editor().properties('retrieve', 'output', 'instructions', 'embedder', 'namespace'), {
      output: 'prompt',
      instructions: 'Be brief.',
      embedder: '',
      namespace: 'documents',
    })
  })

  it('the test of an embedder says what fails, or what came', async () => {
    await page().evaluate(() => RED.editor.editConfig('', 'millrace-memory-embedder', 'embedder'))
    await page().locator('#millrace-memory-test').click()
    const found = page().locator('#millrace-memory-found')
    await found.filter({ hasText: 'Incorrect API key' }).waitFor()
    server.key = undefined
    await page().locator('#millrace-memory-test').click()
    const good = { model: 'test-model', dimensions: 8, ms: '' }
    const said = text('test.good', good, 'en-US', ['memory', 'embedder']).split(',')[0] as string
    await found.filter({ hasText: said }).waitFor()
    await page().locator('#node-config-dialog-cancel').click()
    await found.waitFor({ state: 'detached' })
  })

  it('names are offered from the running store', async () => {
    await editor().edit('read')
    const key = page().locator('#node-input-key + .red-ui-typedInput-container .red-ui-typedInput-input')
    assert.deepEqual(await editor().take(key, 'pum'), ['pump-1', 'pump-2'])
    assert.equal(await key.inputValue(), 'pump-1')
    await editor().save()
    assert.deepEqual(await editor().properties('read', 'key', 'keyType', 'namespace', 'namespaceType'), {
      key: 'pump-1',
      keyType: 'str',
      namespace: 'devices',
      namespaceType: 'str',
    })
  })

  it('a watch offers names, and marks a filter that is no object', async () => {
    await editor().edit('watch')
    const namespace = page().locator('#node-input-namespace')
    await editor().take(namespace, 'dev')
    assert.equal(await namespace.inputValue(), 'devices')
    const filter = page().locator('#node-input-filter')
    await filter.fill('[1]')
    await filter.blur()
    await page().locator('#node-input-filter.input-error').waitFor()
    await filter.fill('{"rpm": {"gt": 1}}')
    await filter.blur()
    await page().locator('#node-input-filter:not(.input-error)').waitFor()
    await editor().save()
    assert.deepEqual(await editor().properties('watch', 'filter'), { filter: '{"rpm": {"gt": 1}}' })
  })
})

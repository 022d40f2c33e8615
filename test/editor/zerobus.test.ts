import assert from 'node:assert/strict'
import { ZerobusServer } from '../zerobus/server'
import { flowOf, text } from './flows'
import { editorSuite } from './suite'

declare const RED: { editor: { editConfig(name: string, type: string, id: string): void } }

const TYPE = 'millrace-arrow-zerobus-table'
const say = (key: string, params: Record<string, string | number> = {}) =>
  text(key, params, 'en-US', ['arrow', 'zerobus-table'])

const send = flowOf({ send: { type: 'millrace-arrow-zerobus', table: 'good' } })
const columns = [{ name: 'id', type: 'int64', nullable: false }]

editorSuite('zerobus', {}, (editor) => {
  const page = () => editor().page
  const form = () => page().locator('.millrace-form')
  const field = (name: string) => page().locator(`#node-config-input-${name}`)
  const found = () => page().locator('#millrace-arrow-found')
  const open = (id: string) => page().evaluate(([type, id]) => RED.editor.editConfig('', type, id), [TYPE, id] as const)
  const close = async (button: 'ok' | 'cancel') => {
    await page().locator(`#node-config-dialog-${button}`).click()
    await form().waitFor({ state: 'detached' })
  }
  let server: ZerobusServer | undefined

  before(async () => {
    server = await ZerobusServer.start()
    const { endpoint, unityCatalogUrl, clientId, clientSecret } = server.config('')
    const settings = { type: TYPE, endpoint, unityCatalogUrl, table: 'main.default.readings', columns }
    const credentials = { clientId, clientSecret }
    await editor().load([
      { id: 'good', ...settings, credentials },
      { id: 'wrong', ...settings, credentials: { ...credentials, clientSecret: 'wrong' } },
      { id: 'off', ...settings, d: true },
      ...send,
    ])
  })
  after(() => server?.stop())

  const test = async (id: string) => {
    await open(id)
    await page().locator('#millrace-arrow-test').click()
    await page().locator('#millrace-arrow-test:enabled').waitFor()
    const said = (await found().textContent()) ?? ''
    await close('cancel')
    return said
  }

  it('the test of a table says that it works, or which step fails', async () => {
    const [before = ''] = say('test.good').split('__ms__')
    assert.ok((await test('good')).startsWith(before))
    assert.ok((await test('wrong')).startsWith(say('fault.auth')))
    assert.equal(await test('off'), say('test.undeployed'))
    assert.equal(server?.count('main.default.readings'), 0)
  })

  it('the form shows what the choices need, and marks what is wrong', async () => {
    await open('good')
    const shown = (name: string) => field(name).isVisible()
    assert.deepEqual([await shown('spoolFolder'), await shown('delivery')], [false, false])
    await field('spool').check()
    assert.equal(await shown('spoolFolder'), true)
    for (const summary of await page().locator('.millrace-form summary').all()) await summary.click()
    assert.deepEqual([await shown('compression'), await shown('copiesFolder')], [true, false])
    await field('delivery').selectOption('json')
    await field('copiesProtobuf').check()
    assert.deepEqual([await shown('compression'), await shown('copiesFolder')], [false, true])
    for (const [name, value, problem] of [
      ['endpoint', 'nowhere', 'config.url'],
      ['table', 'two.parts', 'config.table'],
      ['spoolFolder', '../beside', 'config.folder'],
    ] as const) {
      await field(name).fill(value)
      await field(name).dispatchEvent('change')
      await page().locator(`#node-config-input-${name}.input-error`).waitFor()
      assert.equal(await editor().tooltipOf(field(name)), say(problem))
    }
    await close('cancel')
  })

  it('columns and credentials are saved, and the secret stays where it is', async () => {
    await open('good')
    await page().locator('.millrace-form summary').first().click()
    await page().locator('.millrace-list .red-ui-editableList-addButton').click()
    await page().locator('.millrace-arrow-column').nth(1).fill('value')
    await page().locator('.millrace-arrow-type').nth(1).fill('float64')
    await close('ok')
    await editor().deploy()
    const { columns: saved, credentials } = (await editor().flows()).find(({ id }) => id === 'good') ?? {}
    assert.deepEqual(saved, [...columns, { name: 'value', type: 'float64', nullable: true }])
    assert.equal(credentials, undefined)
    const [before = ''] = say('test.good').split('__ms__')
    assert.ok((await test('good')).startsWith(before))
  })

  it('the node that sends opens, and is saved', async () => {
    await editor().edit('send')
    await editor().save()
  })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, root } from '../runtime/harness'
import { flowOf } from './flows'
import { editorSuite } from './suite'

type Texts = { [key: string]: string | Texts }

const said = (node: string, key: string) => {
  const catalogue: Texts = JSON.parse(readFileSync(join(root, `dist/action/locales/en-US/${node}.json`), 'utf8'))
  return key
    .split('.')
    .reduce<string | Texts>((part, name) => (part as Texts)[name] as string | Texts, catalogue) as string
}

const gas = { name: 'gas', kind: 'above', limit: '1000', alertType: 'Concentration', severity: 'critical' }
const flow = flowOf({
  empty: { type: 'millrace-action-watch', wires: [[], [], []] },
  ruled: {
    type: 'millrace-action-watch',
    wires: [[], [], []],
    rules: [
      gas,
      { name: 'band', kind: 'outside', low: '1', limit: '2', severity: 'info', alertType: 'Custom' },
      { name: 'off', kind: 'deviation', reference: '2000', limit: '5', alertType: 'FrequencyDeviation' },
      { name: 'silent', kind: 'silence', limit: '3000', alertType: 'DataTimeout' },
      { name: 'both', kind: 'jsonata', property: 'payload > 1', alertType: 'Custom' },
    ],
  },
  http: { type: 'millrace-action-http', url: 'http://127.0.0.1:1/', retries: 0 },
  redis: { type: 'millrace-action-redis', d: true },
  kafka: { type: 'millrace-action-kafka', d: true, durable: true },
})

editorSuite('action', {}, (editor) => {
  const rows = () => editor().page.locator('.millrace-list .red-ui-editableList-item-content')
  const part = (place: number, name: string) => rows().nth(place).locator(`[data-field=${name}]`)
  const add = () => editor().page.locator('.millrace-list .red-ui-editableList-addButton').click()
  const problem = () => editor().page.locator('#millrace-action-rules-problem')
  const found = () => editor().page.locator('#millrace-action-found')
  const test = () => editor().page.locator('#millrace-action-test')
  before(() => editor().load(flow))

  it('a named kind of alert begins with its rule, and is saved', async () => {
    await editor().edit('empty')
    await add()
    assert.equal(await part(0, 'name').evaluate((input) => input === document.activeElement), true)
    assert.equal(await problem().textContent(), said('watch', 'config.limit'))
    await part(0, 'alertType').selectOption('Concentration')
    assert.equal(await part(0, 'limit').inputValue(), '1000')
    assert.equal(await part(0, 'property').inputValue(), 'payload.concentration_ppm')
    assert.equal(await problem().isVisible(), false)
    await add()
    await part(1, 'alertType').selectOption('DataTimeout')
    assert.deepEqual(
      [await part(1, 'property').isVisible(), await part(1, 'limit').isVisible(), await part(1, 'low').isVisible()],
      [false, true, false],
    )
    await part(1, 'severity').selectOption('critical')
    await editor().save()
    await editor().deploy()
    const { rules } = (await editor().saved('empty')) as { rules: Json[] }
    assert.deepEqual(
      rules.map(({ name, kind, limit, severity }) => [name, kind, limit, severity]),
      [
        ['Concentration', 'above', '1000', 'warning'],
        ['DataTimeout', 'silence', '30000', 'critical'],
      ],
    )
  })

  it('rules are shown as they were saved, each with what its kind needs', async () => {
    await editor().edit('ruled')
    assert.equal(await rows().count(), 5)
    const shown = async (place: number) => {
      const names = ['property', 'low', 'limit', 'reference']
      const visible = await Promise.all(names.map((name) => part(place, name).isVisible()))
      return names.filter((_, at) => visible[at]).join()
    }
    assert.deepEqual(await Promise.all([0, 1, 2, 3, 4].map(shown)), [
      'property,limit',
      'property,low,limit',
      'property,limit,reference',
      'limit',
      'property',
    ])
    const labels = await rows().locator('[data-label=property]').allTextContents()
    assert.deepEqual([labels[0], labels[4]], [said('watch', 'rule.property'), said('watch', 'rule.expression')])
    assert.equal(await problem().isVisible(), false)
    await part(1, 'low').fill('3')
    assert.equal(await problem().textContent(), said('watch', 'config.band'))
    assert.equal(await part(1, 'name').getAttribute('aria-invalid'), 'true')
    await part(1, 'low').fill('1')
    await part(1, 'name').fill('gas')
    assert.equal(await problem().textContent(), said('watch', 'config.ruleTwice').replace('__rule__', 'gas'))
    await part(1, 'kind').selectOption('below')
    assert.equal(await part(1, 'low').isVisible(), false)
    await editor().cancel()
  })

  it('the test says what fails', async () => {
    await editor().edit('http')
    await test().click()
    await editor().page.locator('#millrace-action-test:enabled').waitFor()
    const text = (await found().textContent()) ?? ''
    assert.ok(text.startsWith(said('http', 'fault.refused')), text)
    assert.equal(await editor().field('keyHeader').isVisible(), false)
    await editor().field('auth').selectOption('api-key')
    assert.equal(await editor().field('keyHeader').isVisible(), true)
    assert.equal(await editor().field('token').isVisible(), true)
    await editor().cancel()
  })

  it('the test of a node that is not deployed says so', async () => {
    await editor().edit('redis')
    await test().click()
    await editor().page.locator('#millrace-action-test:enabled').waitFor()
    assert.equal(await found().textContent(), said('redis', 'test.undeployed'))
    await editor().field('topology').selectOption('sentinel')
    assert.equal(await editor().field('master').isVisible(), true)
    await editor().field('topology').selectOption('cluster')
    assert.deepEqual(
      [await editor().field('master').isVisible(), await editor().field('db').isVisible()],
      [false, false],
    )
    await editor().cancel()
  })

  it('an outbox and a login have their rows when they are wanted', async () => {
    await editor().edit('kafka')
    const visible = (name: string) => editor().field(name).isVisible()
    assert.deepEqual(
      [await visible('outboxFolder'), await visible('username'), await visible('token')],
      [true, false, false],
    )
    await editor().field('sasl').selectOption('PLAIN')
    assert.deepEqual([await visible('username'), await visible('token')], [true, false])
    await editor().field('sasl').selectOption('OAUTHBEARER')
    assert.deepEqual([await visible('username'), await visible('token')], [false, true])
    await editor().field('durable').setChecked(false)
    assert.equal(await visible('outboxFolder'), false)
    await editor().cancel()
  })
})

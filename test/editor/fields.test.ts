import assert from 'node:assert/strict'
import { syncConfig } from '../../nodes/sync/sync.config'
import { flowOf, row, text } from './flows'
import { editorSuite } from './suite'

const CENTURY_MS = 3_155_760_000_000

editorSuite('fields of the sync dialog', {}, (editor) => {
  const form = () => editor().page.locator('.millrace-form')
  const typed = (name: string) => editor().page.locator(`#node-input-${name} + .red-ui-typedInput-container`)

  async function chooseType(name: string, type: string): Promise<void> {
    const menu = editor().page.locator('.red-ui-typedInput-options:visible')
    const option = menu.locator(`a[value="${type}"]`)
    const opens = () =>
      option.waitFor({ timeout: 2000 }).then(
        () => true,
        () => false,
      )
    // While the dialog settles, the menu may close as soon as it opens.
    do await typed(name).locator('.red-ui-typedInput-type-select').click()
    while (!(await opens()))
    // The menu unrolls: what is at a place changes under the mouse.
    await option.dispatchEvent('click')
    await menu.waitFor({ state: 'hidden' })
  }

  before(() =>
    editor().load(
      flowOf({
        // As a flow file of few words has it: the rest is absent.
        brief: { topics: [row('left'), row('right')] },
        learning: { topics: [] },
        wrong: { topics: [row('left'), row('right')] },
        variables: { topics: [row('left'), row('right')] },
        old: { topics: [row('left')], windowMs: 50 },
      }),
    ),
  )

  /** As by keys: Node-RED checks when a field is left. */
  async function type(name: string, value: string): Promise<void> {
    await editor().field(name).fill(value)
    await editor().field(name).blur()
  }

  const given = {
    name: 'every field',
    learn: '3',
    topicFrom: 'payload.sensor',
    topicFromType: 'msg',
    stampFrom: '$toMillis(payload.at)',
    stampFromType: 'jsonata',
    stampUnit: 'ms',
    match: 'oldest',
    windowMs: '12.5',
    bufferSize: '128',
    drop: 'reject-new',
    timeoutMs: '2000',
    maxDelayMs: '',
    equalStamps: 'replace',
    onClockJump: 'refuse',
    clockJumpMs: '250',
    learnPeriods: true,
    stallMs: '',
  }

  it('saves each of them', async () => {
    const { page } = editor()
    await editor().edit('learning')
    await form().locator('summary').click()
    await typed('topicFrom').locator('.red-ui-typedInput-input').fill(given.topicFrom)
    await chooseType('stampFrom', given.stampFromType)
    await typed('stampFrom').locator('.red-ui-typedInput-input').fill(given.stampFrom)
    for (const name of ['stampUnit', 'match', 'drop', 'equalStamps', 'onClockJump'] as const) {
      await editor().field(name).selectOption(given[name])
    }
    for (const name of [
      'name',
      'learn',
      'windowMs',
      'bufferSize',
      'timeoutMs',
      'maxDelayMs',
      'clockJumpMs',
      'stallMs',
    ] as const) {
      await editor().field(name).fill(given[name])
    }
    await editor().field('learnPeriods').check()
    assert.equal(await page.locator('.millrace-form .input-error').count(), 0)
    await editor().save()
    await editor().deploy()

    const saved = await editor().saved('learning')
    const names = Object.keys(syncConfig.fields)
    assert.deepEqual(Object.fromEntries(names.map((name) => [name, saved?.[name]])), {
      ...given,
      topics: [],
      configVersion: 1,
    })
  })

  it('shows what was saved', async () => {
    await editor().edit('learning')
    const shown = await form().evaluate((panel) =>
      Object.fromEntries(
        [...panel.querySelectorAll<HTMLInputElement>('[id^=node-input-]')].map((input) => [
          input.id.replace('node-input-', ''),
          input.type === 'checkbox' ? input.checked : input.value,
        ]),
      ),
    )
    assert.deepEqual(shown, given)
    await editor().cancel()
  })

  it('of a time of arrival there is no unit to choose', async () => {
    await editor().edit('brief')
    await editor().field('stampUnit').waitFor()
    await chooseType('stampFrom', 'arrival')
    await editor().field('stampUnit').waitFor({ state: 'hidden' })
    await chooseType('stampFrom', 'auto')
    await editor().field('stampUnit').waitFor()
    await chooseType('stampFrom', 'arrival')
    await editor().save()
    await editor().edit('brief')
    assert.equal(await editor().field('stampUnit').isVisible(), false)
    await editor().cancel()
  })

  it('shows the defaults of what a short flow file leaves out', async () => {
    await editor().edit('brief')
    assert.equal(await editor().field('windowMs').inputValue(), '50')
    assert.equal(await editor().field('match').inputValue(), 'nearest')
    assert.equal(await form().locator('.input-error').count(), 0)
    await editor().save()
    const { windowMs, match } = await editor().properties('brief', 'windowMs', 'match')
    assert.deepEqual([windowMs, match], [50, 'nearest'])
  })

  const positive = text('config.number', { min: 0.000001, max: CENTURY_MS })
  const wrongs: [string, string, string][] = [
    ['windowMs', '0', positive],
    ['bufferSize', '1', text('config.number', { min: 2, max: 1_000_000 })],
    ['timeoutMs', '-1', positive],
    ['maxDelayMs', 'soon', positive],
    ['clockJumpMs', 'NaN', positive],
    ['stallMs', '1e99', positive],
  ]

  it('marks each wrong value, and says the reason at the field', async () => {
    await editor().edit('wrong')
    await form().locator('summary').click()
    for (const [name, value] of wrongs) await type(name, value)
    const marked = await form()
      .locator('.input-error')
      .evaluateAll((inputs) => inputs.map((input) => input.id))
    assert.deepEqual(marked.sort(), wrongs.map(([name]) => `node-input-${name}`).sort())
    assert.equal(await editor().tooltipOf(editor().field('bufferSize')), wrongs[1]?.[2])

    await type('bufferSize', '2.5')
    assert.equal(await editor().tooltipOf(editor().field('bufferSize')), text('config.whole'))
    await type('bufferSize', '2')
    assert.equal(await form().locator('#node-input-bufferSize.input-error').count(), 0)
    await type('bufferSize', '1')
  })

  it('a node with wrong values has the triangle, with the reasons', async () => {
    await editor().save()
    const triangle = editor().picture('wrong').locator('.red-ui-flow-node-error')
    assert.equal(await triangle.isVisible(), true)
    const tooltip = await editor().tooltipOf(triangle)
    for (const [name, , reason] of wrongs) assert.ok(tooltip.includes(reason), `${name}: ${reason} in ${tooltip}`)
    assert.equal(await editor().picture('brief').locator('.red-ui-flow-node-error').isVisible(), false)
  })

  it('deploy warns of it', async () => {
    await editor().deployButton.click()
    await editor().page.locator('#red-ui-deploy-dialog-confirm-deploy-deploy').waitFor()
    assert.match((await editor().notifications.last().textContent()) ?? '', /sync \(millrace-sync\)/)
    await editor().notifications.last().getByRole('button').first().click()
    await editor().notifications.last().waitFor({ state: 'detached' })
    assert.equal((await editor().saved('wrong'))?.windowMs, undefined)
  })

  it('right values take the triangle away', async () => {
    await editor().edit('wrong')
    await form().locator('summary').click()
    for (const [name] of wrongs) await type(name, '5')
    await editor().save()
    assert.equal(await editor().picture('wrong').locator('.red-ui-flow-node-error').isVisible(), false)
    await editor().deploy()
    assert.equal((await editor().saved('wrong'))?.bufferSize, '5')
  })

  it('takes a variable of the environment in place of a value', async () => {
    await editor().edit('variables')
    await form().locator('summary').click()
    await type('windowMs', `\${MILLRACE_WINDOW}`)
    await type('bufferSize', `\${MILLRACE_BUFFER}`)
    assert.equal(await form().locator('.input-error').count(), 0)
    await editor().save()
    assert.equal((await editor().properties('variables', 'valid')).valid, true)
    await editor().page.keyboard.press('Control+z')
  })

  // The last test: it changes the panel for good.
  it('shows what an older version saved in the form of this one', async () => {
    await editor().page.evaluate(() => {
      const panel = (globalThis as unknown as { millrace_sync_sync: { default: { config: Record<string, unknown> } } })
        .millrace_sync_sync.default
      panel.config.version = 2
      panel.config.migrations = { 2: (saved: { windowMs: number }) => ({ ...saved, windowMs: saved.windowMs * 2 }) }
    })
    await editor().edit('old')
    assert.equal(await editor().field('windowMs').inputValue(), '100')
    await editor().save()
    assert.deepEqual(await editor().properties('old', 'configVersion', 'windowMs'), { configVersion: 2, windowMs: 100 })
  })
})

import assert from 'node:assert/strict'
import { flowOf } from './flows'
import { editorSuite } from './suite'

declare const RED: { editor: { editConfig(name: string, type: string, id: string): void } }

const row = { queue: '', args: '', argsType: 'none', spread: 'once', size: '10', immutable: false, options: '' }
const first = { ...row, task: 'fetch', args: 'payload', argsType: 'msg', spread: 'map' }

editorSuite('tasks', {}, (editor) => {
  const page = () => editor().page
  before(() =>
    editor().load([
      { id: 'broker', type: 'millrace-tasks-broker', path: 'editor' },
      ...flowOf({
        work: { type: 'millrace-tasks-worker', broker: 'broker', queues: 'slow', wires: [[], []] },
        send: { type: 'millrace-tasks-send', broker: 'broker', task: 'add', wires: [[]] },
        done: { type: 'millrace-tasks-done', wires: [[]] },
        flow: { type: 'millrace-tasks-workflow', broker: 'broker', shape: 'chain', steps: [first], output: 'id' },
        result: { type: 'millrace-tasks-result', broker: 'broker' },
        control: { type: 'millrace-tasks-control', broker: 'broker', command: 'list', wires: [[]] },
        events: { type: 'millrace-tasks-events', broker: 'broker', kinds: 'sent,dead', wires: [[]] },
      }),
    ]),
  )

  it('the test of a broker lists its queues and workers', async () => {
    await page().evaluate(() => RED.editor.editConfig('', 'millrace-tasks-broker', 'broker'))
    const found = page().locator('#millrace-tasks-found')
    // The worker may still be opening.
    do {
      await page().locator('#millrace-tasks-test').click()
      await page().locator('#millrace-tasks-test:enabled').waitFor()
    } while (!/\n {2}work: 0/.test((await found.textContent()) ?? ''))
    await page().locator('#node-config-dialog-cancel').click()
    await found.waitFor({ state: 'detached' })
  })

  it('a done node asks for a wait only where it retries', async () => {
    await editor().edit('done')
    const delay = page().locator('.millrace-tasks-delay')
    assert.equal(await delay.isVisible(), false)
    await page().locator('#node-input-outcome').selectOption('retry')
    assert.equal(await delay.isVisible(), true)
    await page().locator('#node-dialog-cancel').click()
  })

  for (const id of ['send', 'work', 'flow', 'result', 'control', 'events']) {
    it(`opens and saves: ${id}`, async () => {
      await editor().edit(id)
      await page().locator('#node-dialog-ok').click()
      await editor().dialog.waitFor({ state: 'detached' })
    })
  }

  it('a workflow gets another step, and options that are no JSON are marked', async () => {
    await editor().edit('flow')
    const form = page().locator('.millrace-form')
    await form.locator('.red-ui-editableList-addButton').click()
    const last = form.locator('.red-ui-editableList-item-content').last()
    const problem = page().locator('#millrace-tasks-steps-problem')
    await last.locator('[data-field=task]').fill('clean')
    await last.locator('summary').click()
    await last.locator('[data-field=options]').fill('{')
    assert.match((await problem.textContent()) ?? '', /JSON/)
    assert.equal(await last.locator('[data-field=options]').getAttribute('aria-invalid'), 'true')
    await last.locator('[data-field=options]').fill('{"priority": 9}')
    await last.locator('select').selectOption('chunks')
    await last.locator('[data-field=size]').fill('5')
    await last.locator('[type=checkbox]').check()
    assert.equal(await problem.isVisible(), false)
    await editor().save()
    const added = { ...row, task: 'clean', spread: 'chunks', size: '5', immutable: true, options: '{"priority": 9}' }
    assert.deepEqual((await editor().properties('flow', 'steps')).steps, [first, added])
  })

  it('a step is moved by keys, and keeps the focus', async () => {
    await editor().edit('flow')
    const tasks = page().locator('.millrace-list [data-field=task]')
    const order = () => tasks.evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value))
    await tasks.nth(1).focus()
    await page().keyboard.press('Alt+ArrowUp')
    assert.deepEqual(await order(), ['clean', 'fetch'])
    await page().keyboard.press('Alt+ArrowDown')
    await page().keyboard.press('Alt+ArrowDown')
    assert.deepEqual(await order(), ['fetch', 'clean'])
    await page().keyboard.press('Alt+ArrowUp')
    assert.equal(await tasks.nth(0).evaluate((input) => input === document.activeElement), true)
    await editor().save()
    const { steps } = (await editor().properties('flow', 'steps')) as { steps: { task: string }[] }
    assert.deepEqual(
      steps.map(({ task }) => task),
      ['clean', 'fetch'],
    )
    await page().keyboard.press('Control+z')
  })

  it('a workflow shows what its shape needs', async () => {
    await editor().edit('flow')
    const shown = async () => [
      await page().locator('#millrace-tasks-steps').isVisible(),
      await editor().field('callback').isVisible(),
      await editor().field('errorTask').isVisible(),
    ]
    assert.deepEqual(await shown(), [true, false, true])
    await editor().field('shape').selectOption('chord')
    assert.deepEqual(await shown(), [true, true, true])
    await editor().field('shape').selectOption('message')
    assert.deepEqual(await shown(), [false, false, false])
    await editor().cancel()
  })

  it('a command shows what it needs', async () => {
    await editor().edit('control')
    const params = () =>
      page()
        .locator('[data-param]:visible')
        .evaluateAll((rows) => rows.map((one) => (one as HTMLElement).dataset.param))
    assert.deepEqual(await params(), ['queue', 'task', 'state'])
    const hints = new Set<string>()
    for (const command of await editor()
      .field('command')
      .locator('option')
      .evaluateAll((all) => all.map((one) => (one as HTMLOptionElement).value))) {
      await editor().field('command').selectOption(command)
      hints.add((await page().locator('#millrace-tasks-hint').textContent()) ?? '')
    }
    assert.ok(hints.size === 4 && !hints.has(''))
    await editor().field('command').selectOption('rateLimit')
    assert.deepEqual(await params(), ['scope', 'target', 'perSecond'])
    await editor().field('target').fill('api')
    await editor().field('perSecond').fill('5')
    await editor().save()
    assert.deepEqual(await editor().properties('control', 'command', 'target', 'perSecond', 'valid'), {
      command: 'rateLimit',
      target: 'api',
      perSecond: '5',
      valid: true,
    })
  })

  it('a result node has a longest wait only where it waits', async () => {
    await editor().edit('result')
    assert.equal(await editor().field('timeout').isVisible(), true)
    await editor().field('mode').selectOption('now')
    assert.equal(await editor().field('timeout').isVisible(), false)
    await editor().cancel()
  })
})

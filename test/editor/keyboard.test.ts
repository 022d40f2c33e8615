import assert from 'node:assert/strict'
import { flowOf, row, text } from './flows'
import { editorSuite } from './suite'

editorSuite('by keyboard alone', {}, (editor) => {
  const type = (text: string) => editor().page.keyboard.type(text)
  const press = (key: string) => editor().page.keyboard.press(key)

  /** A name for what has the focus. */
  const focused = () =>
    editor().page.evaluate(() => {
      const element = document.activeElement as HTMLElement
      const field = element.closest('.red-ui-typedInput-container')?.previousElementSibling ?? element
      const names = [field.id.replace('node-input-', ''), field.getAttribute('aria-label'), field.textContent?.trim()]
      return names.find(Boolean) ?? field.getAttribute('type') ?? field.className.split(' ')[0] ?? ''
    })

  /** Tab by tab until the focus is on what is wanted: all that had it. */
  async function tabTo(wanted: string): Promise<string[]> {
    const seen: string[] = []
    while (seen.at(-1) !== wanted) {
      assert.ok(seen.length < 60, `${wanted} is not reached: ${seen.join(' > ')}`)
      await press('Tab')
      seen.push(await focused())
    }
    return seen
  }

  async function editSelected(): Promise<void> {
    await press('Enter')
    await editor().opened()
  }

  const topicRow = [text('label.topic'), 'checkbox', text('label.period'), 'Delete']
  const main = [
    ...topicRow,
    text('button.addTopic'),
    'topicFrom',
    'topicFrom',
    'stampFrom',
    'stampUnit',
    'match',
    'windowMs',
    'bufferSize',
  ]
  const more = [
    'drop',
    'maxDelayMs',
    'timeoutMs',
    'equalStamps',
    'onClockJump',
    'clockJumpMs',
    'stallMs',
    'learnPeriods',
  ]

  before(() => editor().load(flowOf({ only: { name: 'only', topics: [row('left')] } })))

  it('opens the dialog of the selected node', async () => {
    await editor().page.locator('#red-ui-workspace-chart').focus()
    await press('Control+a')
    assert.deepEqual(await editor().selectedIds(), ['only'])
    await editSelected()
    assert.equal(await editor().field('name').inputValue(), 'only')
  })

  it('reaches every control, from top to bottom', async () => {
    await tabTo('name')
    assert.deepEqual(await tabTo(text('label.more')), [...main, text('label.more')])
    assert.deepEqual(await tabTo(text('button.examples')), [text('button.examples')])
    await press('Shift+Tab')
    await press('Enter')
    assert.deepEqual(await tabTo(text('button.examples')), [...more, text('button.examples')])
    await press('Control+Escape')
    await editor().dialog.waitFor({ state: 'detached' })
  })

  it('adds a topic, and saves', async () => {
    await editSelected()
    await tabTo(text('button.addTopic'))
    await press('Enter')
    assert.equal(await focused(), text('label.topic'))
    await type('right')
    await press('Tab')
    await press('Space')
    await press('Tab')
    await type('40')
    await press('Control+Enter')
    await editor().dialog.waitFor({ state: 'detached' })
    const { topics } = await editor().properties('only', 'topics')
    assert.deepEqual(topics, [row('left'), row('right', false, '40')])
  })

  it('leaves the dialog without a change', async () => {
    await editSelected()
    await tabTo('name')
    await type('other')
    await press('Control+Escape')
    await editor().dialog.waitFor({ state: 'detached' })
    assert.equal((await editor().properties('only', 'name')).name, 'only')
  })

  it('deploys', async () => {
    await press('Control+d')
    await editor().deployed()
    assert.deepEqual((await editor().saved('only'))?.topics, [row('left'), row('right', false, '40')])
  })
})

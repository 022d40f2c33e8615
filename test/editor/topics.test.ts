import assert from 'node:assert/strict'
import { flowOf, row, text } from './flows'
import { editorSuite } from './suite'

editorSuite('list of topics', {}, (editor) => {
  const list = () => editor().page.locator('.millrace-list')
  const rows = () => list().locator('.millrace-row')
  const names = () =>
    rows()
      .locator('.millrace-grow')
      .evaluateAll((inputs) => inputs.map((input) => (input as HTMLInputElement).value))
  const nameAt = (place: number) => rows().nth(place).locator('.millrace-grow')
  const periodAt = (place: number) => rows().nth(place).locator('.millrace-short')
  const requiredAt = (place: number) => rows().nth(place).locator('[type=checkbox]')
  const add = () => list().locator('.red-ui-editableList-addButton').click()
  const removeAt = (place: number) => list().locator('.red-ui-editableList-item-remove').nth(place).click()
  const problem = () => list().locator('[role=alert]')
  const suggestions = () => editor().page.locator('.red-ui-autoComplete-container:visible a')

  const inject = {
    type: 'inject',
    once: true,
    onceDelay: 0,
    props: [
      { p: 'topic', vt: 'str' },
      { p: 'timestamp', vt: 'date' },
    ],
  }
  const ticking = (topic: string, target: string) => ({ ...inject, topic, repeat: '0.05', wires: [[target]] })

  before(() =>
    editor().load(
      flowOf({
        empty: { topics: [] },
        two: { topics: [row('left'), row('right')] },
        edited: { topics: [] },
        hears: { topics: [row('lidar'), row('scan')] },
        lidar: ticking('lidar', 'hears'),
        scan: ticking('scan', 'hears'),
        rescan: ticking('a_scan', 'hears'),
      }),
    ),
  )

  it('adds rows, with what each of them needs, and saves them', async () => {
    await editor().edit('edited')
    await add()
    assert.equal(await nameAt(0).evaluate((input) => input === document.activeElement), true)
    await nameAt(0).fill('camera')
    await periodAt(0).fill('30')
    await add()
    await nameAt(1).fill(' lidar ')
    await requiredAt(1).uncheck()
    assert.equal(await problem().isVisible(), false)
    await editor().save()
    await editor().deploy()
    const topics = [row('camera', true, '30'), row('lidar', false)]
    assert.deepEqual((await editor().saved('edited'))?.topics, topics)
  })

  it('shows them again, each as it was saved', async () => {
    await editor().edit('edited')
    assert.deepEqual(await names(), ['camera', 'lidar'])
    assert.deepEqual([await requiredAt(0).isChecked(), await requiredAt(1).isChecked()], [true, false])
    assert.deepEqual([await periodAt(0).inputValue(), await periodAt(1).inputValue()], ['30', ''])
  })

  it('changes the order by dragging', async () => {
    const { page } = editor()
    const handles = list().locator('.red-ui-editableList-item-handle')
    await handles.nth(1).hover()
    await page.mouse.down()
    const first = await handles.nth(0).boundingBox()
    assert.ok(first)
    await page.mouse.move(first.x + 4, first.y - 6, { steps: 8 })
    await page.mouse.up()
    assert.deepEqual(await names(), ['lidar', 'camera'])
    await editor().save()
    assert.deepEqual((await editor().properties('edited', 'topics')).topics, [
      row('lidar', false),
      row('camera', true, '30'),
    ])
  })

  it('removes a row', async () => {
    await editor().edit('edited')
    await removeAt(0)
    await rows().nth(1).waitFor({ state: 'detached' })
    assert.deepEqual(await names(), ['camera'])
    await editor().save()
    assert.deepEqual((await editor().properties('edited', 'topics')).topics, [row('camera', true, '30')])
  })

  it('asks how many to learn only where none is listed', async () => {
    const learn = editor().field('learn')
    await editor().edit('empty')
    assert.equal(await learn.isVisible(), true)
    await add()
    assert.equal(await learn.isVisible(), false)
    await removeAt(0)
    await learn.waitFor()
    await learn.fill('0')
    await learn.blur()
    assert.equal(await editor().tooltipOf(learn), text('config.number', { min: 1, max: 1000 }))
    await editor().cancel()
  })

  it('says at the row, and below the list, what is wrong with the topics', async () => {
    await editor().edit('two')
    assert.equal(await problem().isVisible(), false)

    await nameAt(1).fill('left')
    assert.equal(await problem().textContent(), text('config.topicTwice', { topic: 'left' }))
    assert.deepEqual(
      [await nameAt(0).getAttribute('aria-invalid'), await nameAt(1).getAttribute('aria-invalid')],
      ['true', 'true'],
    )

    await nameAt(1).fill('')
    assert.equal(await problem().textContent(), text('config.topicEmpty'))
    assert.equal(await nameAt(1).getAttribute('aria-invalid'), 'true')
    assert.equal(await nameAt(1).getAttribute('title'), text('config.topicEmpty'))
    assert.match((await nameAt(1).getAttribute('class')) ?? '', /input-error/)
    assert.equal(await nameAt(0).getAttribute('aria-invalid'), 'false')

    await nameAt(1).fill('right')
    await requiredAt(0).uncheck()
    await requiredAt(1).uncheck()
    assert.equal(await problem().textContent(), text('config.noneRequired'))

    await requiredAt(1).check()
    await periodAt(0).fill('often')
    const reason = text('config.number', { min: 0.000001, max: 3_155_760_000_000 })
    assert.equal(await problem().textContent(), reason)
    assert.equal(await periodAt(0).getAttribute('title'), reason)

    await periodAt(0).fill('')
    assert.equal(await problem().isVisible(), false)
    assert.equal(await periodAt(0).getAttribute('title'), text('label.period'))
    await editor().cancel()
  })

  it('a wrong list makes the node wrong', async () => {
    await editor().edit('two')
    await nameAt(1).fill('left')
    await editor().save()
    const { valid, validationErrors } = await editor().properties('two', 'valid', 'validationErrors')
    assert.deepEqual([valid, validationErrors], [false, [text('config.topicTwice', { topic: 'left' })]])
    await editor().page.keyboard.press('Control+z')
    assert.equal((await editor().properties('two', 'valid')).valid, true)
  })

  it('takes variables of the environment', async () => {
    await editor().edit('two')
    await nameAt(0).fill(`\${MILLRACE_TOPIC}`)
    await periodAt(0).fill(`\${MILLRACE_PERIOD}`)
    assert.equal(await problem().isVisible(), false)
    assert.equal(await list().locator('.input-error').count(), 0)
    await editor().cancel()
  })

  it('offers the topics that the running node has seen', async () => {
    await editor().edit('hears')
    await add()
    await nameAt(2).pressSequentially('scan')
    await suggestions().first().waitFor()
    assert.deepEqual(await suggestions().allTextContents(), ['scan', 'a_scan'], 'the very name comes first')
    await suggestions().nth(1).click()
    assert.equal(await nameAt(2).inputValue(), 'a_scan')
    assert.equal(await problem().isVisible(), false)
  })

  it('a name taken from the offer by keyboard is checked at once', async () => {
    await nameAt(2).fill('')
    await nameAt(2).pressSequentially('li')
    await suggestions().first().waitFor()
    await editor().page.keyboard.press('Tab')
    assert.equal(await nameAt(2).inputValue(), 'lidar')
    assert.equal(await problem().textContent(), text('config.topicTwice', { topic: 'lidar' }))
  })

  it('takes a name that nobody has seen', async () => {
    await nameAt(2).fill('')
    await nameAt(2).pressSequentially('new one')
    assert.equal(await suggestions().count(), 0)
    await editor().save()
    const { topics } = await editor().properties('hears', 'topics')
    assert.deepEqual((topics as object[])[2], row('new one'))
  })
})

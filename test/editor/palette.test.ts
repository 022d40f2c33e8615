import assert from 'node:assert/strict'
import { flowOf, row, TYPE, text } from './flows'
import { editorSuite } from './suite'

editorSuite('palette and workspace', {}, (editor) => {
  const palette = () => editor().page.locator(`.red-ui-palette-node[data-palette-type="${TYPE}"]`)
  let added = ''

  before(() => editor().load(flowOf({ placed: { name: 'placed', topics: [row('a'), row('b')] } })))

  it('shows the node in its category, with its label and its icon', async () => {
    await palette().scrollIntoViewIfNeeded()
    assert.equal((await palette().textContent())?.trim(), 'sync')
    const category = editor().page.locator('.red-ui-palette-category', { has: palette() })
    assert.match((await category.locator('.red-ui-palette-header').textContent()) ?? '', /millrace sync/)
    const icon = palette().locator('.red-ui-palette-icon')
    const image = await icon.evaluate((element) => getComputedStyle(element).backgroundImage)
    const address = /url\("?(.*?)"?\)/.exec(image)?.[1] ?? ''
    assert.match(address, /\/sync\.svg$/)
    const answer = await fetch(address)
    assert.match(answer.headers.get('content-type') ?? '', /svg/)
  })

  it('describes the node in the tooltip of the palette', async () => {
    assert.match(await editor().tooltipOf(palette()), /Aligns timestamped messages/)
  })

  it('adds a node that is dragged into the workspace', async () => {
    const { page } = editor()
    const from = await palette().boundingBox()
    assert.ok(from)
    await page.mouse.move(from.x + 20, from.y + 10)
    await page.mouse.down()
    await page.mouse.move(from.x + 60, from.y + 10, { steps: 3 })
    await page.mouse.move(500, 400, { steps: 10 })
    await page.mouse.up()
    const ids = await editor().idsOf(TYPE)
    assert.equal(ids.length, 2)
    added = ids.find((id) => id !== 'placed') ?? ''
    assert.equal(await editor().picture(added).locator('.red-ui-flow-node-label').textContent(), 'sync')
    assert.equal(await editor().picture(added).locator('.red-ui-flow-port-output').count(), 2)
  })

  it('a new node is valid as it stands, and its dialog shows the defaults', async () => {
    const { valid, topics, windowMs } = await editor().properties(added, 'valid', 'topics', 'windowMs')
    assert.deepEqual([valid, topics, windowMs], [true, [], 50])
    await editor().edit(added)
    assert.equal(await editor().field('windowMs').inputValue(), '50')
    assert.equal(await editor().field('match').inputValue(), 'nearest')
    assert.equal(await editor().page.locator('.millrace-form .input-error').count(), 0)
  })

  it('saves what the dialog was given, and deploys it', async () => {
    await editor().field('name').fill('mine')
    await editor().field('windowMs').fill('25')
    await editor().save()
    assert.equal(await editor().picture(added).locator('.red-ui-flow-node-label').textContent(), 'mine')
    await editor().deploy()
    const saved = await editor().saved(added)
    assert.deepEqual([saved?.type, saved?.name, saved?.windowMs], [TYPE, 'mine', '25'])
  })

  it('cancel changes nothing', async () => {
    const before = await editor().saved('placed')
    await editor().edit('placed')
    await editor().field('name').fill('other')
    await editor().page.locator('.millrace-row .millrace-grow').first().fill('z')
    await editor().cancel()
    const { name, topics, changed } = await editor().properties('placed', 'name', 'topics', 'changed')
    assert.deepEqual([name, topics, Boolean(changed)], ['placed', before?.topics, false])
    assert.ok(await editor().deployButton.evaluate((button) => button.classList.contains('disabled')))
  })

  it('opening and saving without a change leaves nothing to deploy', async () => {
    for (const id of [added, 'placed']) {
      await editor().edit(id)
      await editor().save()
    }
    assert.ok(await editor().deployButton.evaluate((button) => button.classList.contains('disabled')))
  })

  it('deletes the node, and brings it back as it was', async () => {
    await editor().picture(added).locator('.red-ui-flow-node').click()
    await editor().page.keyboard.press('Delete')
    assert.deepEqual(await editor().idsOf(TYPE), ['placed'])
    await editor().page.keyboard.press('Control+z')
    assert.deepEqual((await editor().idsOf(TYPE)).sort(), ['placed', added].sort())
    assert.equal((await editor().properties(added, 'windowMs')).windowMs, '25')
  })

  it('undoes an edit', async () => {
    await editor().edit('placed')
    await editor().field('name').fill('renamed')
    await editor().page.locator('.millrace-row .millrace-grow').first().fill('z')
    await editor().save()
    assert.equal((await editor().properties('placed', 'name')).name, 'renamed')
    await editor().page.keyboard.press('Control+z')
    const { name, topics } = await editor().properties('placed', 'name', 'topics')
    assert.deepEqual([name, topics], ['placed', [row('a'), row('b')]])
  })

  it('names the ports', async () => {
    const ports = await editor().picture('placed').locator('.red-ui-flow-port-input, .red-ui-flow-port-output').all()
    const seen: string[] = []
    for (const port of ports) seen.push(await editor().tooltipOf(port))
    assert.deepEqual(seen, [text('port.messages'), text('port.groups'), text('port.rejects')])
  })
})

import assert from 'node:assert/strict'
import { flowOf, row, text } from './flows'
import { overflowing } from './looks'
import { editorSuite } from './suite'

/** Texts that a person sees or hears there: those of `dt` and `code` are names of properties. */
function textsOf(place: Element): string[] {
  const texts: string[] = []
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const { parentElement, textContent } = walker.currentNode
    if (!parentElement?.closest('dt, code, style, script')) texts.push(textContent?.trim() ?? '')
  }
  for (const element of place.querySelectorAll('*')) {
    for (const name of ['title', 'placeholder', 'aria-label', 'alt']) texts.push(element.getAttribute(name) ?? '')
  }
  return texts.filter(Boolean)
}

/** Where the catalogue has no text for a key, Node-RED shows nothing. */
function silent(form: Element): string[] {
  return [...form.querySelectorAll<HTMLElement>('[data-i18n]')].flatMap((element) => {
    const key = element.dataset.i18n ?? ''
    const attribute = /^\[([\w-]+)\]/.exec(key)?.[1]
    const text = attribute ? element.getAttribute(attribute) : element.textContent
    return text?.trim() ? [] : [key]
  })
}

const isKey = (text: string) => /^(\S+:)?[a-z]+\.[A-Za-z.]+$/.test(text)

for (const language of ['en-US', 'fr', 'de', 'ja', 'zh-CN']) {
  editorSuite(`in ${language}`, { locale: language }, (editor) => {
    before(() => editor().load(flowOf({ only: { topics: [row('left'), row('left')] } })))

    it('the dialog speaks the language, throughout', async () => {
      await editor().edit('only')
      await editor().page.locator('.millrace-form summary').click()
      await editor().page.locator('#node-dialog-ok').click({ trial: true })
      const form = editor().page.locator('.millrace-form')
      const texts = await form.evaluate(textsOf)
      assert.deepEqual(texts.filter(isKey), [])
      const keys = [
        'label.name',
        'label.topics',
        'label.stamp',
        'label.more',
        'option.stampAuto',
        'option.nearest',
        'tip.period',
      ]
      const own = [...keys, 'button.addTopic', 'button.examples'].map((key) => text(key, {}, language))
      const reason = text('config.topicTwice', { topic: 'left' }, language)
      assert.deepEqual(
        [...own, reason].filter((own) => !texts.includes(own)),
        [],
      )
      assert.deepEqual(await form.evaluate(silent), [])
      assert.deepEqual(await form.evaluate(overflowing), [])
      await editor().cancel()
    })

    it('so does the help', async () => {
      await editor().picture('only').locator('.red-ui-flow-node').click()
      await editor().act('core:show-help-tab')
      const help = editor().page.locator('.red-ui-help', { hasText: 'JSONata' }).first()
      const texts = await help.evaluate(textsOf)
      assert.deepEqual(texts.filter(isKey), [])
      assert.equal(
        texts.some((text) => text.includes('Aligns timestamped messages')),
        language === 'en-US',
      )
      assert.ok(texts.length > 40, `the help has ${texts.length} texts`)
    })
  })
}

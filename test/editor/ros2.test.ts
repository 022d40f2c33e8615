import { flowOf } from './flows'
import { editorSuite } from './suite'

declare const RED: { editor: { editConfig(name: string, type: string, id: string): void } }

/** A domain of its own, on loopback. */
const context = { type: 'millrace-ros2-context', domain: '121', discovery: 'localhost', nodeName: 'seen' }
const endpoint = { context: 'ctx', topic: '/chatter', messageType: 'std_msgs/msg/String', qos: 'latched' }

editorSuite('ros2', {}, (editor) => {
  const found = () => editor().page.locator('#millrace-ros2-found')
  const openContext = () => editor().page.evaluate(() => RED.editor.editConfig('', 'millrace-ros2-context', 'ctx'))
  before(() =>
    editor().load([
      { id: 'ctx', ...context },
      ...flowOf({
        talks: { type: 'millrace-ros2-out', ...endpoint },
        hears: { type: 'millrace-ros2-in', ...endpoint },
      }),
    ]),
  )

  it('the test of a context lists what it discovers', async () => {
    await openContext()
    const button = editor().page.locator('#millrace-ros2-test')
    const lists = /Transport: native\n[\s\S]*\/seen[\s\S]*\/chatter {2}std_msgs\/msg\/String/
    // Discovery takes its time: a person would press again, too.
    do {
      await button.click()
      await editor().page.locator('#millrace-ros2-test:enabled').waitFor()
    } while (!lists.test((await found().textContent()) ?? ''))
    await editor().page.locator('#node-config-dialog-cancel').click()
    await found().waitFor({ state: 'detached' })
  })
})

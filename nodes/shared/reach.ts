/**
 * What Node-RED's own parts of a dialog lack for those who use no mouse, or no screen: a name, and a place among the
 * Tabs. Bundled into the panels; runs in the browser.
 */
import type { EditorRED } from 'node-red'

declare const RED: EditorRED

/** Those of a form, or of a row that came later. */
export function reach(place: JQuery): void {
  place.find('.red-ui-typedInput-container').each((_, container) => nameTyped($(container)))
  place
    .find('.red-ui-editableList-item-remove')
    .each((_, link) => asButton($(link), RED._('editor:common.label.delete')))
}

/** The buttons beside the choice of a config node, by the property that it is for. */
export function reachChoice(property: string, type: string): void {
  for (const [part, key] of [
    ['edit', 'editor:editor.editConfig'],
    ['add', 'editor:editor.addNewConfig'],
  ] as const) {
    const ids = ['node-input', 'node-config-input'].map((prefix) => `#${prefix}-btn-${property}-${part}`)
    asButton($(ids.join()), RED._(key, { type }))
  }
}

/** A link without an address, or one that goes nowhere, is a button. */
function asButton(link: JQuery, name: string): void {
  link.attr({ role: 'button', tabindex: 0, 'aria-label': name })
  link.on('keydown', (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    link[0]?.click()
  })
}

/** The name of the input in whose place it stands. The label's text comes, and changes, later. */
function nameTyped(container: JQuery): void {
  const own = container.prev('input')
  const id = own.attr('id')
  const label = $(`label[for="${id}"]`).attr('id', `millrace-${id}-label`)
  container.find('button, input[type!=hidden]').each((place, part) => {
    if (label.length === 0) $(part).attr('aria-label', own.attr('aria-label') ?? '')
    else {
      part.id = `millrace-${id}-part-${place}`
      // A button tells its own text, too.
      $(part).attr(
        'aria-labelledby',
        part.matches('button') ? `millrace-${id}-label ${part.id}` : `millrace-${id}-label`,
      )
    }
  })
}

/** An editor of code takes each Tab for itself. So Tab only comes to it; Enter leads into it, and Escape out. */
export function reachCode(box: JQuery, name: string, hint: string, editor: { focus(): void }): void {
  box.attr({ tabindex: 0, role: 'group', 'aria-label': name, title: hint })
  box.find('textarea').attr('tabindex', -1)
  box.on('keydown', (event) => {
    const isOutside = event.target === box[0]
    if (event.key === 'Enter' && isOutside) {
      event.preventDefault()
      editor.focus()
    } else if (event.key === 'Escape' && !isOutside) {
      box.trigger('focus')
    }
  })
}

/** A list of rows that are edited in place. Bundled into the panels that have one; runs in the browser. */
import { reach } from './reach'

export interface RowList<Row> {
  /** Of the list; what is wrong with it shows at `<id>-problem`. */
  id: string
  addButton: string
  /** Puts the inputs of a row into its line. A new row has no values. */
  draw(line: JQuery, row: Partial<Row>): void
  read(line: JQuery): Row
  /** Marks what is wrong in the lines; returns what is wrong with the whole. */
  check(rows: Row[], lines: JQuery[]): string | null
}

/** Shows the saved rows. The function that it returns reads them again. */
export function editRows<Row>(list: RowList<Row>, saved: readonly Partial<Row>[]): () => Row[] {
  const element = $(`#${list.id}`)
  const lines = (): JQuery[] =>
    element
      .editableList('items')
      .toArray()
      .map((item: HTMLElement) => $(item))
  const check = () => {
    const all = lines()
    const problem = list.check(all.map(list.read), all)
    $(`#${list.id}-problem`)
      .text(problem ?? '')
      .prop('hidden', problem === null)
  }
  element.editableList({
    addItem(container, _index, row: Partial<Row>) {
      list.draw(container, row)
      reach(container.parent())
      movable(container.parent())
      // An offer that is taken by keyboard makes no event but that of the key.
      container.on('change input keyup', 'input, select', check)
      if (Object.keys(row).length === 0) container.find('input').first().trigger('focus')
      check()
    },
    addButton: list.addButton,
    height: 'auto',
    removable: true,
    sortable: true,
    removeItem: check,
  })
  /** By keys what the handle does with the mouse. */
  function movable(item: JQuery): void {
    item.attr('aria-keyshortcuts', 'Alt+ArrowUp Alt+ArrowDown').on('keydown', (event) => {
      const { altKey, key, target } = event
      if (!altKey || (key !== 'ArrowUp' && key !== 'ArrowDown')) return
      event.preventDefault()
      if (key === 'ArrowUp') item.insertBefore(item.prev())
      else item.insertAfter(item.next())
      $(target).trigger('focus')
      check()
    })
  }
  for (const row of saved) element.editableList('addItem', { ...row })
  check()
  return () => lines().map(list.read)
}

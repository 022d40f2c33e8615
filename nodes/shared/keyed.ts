/** Lists that are drawn again and again in place, so that what has the focus keeps it. Runs in the browser. */

/** What each element was last updated with. */
const drawn = new WeakMap<HTMLElement, string>()

/**
 * Shows `items` in their order: the element of a key is made once, and updated when its item is another one. So all that an
 * update shows has to be in the item, as JSON has it.
 */
export function keyed<Item>(
  place: JQuery,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  make: (item: Item) => JQuery,
  update: (element: JQuery, item: Item) => void,
): void {
  const elements = new Map(
    place
      .children()
      .toArray()
      .map((element) => [element.dataset.key ?? '', element]),
  )
  // First: behind what is gone all others would be in the wrong place.
  const keys = new Set(items.map(keyOf))
  for (const [key, element] of elements) if (!keys.has(key)) element.remove()
  let before: HTMLElement | undefined
  for (const item of items) {
    const key = keyOf(item)
    const element = elements.get(key) ?? (make(item).attr('data-key', key)[0] as HTMLElement)
    const given = JSON.stringify(item)
    if (drawn.get(element) !== given) {
      update($(element), item)
      drawn.set(element, given)
    }
    const wanted = before ? before.nextElementSibling : place[0]?.firstElementChild
    // To move what is in its place would take the focus from it.
    if (wanted !== element) place[0]?.insertBefore(element, wanted ?? null)
    before = element
  }
}

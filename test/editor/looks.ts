/** What can be measured of a panel's looks; these functions run inside the page, each for itself. */

/** Fields and labels that stand out of their place, or are cut off there. */
export function overflowing(form: Element): string[] {
  const tray = form.closest('.red-ui-tray')?.getBoundingClientRect() ?? new DOMRect()
  const name = (element: Element) => element.id || element.textContent?.trim().slice(0, 40) || element.className
  const all = [...form.querySelectorAll('*')].filter((element) => !element.closest('.millrace-code > *'))
  const visible = [form, ...all].filter((element) => element.getClientRects().length > 0)
  const outside = visible.filter((element) => {
    const { left, right } = element.getBoundingClientRect()
    return left < tray.left - 1 || right > tray.right + 1
  })
  const cut = visible.filter(
    (element) => element.matches('div, label, button, summary') && element.scrollWidth > element.clientWidth + 1,
  )
  const wrapped = visible.filter(
    (element) => element.matches('label:not(.millrace-check)') && element.getBoundingClientRect().height > 30,
  )
  const fallen = visible.filter((element) => {
    const gap = element.matches('.millrace-gap + label') && element.previousElementSibling?.getBoundingClientRect()
    return gap && gap.width > 0 && element.getBoundingClientRect().top >= gap.bottom
  })
  return [...outside, ...cut, ...wrapped, ...fallen].map((element) => `stands out: ${name(element)}`)
}

/** Choices in lists whose longest text has no room. */
export function shortened(form: Element): string[] {
  const drawing = document.createElement('canvas').getContext('2d')
  const selects = [...form.querySelectorAll<HTMLSelectElement>('.red-ui-editableList select')]
  return selects.flatMap((select) => {
    if (!drawing || select.getClientRects().length === 0) return []
    const { font, paddingLeft, paddingRight } = getComputedStyle(select)
    drawing.font = font
    const longest = Math.max(...[...select.options].map(({ text }) => drawing.measureText(text).width))
    const room = select.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight)
    return longest > room + 1 ? [`shortened: ${select.getAttribute('aria-label')}`] : []
  })
}

/** Lines of a list whose fields do not begin one below the other. */
export function uneven(form: Element): string[] {
  return [...form.querySelectorAll('.red-ui-editableList-item-content')].flatMap((item) => {
    const fields = [...item.querySelectorAll('.millrace-field > input')].filter(
      (one) => one.getClientRects().length > 0,
    )
    const lefts = fields.map((field) => field.getBoundingClientRect().left)
    return Math.max(...lefts) - Math.min(...lefts) > 1 ? [`uneven: ${item.textContent?.trim().slice(0, 40)}`] : []
  })
}

/** Parts of the tray around the form that would have to be scrolled to the side. */
export function scrolling(form: Element): string[] {
  const found: string[] = []
  for (let around = form.parentElement; around && !around.matches('.red-ui-tray'); around = around.parentElement) {
    if (around.scrollWidth > around.clientWidth + 1) found.push(`scrolls: ${around.id || around.className}`)
  }
  return found
}

/** Pairs of parts that share a place. */
export function overlapping(form: Element): string[] {
  const kinds =
    'input, select, textarea, button, a, label, summary, .red-ui-typedInput-container, .form-tips, .form-row > span'
  const parts = [...form.querySelectorAll(kinds)].filter(
    (part) =>
      part.getClientRects().length > 0 &&
      !part.parentElement?.closest('.red-ui-typedInput-container, .millrace-code, label, a, button') &&
      !part.matches('.millrace-gap'),
  )
  const boxes = parts.map((part) => [part, part.getBoundingClientRect()] as const)
  const name = (part: Element) => part.id || part.textContent?.trim().slice(0, 40) || part.className
  return boxes.flatMap(([one, a], place) =>
    boxes
      .slice(place + 1)
      .filter(([other, b]) => {
        const isApart = a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1
        return !isApart && !one.contains(other)
      })
      .map(([other]) => `one upon the other: ${name(one)} and ${name(other)}`),
  )
}

/** Inputs and buttons that a screen reader has no name for. */
export function nameless(form: Element): string[] {
  const kinds = 'input:not([type=hidden]), select, textarea, button, a, summary, [tabindex="0"]'
  const parts = [...form.querySelectorAll<HTMLInputElement>(kinds)].filter(
    (part) => part.getClientRects().length > 0 && !part.closest('.millrace-code > *'),
  )
  const isField = (part: Element) => part.matches('input, select, textarea')
  const labelled = (part: Element) =>
    (part.getAttribute('aria-labelledby') ?? '')
      .split(' ')
      .some((id) => id !== part.id && document.getElementById(id)?.textContent?.trim())
  const named = (part: HTMLInputElement) =>
    part.getAttribute('aria-label')?.trim() ||
    labelled(part) ||
    [...(part.labels ?? [])].some((label) => label.textContent?.trim()) ||
    (!isField(part) && (part.textContent?.trim() || part.querySelector('[aria-label]')))
  return parts.filter((part) => !named(part)).map((part) => `has no name: ${part.id || part.className}`)
}

/** Texts that a person sees or hears there: those of `dt` and `code` are names of properties. */
export function textsOf(place: Element): string[] {
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
export function silent(form: Element): string[] {
  return [...form.querySelectorAll<HTMLElement>('[data-i18n]')].flatMap((element) => {
    const key = element.dataset.i18n ?? ''
    const attribute = /^\[([\w-]+)\]/.exec(key)?.[1]
    const text = attribute ? element.getAttribute(attribute) : element.textContent
    return text?.trim() ? [] : [`has no text: ${key}`]
  })
}

type Check = (form: Element) => string[]
type Field = HTMLInputElement & HTMLSelectElement
/** The page's own. */
declare function $(field: Element): { trigger(event: string): void }

/** What the checks find with a row in each list, every part unfolded, a long value in each text, and each choice made. */
function throughChoices(form: Element, long: string, checks: Check[]): string[] {
  const found = new Set<string>()
  const seen = new Set<string>()
  const look = () => {
    const shown = [...form.querySelectorAll<HTMLElement>('.form-row, .millrace-row, label')].map((row) =>
      row.offsetParent ? row.textContent : '',
    )
    if (seen.size === seen.add(shown.join('|')).size) return
    for (const check of checks) for (const problem of check(form)) found.add(problem)
  }
  const own = (kinds: string) =>
    [...form.querySelectorAll<Field>(kinds)].filter((field) => !field.closest('.millrace-code'))
  for (const button of own('.red-ui-editableList-addButton')) if (button.offsetParent) button.click()
  for (const fold of form.querySelectorAll('details')) fold.open = true
  for (const field of own('input[type=text], input[type=password], textarea')) field.value = long
  look()
  for (const select of own('select')) {
    // Of Node-RED's: a config node.
    if (select.parentElement?.querySelector(':scope > a')) continue
    const { value } = select
    for (const option of [...select.options].map(({ value }) => value).filter((option) => option !== value)) {
      select.value = option
      $(select).trigger('change')
      look()
    }
    select.value = value
    $(select).trigger('change')
  }
  for (const box of own('input[type=checkbox]')) {
    box.click()
    look()
  }
  return [...found]
}

/** As text, for the page: functions that call each other would not find each other there. */
export function throughAll(long: string, checks: Check[]): string {
  const form = `document.querySelector('.red-ui-tray .millrace-form')`
  return `(${throughChoices})(${form}, ${JSON.stringify(long)}, [${checks.map((check) => `(${check})`)}])`
}

/** Texts that are hard to read on what lies behind them, with their contrast. Node-RED's buttons, and its colours of code, are its own matter. */
export function faint(form: Element): string[] {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  /** Red, green, blue and opacity, of whatever notation. */
  const parts = (color: string) => {
    canvas?.clearRect(0, 0, 1, 1)
    if (canvas) canvas.fillStyle = color
    canvas?.fillRect(0, 0, 1, 1)
    return [...(canvas?.getImageData(0, 0, 1, 1).data ?? [])]
  }
  const luminance = (color: string) => {
    const [red = 0, green = 0, blue = 0] = parts(color).map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const behind = (element: Element | null): string => {
    if (!element) return 'white'
    const { backgroundColor } = getComputedStyle(element)
    return (parts(backgroundColor)[3] ?? 0) > 127 ? backgroundColor : behind(element.parentElement)
  }
  const contrast = (element: Element) => {
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(behind(element))]
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
  }
  const hasText = (element: Element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim())
  return [...form.querySelectorAll('*')]
    .filter((element) => !element.closest('.red-ui-button, .millrace-code'))
    .filter((element) => element.getClientRects().length > 0 && (hasText(element) || element.matches('input, select')))
    .map((element) => [element.id || element.textContent?.trim(), contrast(element)] as const)
    .filter(([, contrast]) => contrast < 4.5)
    .map(([name, contrast]) => `${name}: ${contrast.toFixed(1)}`)
}

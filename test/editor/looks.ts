/** What can be measured of a panel's looks; these functions run inside the page. */

/** Fields and labels that stand out of their place. */
export function overflowing(form: Element): string[] {
  const tray = form.closest('.red-ui-tray')?.getBoundingClientRect() ?? new DOMRect()
  const name = (element: Element) => element.id || element.textContent?.trim() || element.className
  const visible = [form, ...form.querySelectorAll('*')].filter((element) => element.getClientRects().length > 0)
  const outside = visible.filter((element) => {
    const { left, right } = element.getBoundingClientRect()
    return left < tray.left - 1 || right > tray.right + 1
  })
  const cut = visible.filter(
    (element) => element.matches('div, label') && element.scrollWidth > element.clientWidth + 1,
  )
  const wrapped = visible.filter((element) => element.matches('label') && element.getBoundingClientRect().height > 30)
  const fallen = visible.filter((element) => {
    const gap = element.matches('.millrace-gap + label') && element.previousElementSibling?.getBoundingClientRect()
    return gap && element.getBoundingClientRect().top >= gap.bottom
  })
  return [...outside, ...cut, ...wrapped, ...fallen].map(name)
}

/** Inputs that a screen reader has no name for. */
export function nameless(form: Element): string[] {
  const inputs = [...form.querySelectorAll<HTMLInputElement>('input:not([type=hidden]), select, textarea')]
  // Node-RED puts an input of its own in the place of a typed one.
  const own = inputs.filter((input) => !input.closest('.red-ui-typedInput-container'))
  const named = (input: HTMLInputElement) =>
    input.getAttribute('aria-label') || [...(input.labels ?? [])].some((label) => label.textContent?.trim())
  return own.filter((input) => !named(input)).map((input) => input.id || input.className)
}

/** Texts that are hard to read on what lies behind them, with their contrast. Node-RED's buttons are its own matter. */
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
    .filter((element) => !element.closest('.red-ui-button'))
    .filter((element) => element.getClientRects().length > 0 && (hasText(element) || element.matches('input, select')))
    .map((element) => [element.id || element.textContent?.trim(), contrast(element)] as const)
    .filter(([, contrast]) => contrast < 4.5)
    .map(([name, contrast]) => `${name}: ${contrast.toFixed(1)}`)
}

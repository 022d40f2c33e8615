/** Texts with `{{path}}` in them, where a path such as `data.value` leads into an object. */

const PLACE = /\{\{\s*([\w$-]+(?:\.[\w$-]+)*)\s*\}\}/g

/** Fills a template; `write` makes a text of what a path leads to. */
export function fill(template: string, values: object, write: (value: unknown) => string = plain): string {
  return template.replaceAll(PLACE, (_, path: string) => write(follow(values, path)))
}

/** For a template that is JSON: a text's inside, without its quotes, and all else as it is. */
export function asJson(value: unknown): string {
  const json = JSON.stringify(value) ?? 'null'
  return typeof value === 'string' ? json.slice(1, -1) : json
}

function plain(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number') return String(Number(value.toPrecision(9)))
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function follow(values: object, path: string): unknown {
  return path.split('.').reduce<unknown>((found, key) => {
    if (found === null || typeof found !== 'object' || !Object.hasOwn(found, key)) return undefined
    return (found as Record<string, unknown>)[key]
  }, values)
}

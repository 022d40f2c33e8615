/** What is typed as a list. No import of Node.js: the editor bundles this file. */
import { Problem } from '../shared/config'

const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/

/** `host:port`, with blanks, commas or semicolons between them. */
export function addresses(typed: string, problem: string): { host: string; port: number }[] {
  const parts = typed.split(/[\s,;]+/).filter(Boolean)
  return parts.map((part) => {
    const [, six, name, digits] = ADDRESS.exec(part) ?? []
    const port = Number(digits)
    if (!(port >= 1 && port <= 65_535)) throw new Problem(problem)
    return { host: (six ?? name) as string, port }
  })
}

/** A line each: `name: value`, as `form` has it. */
export function headers(typed: string, form: RegExp, problem: string): Record<string, string> {
  const lines = typed.split(/\r?\n/).filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = form.exec(line.trim()) ?? []
      if (name === undefined || value === undefined) throw new Problem(problem)
      return [name, value]
    }),
  )
}

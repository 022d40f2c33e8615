/**
 * The saved properties of a node, written once: names, kinds, defaults, checks and version. The
 * runtime reads them with `readConfig`, the editor gets its `defaults` and validators from the same
 * fields. No import of Node.js here: the editor bundles this file.
 */

/** Why a value does not do: a key of the shared catalogue, with its parameters. */
export class Problem extends Error {
  constructor(
    readonly key: string,
    readonly params: Record<string, string | number> = {},
  ) {
    super(`${key} ${JSON.stringify(params)}`)
  }
}

/** One saved property. */
export interface Field<T> {
  /** What a new node has. */
  readonly value: unknown
  /** The type of the config node whose id it is. */
  readonly type?: string
  /** A `${VAR}` in it means nothing to us: it may be code. */
  readonly verbatim?: true
  /** The checked value of what was saved; throws a `Problem`. */
  read(saved: unknown): T
}

// biome-ignore lint/suspicious/noExplicitAny: a table of fields of any kind
export type Fields = Record<string, Field<any>>

export type Values<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never }

export type Migration = (saved: Record<string, unknown>) => Record<string, unknown>

export interface ConfigSpec<F extends Fields> {
  /** The node type, and the name of its set in package.json. */
  type: string
  /** Grows with every change of the fields that needs a migration. */
  version: number
  fields: F
  /** `migrations[n]` lifts what version `n - 1` saved to version `n`. */
  migrations?: Record<number, Migration>
  /** Secrets, kept apart by Node-RED. */
  credentials?: Record<string, { type: 'text' | 'password' }>
}

export function defineConfig<F extends Fields>(spec: ConfigSpec<F>): ConfigSpec<F> {
  return spec
}

export function text(value = ''): Field<string> {
  return { value, read: (saved) => (saved === undefined || saved === null ? value : String(saved)) }
}

/** A text in another language, which stays as it was typed. */
export function verbatim(value = ''): Field<string> {
  return { ...text(value), verbatim: true }
}

interface Range {
  min: number
  max: number
  whole?: boolean
}

export function number(value: number, range: Range): Field<number> {
  return { value, read: (saved) => inRange(blank(saved) ? value : saved, range) }
}

/** A number that may be left blank, which means: none. */
export function optionalNumber(value: number | '', range: Range): Field<number | null> {
  const absent = value === '' ? null : value
  return { value, read: (saved) => (saved === undefined ? absent : blank(saved) ? null : inRange(saved, range)) }
}

export function choice<T extends string>(value: T, choices: readonly T[]): Field<T> {
  return {
    value,
    read(saved) {
      const chosen = saved === undefined ? value : saved
      if (!choices.includes(chosen as T)) throw new Problem('config.choice', { choices: choices.join(', ') })
      return chosen as T
    },
  }
}

export function flag(value: boolean): Field<boolean> {
  return { value, read: (saved) => (saved === undefined ? value : saved === true || saved === 'true') }
}

/** A text of a certain form: `read` takes it as it is typed, without the blanks around it. */
export function parsed<T>(value: string, read: (typed: string) => T): Field<T> {
  return { value, read: (saved) => read(blank(saved) ? value : String(saved).trim()) }
}

/** The id of a config node. */
export function reference(type: string): Field<string> {
  return {
    value: '',
    type,
    read(saved) {
      // So the editor calls the one that is still to be made.
      if (blank(saved) || saved === '_ADD_') throw new Problem('config.reference')
      return String(saved)
    },
  }
}

/** The id of a config node, or blank: none. */
export function optionalReference(type: string): Field<string> {
  return { value: '', type, read: (saved) => (blank(saved) || saved === '_ADD_' ? '' : String(saved)) }
}

/** A list of rows, each read by `row`. */
export function list<T>(row: (saved: unknown) => T, whole: (rows: T[]) => void = () => {}): Field<T[]> {
  return {
    value: [],
    read(saved) {
      if (saved !== undefined && !Array.isArray(saved)) throw new Problem('config.list')
      const rows = ((saved as unknown[] | undefined) ?? []).map(row)
      whole(rows)
      return rows
    },
  }
}

function blank(saved: unknown): boolean {
  return saved === undefined || saved === null || saved === ''
}

function inRange(saved: unknown, { min, max, whole = false }: Range): number {
  const read = typeof saved === 'number' ? saved : Number(String(saved).trim())
  if (!(read >= min && read <= max)) throw new Problem('config.number', { min, max })
  if (whole && !Number.isInteger(read)) throw new Problem('config.whole')
  return read
}

/** What an older version saved, in the form of this one. */
export function migrate(
  spec: Pick<ConfigSpec<Fields>, 'version' | 'migrations'>,
  saved: Record<string, unknown>,
): Record<string, unknown> {
  let config = saved
  for (let version = Number(saved.configVersion ?? 1) + 1; version <= spec.version; version += 1) {
    config = { ...(spec.migrations?.[version]?.(config) ?? config), configVersion: version }
  }
  return config
}

/**
 * Values on their way to Python and back: JSON, with what JSON has no form for apart. Each such thing has
 * its path: binary parts go beside the text as they are, big whole numbers as their digits.
 */
import { EngineError } from '../../shared/errors'

type Path = (string | number)[]

/** A value as it crosses. */
export interface Crossing {
  json: string
  parts: Buffer[]
}

/** What a path stands for: the number of a binary part, or the digits of a whole number. */
type Fixup = [Path, number | string]

/** The call of a function. Fails with the path of what Python could not be given. */
export function toPython(target: string, data: unknown): Crossing {
  const found = new Findings()
  const plain = found.plain(data, [])
  const call = found.fixups.length > 0 ? [target, plain, found.fixups] : [target, plain]
  return { json: JSON.stringify(call), parts: found.parts }
}

/** What Python returned. */
export function fromPython(json: string, parts: Buffer[] | null | undefined): unknown {
  const value: unknown = JSON.parse(json)
  if (!parts) return value
  const [root, paths] = value as [unknown, Path[]]
  const holder = [root]
  for (const [index, path] of paths.entries()) {
    // biome-ignore lint/suspicious/noExplicitAny: the path was made from the value
    let place: any = holder
    let key: string | number = 0
    for (const next of path) {
      place = place[key]
      key = next
    }
    place[key] = parts[index]
  }
  return holder[0]
}

class Findings {
  readonly parts: Buffer[] = []
  readonly fixups: Fixup[] = []
  private readonly open = new Set<object>()

  /** The value itself where JSON can have it, else a copy with what it can have. */
  plain(value: unknown, path: Path): unknown {
    switch (typeof value) {
      case 'object':
        return value === null ? null : this.object(value, path)
      case 'bigint':
        this.fixups.push([path, String(value)])
        return null
      case 'function':
      case 'symbol':
        throw unfit(path, `a ${typeof value}`)
      default:
        // A list has null in the place of what is undefined, as JSON has.
        return value
    }
  }

  private object(value: object, path: Path): unknown {
    if (value instanceof Uint8Array) {
      this.fixups.push([path, this.parts.length])
      this.parts.push(Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength))
      return null
    }
    if (value instanceof Date) return value
    if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>)
    if (value instanceof Map || value instanceof Set) throw unfit(path, `a ${value.constructor.name}`)
    if (this.open.has(value)) throw unfit(path, 'a value that contains itself')
    this.open.add(value)
    const plain = Array.isArray(value) ? this.list(value, path) : this.record(value as Record<string, unknown>, path)
    this.open.delete(value)
    return plain
  }

  private list(value: unknown[], path: Path): unknown[] {
    let copy: unknown[] | undefined
    for (let index = 0; index < value.length; index += 1) {
      const item = value[index]
      if (typeof item === 'number' || typeof item === 'string') continue
      const plain = this.plain(item, [...path, index])
      if (plain === item) continue
      copy ??= value.slice()
      copy[index] = plain
    }
    return copy ?? value
  }

  private record(value: Record<string, unknown>, path: Path): Record<string, unknown> {
    let copy: Record<string, unknown> | undefined
    for (const key of Object.keys(value)) {
      const item = value[key]
      if (typeof item === 'number' || typeof item === 'string') continue
      const plain = this.plain(item, [...path, key])
      if (plain === item) continue
      copy ??= { ...value }
      copy[key] = plain
    }
    return copy ?? value
  }
}

function unfit(path: Path, what: string): EngineError {
  const place = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')
  return new EngineError('INVALID_INPUT', `data${place} is ${what}, which Python cannot be given; leave it out`)
}

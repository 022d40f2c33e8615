/** Types as the engine writes them: `struct<x: float64!, "a b": list<utf8>>`. */

export interface Type {
  /** Without what stands in parentheses behind it. */
  word: string
  /** Fields of a struct have names. */
  children: readonly { name: string; type: Type }[]
}

export function parseType(text: string): Type {
  return new Reader(text).type()
}

class Reader {
  private at = 0

  constructor(private readonly text: string) {}

  type(): Type {
    const word = this.take(/[\w-]*/y)
    this.take(/\([^)]*\)/y)
    const children: Type['children'][number][] = []
    if (this.take(/</y)) {
      for (this.blank(); this.at < this.text.length && !this.take(/>/y); this.blank()) {
        const name = word === 'struct' ? this.name() : ''
        children.push({ name, type: this.type() })
        this.take(/!/y)
      }
    }
    return { word, children }
  }

  private name(): string {
    const quoted = this.take(/"(?:[^"\\]|\\.)*"/y)
    const name = quoted ? JSON.parse(quoted) : this.take(/[^:]*/y)
    this.take(/: */y)
    return name
  }

  private blank(): void {
    this.take(/[ ,]*/y)
  }

  /** What is next, if it is such; it is behind then. */
  private take(what: RegExp): string {
    what.lastIndex = this.at
    const [found = ''] = what.exec(this.text) ?? []
    this.at += found.length
    return found
  }
}

/** The engine in the collection's sidebar: its version, and who holds how much memory. */
import type { EditorRED } from 'node-red'
import { ask, text } from './editor'
import type { Figures } from './listing'
import { div, megabytes, part, put, showFigures } from './pieces'
import { type Plugins, SECTION, type Section } from './section'

declare const RED: EditorRED & { plugins: Plugins }

const ID = 'millrace-shared-engine'
const label = (key: string, params?: object) => text({ type: ID }, key, params)

class Engine {
  private readonly figures = div('millrace-figures')
  private readonly note = div('millrace-muted')

  constructor(place: JQuery) {
    place.append(part(null, this.figures, this.note))
  }

  async refresh(): Promise<() => void> {
    const found = await ask<Figures>(ID, 'all', 'list')
    return () => found && this.draw(found)
  }

  private draw({ engine, problem, script, resident }: Figures): void {
    showFigures(this.figures, [
      ...(engine
        ? ([
            ['version', label('count.version'), engine.version],
            ['engine', label('count.engine'), megabytes(engine.bytes)],
          ] as [string, string, string][])
        : []),
      ['script', label('count.script'), megabytes(script)],
      ['resident', label('count.resident'), megabytes(resident)],
    ])
    put(this.note, engine ? '' : (problem ?? label('note.idle')))
  }
}

const section: Section = {
  type: SECTION,
  title: () => label('label.title'),
  open: (place) => new Engine(place),
}
RED.plugins.registerPlugin(ID, section)

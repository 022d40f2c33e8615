/** What a family shows in the collection's sidebar: a plugin of this type, in a page of its own. */
export const SECTION = 'millrace-section'

/** Asks, and resolves to what draws the answer: then all sections can be drawn at once. */
export type Refresh = () => Promise<() => void>

export interface Section {
  type: typeof SECTION
  title(): string
  /**
   * Makes itself a place. Keeps no timers: as long as it can be seen, it is refreshed each few seconds. What it acts on
   * it refreshes itself.
   */
  open(place: JQuery): { refresh: Refresh }
}

/** Of the editor; newer than its published types. */
export interface Plugins {
  registerPlugin(id: string, plugin: object): void
  getPlugin(id: string): object | undefined
  getPluginsByType(type: string): object[]
}

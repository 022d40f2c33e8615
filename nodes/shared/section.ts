/** What a family shows in the collection's sidebar: a plugin of this type, in a page of its own. */
export const SECTION = 'millrace-section'

/** For what tells of states and figures, and is not waited for. */
export const REST_MS = 4000

export interface Section {
  type: typeof SECTION
  title(): string
  /** So long what it shows is new enough; without it, until the next round. */
  restMs?: number
  /** Draws itself into its place. Keeps no timers: as long as it can be seen, it is refreshed. */
  open(place: JQuery): { refresh(): Promise<void> }
}

/** Of the editor; newer than its published types. */
export interface Plugins {
  registerPlugin(id: string, plugin: object): void
  getPlugin(id: string): object | undefined
  getPluginsByType(type: string): object[]
}

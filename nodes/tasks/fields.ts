/** Saved properties that several nodes of the word have. No import of Node.js: the editor bundles this file. */
import { type Field, parsed, reference } from '../shared/config'

export const BROKER = 'millrace-tasks-broker'

/** The id of a broker node. */
export const broker = reference(BROKER)

/** Names, separated by commas. */
export const names: Field<string[]> = parsed('', (typed) =>
  typed
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean),
)

/** As it is typed, without the blanks around it. */
export const plain: Field<string> = parsed('', (typed) => typed)

/** Saved properties that several nodes of the word have. No import of Node.js: the editor bundles this file. */
import { choice, type Field, optionalReference, Problem, parsed, reference, text, verbatim } from '../shared/config'

export const STORE = 'millrace-memory-store'

/** The id of a store node. */
export const store = reference(STORE)

/** The id of an embedder node; blank: the built-in one. */
export const embedder = optionalReference('millrace-memory-embedder')

/** As it is typed, without the blanks around it. */
export const plain: Field<string> = parsed('', (typed) => typed)

/** Where a name comes from. */
export const nameKinds = ['str', 'msg', 'flow', 'global', 'env', 'jsonata'] as const
/** Where a time or a version comes from. */
export const timeKinds = ['str', 'num', 'msg', 'flow', 'global', 'jsonata'] as const
/** Where a value comes from. */
export const valueKinds = ['msg', 'flow', 'global', 'str', 'num', 'bool', 'json', 'env', 'jsonata'] as const
/** Where a query comes from. */
export const queryKinds = ['json', 'msg', 'flow', 'global', 'jsonata'] as const

/** Names, separated by commas. */
export const names: Field<string[]> = parsed('', (typed) =>
  typed
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean),
)

/** Whose memory it is. */
export const agent: Field<string> = parsed('agent', (typed) => typed)

export const namespaceFields = {
  namespace: text('main'),
  namespaceType: choice('str', nameKinds),
}

/** Where documents for retrieval are. */
export const documentFields = {
  namespace: text('documents'),
  namespaceType: choice('str', nameKinds),
}

export const keyFields = {
  key: text('topic'),
  keyType: choice('msg', nameKinds),
}

/** A time, or a version. */
export const timeFields = {
  time: verbatim(''),
  timeType: choice('str', timeKinds),
}

/** What becomes of a message whose document is not there. */
export const missing = choice('output', ['output', 'error'])

/** An object in JSON; blank: none. */
export const filter: Field<Record<string, unknown> | null> = {
  ...parsed('', (typed) => {
    if (typed === '') return null
    const read = parse(typed)
    if (read === null || typeof read !== 'object' || Array.isArray(read)) throw new Problem('config.object')
    return read as Record<string, unknown>
  }),
  verbatim: true,
}

function parse(typed: string): unknown {
  try {
    return JSON.parse(typed)
  } catch {
    throw new Problem('config.object')
  }
}

import type { NodeAPI } from 'node-red'
import { toEngineError } from './errors'

type Query = Record<string, unknown>
type Handler = (id: string, query: Query, given: unknown) => unknown | Promise<unknown>

/**
 * `GET <type>/:id/<name>` of the admin API: what `answer` returns or promises, as JSON, to users with the
 * permission `<type>.read`. Editors ask before the first deploy, too: an unknown node gets `null`.
 */
export function lookup(RED: NodeAPI, type: string, name: string, answer: Handler): void {
  RED.httpAdmin.get(`/${type}/:id/${name}`, RED.auth.needsPermission(`${type}.read`), responder(answer))
}

/** `POST <type>/:id/<name>`, for what does more than look: to users with the permission `<type>.write`. */
export function action(RED: NodeAPI, type: string, name: string, answer: Handler): void {
  RED.httpAdmin.post(`/${type}/:id/${name}`, RED.auth.needsPermission(`${type}.write`), responder(answer))
}

interface Request {
  params: Record<string, unknown>
  query: Query
  body?: unknown
}

interface Response {
  json(body: unknown): unknown
  status(code: number): Response
}

function responder(answer: Handler) {
  return async ({ params, query, body }: Request, response: Response): Promise<void> => {
    try {
      response.json((await answer(String(params.id), query, body)) ?? null)
    } catch (error) {
      const { code, message } = toEngineError(error)
      response.status(500).json({ code, message })
    }
  }
}

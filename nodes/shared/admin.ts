import type { NodeAPI } from 'node-red'
import { toEngineError } from './errors'

type Handler = (id: string) => unknown | Promise<unknown>

/**
 * `GET <type>/:id/<name>` of the admin API: what `answer` returns or promises, as JSON, to users with the
 * permission `<type>.read`. Editors ask before the first deploy, too: an unknown node gets `null`.
 */
export function lookup(RED: NodeAPI, type: string, name: string, answer: Handler): void {
  RED.httpAdmin.get(`/${type}/:id/${name}`, RED.auth.needsPermission(`${type}.read`), async (request, response) => {
    try {
      response.json((await answer(String(request.params.id))) ?? null)
    } catch (error) {
      const { code, message } = toEngineError(error)
      response.status(500).json({ code, message })
    }
  })
}

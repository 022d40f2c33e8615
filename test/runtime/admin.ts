/** Users of a Node-RED under test, each with its permission. */
import type { Runtime } from './harness'

/** Passwords are the names. */
const permissions = {
  admin: '*',
  reader: 'read',
  narrow: 'millrace-sync.read',
  actor: 'millrace-action-http.write',
  nobody: 'flows.none',
}

/** The settings that let them in. */
export const auth = () => `
  adminAuth: {
    type: 'credentials',
    users: async (name) => {
      const permissions = ${JSON.stringify(permissions)}[name]
      return permissions ? { username: name, permissions } : null
    },
    authenticate: async (name, password) => name === password ? module.exports.adminAuth.users(name) : null,
    default: async () => null,
  },`

export async function token(runtime: Runtime, user: string): Promise<string> {
  const body = new URLSearchParams({
    client_id: 'node-red-admin',
    grant_type: 'password',
    scope: '',
    username: user,
    password: user,
  })
  const ask = () => fetch(`${runtime.base}/auth/token`, { method: 'POST', body })
  // A connection may be that of a Node-RED which had the port before, and has just ended.
  const response = await ask().catch(ask)
  return ((await response.json()) as { access_token: string }).access_token
}

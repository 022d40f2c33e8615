/** The token endpoint: checks each word of the form, and gives tokens that the server knows again. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface OAuthOptions {
  clientId: string
  clientSecret: string
  workspaceId: string
  /** Seconds; none: the answer does not say. */
  expiresIn?: number | undefined
}

export class OAuth {
  /** Tokens that are good for a table. */
  private readonly tokens = new Map<string, string>()
  /** What was wrong with requests. */
  readonly complaints: string[] = []
  requests = 0
  /** The answers to the next requests, instead of a token. */
  readonly failures: { status: number; body: string }[] = []
  private readonly server: Server

  private constructor(readonly options: OAuthOptions) {
    this.server = createServer((request, response) => {
      void this.answer(request).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      })
    })
  }

  static async start(options: OAuthOptions, port = 0): Promise<OAuth> {
    const oauth = new OAuth(options)
    await once(oauth.server.listen(port, '127.0.0.1'), 'listening')
    return oauth
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Whether this is a token of ours for the table. */
  knows(token: string, table: string): boolean {
    return this.tokens.get(token) === table
  }

  /** All tokens given so far are good no more. */
  revoke(): void {
    this.tokens.clear()
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    this.requests++
    let text = ''
    for await (const part of request) text += part
    const failure = this.failures.shift()
    if (failure) return failure
    const form = new URLSearchParams(text)
    const basic = Buffer.from(`${this.options.clientId}:${this.options.clientSecret}`).toString('base64')
    if (request.headers.authorization !== `Basic ${basic}`) {
      return { status: 401, body: '{"error":"invalid_client"}' }
    }
    const wrong = this.wrong(request, form)
    if (wrong) {
      this.complaints.push(wrong)
      return { status: 400, body: JSON.stringify({ error: 'invalid_request', error_description: wrong }) }
    }
    const token = randomUUID()
    this.tokens.set(token, tableOf(form) ?? '')
    return {
      status: 200,
      body: JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: this.options.expiresIn }),
    }
  }

  private wrong(request: IncomingMessage, form: URLSearchParams): string | undefined {
    if (request.method !== 'POST' || request.url !== '/oidc/v1/token') return `${request.method} ${request.url}`
    const resource = `api://databricks/workspaces/${this.options.workspaceId}/zerobusDirectWriteApi`
    for (const [name, value] of Object.entries({ grant_type: 'client_credentials', scope: 'all-apis', resource })) {
      if (form.get(name) !== value) return `${name}: ${form.get(name)}`
    }
    const table = tableOf(form)
    const [catalog, schema] = table?.split('.') ?? []
    const details = [
      {
        type: 'unity_catalog_privileges',
        privileges: ['USE CATALOG'],
        object_type: 'CATALOG',
        object_full_path: catalog,
      },
      {
        type: 'unity_catalog_privileges',
        privileges: ['USE SCHEMA'],
        object_type: 'SCHEMA',
        object_full_path: `${catalog}.${schema}`,
      },
      {
        type: 'unity_catalog_privileges',
        privileges: ['SELECT', 'MODIFY'],
        object_type: 'TABLE',
        object_full_path: table,
        operations: ['zerobuswrite'],
      },
    ]
    const sorted = (list: object[]) => JSON.stringify(list.map((entry) => Object.entries(entry).sort()))
    return sorted(JSON.parse(form.get('authorization_details') ?? '[]')) === sorted(details)
      ? undefined
      : `authorization_details: ${form.get('authorization_details')}`
  }
}

function tableOf(form: URLSearchParams): string | undefined {
  try {
    return JSON.parse(form.get('authorization_details') ?? '[]')[2]?.object_full_path
  } catch {
    return undefined
  }
}

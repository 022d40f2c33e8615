/** A server that answers as OpenAI's API for embeddings does, and fails as it is told. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Asked {
  path: string
  authorization: string | undefined
  body: { model: string; input: string[]; encoding_format: string; dimensions?: number }
  /** When it came, by `performance.now()`. */
  at: number
}

/** What happens to a request instead of an answer; `null`: a right answer. */
export type Fault = null | ((response: ServerResponse, request: IncomingMessage) => void)

export const status =
  (code: number, body: unknown, headers: Record<string, string> = {}): Fault =>
  (response) =>
    response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

export const reset: Fault = (response) => response.destroy()
export const silence: Fault = () => {}

export class EmbeddingServer {
  readonly asked: Asked[] = []
  /** For the next requests, one after the other. */
  faults: Fault[] = []
  dimensions = 8
  /** The order of the rows, and how a vector is written. */
  reversed = false
  base64 = false
  key: string | undefined
  model = 'test-model'

  private constructor(
    private readonly server: Server,
    private readonly scheme: string,
  ) {}

  static async start(tls?: ServerOptions): Promise<EmbeddingServer> {
    const server = tls ? createSecureServer(tls) : createServer()
    const own = new EmbeddingServer(server, tls ? 'https' : 'http')
    server.on('request', (request, response) => own.answer(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return own
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const part of request) text += part
    const body = JSON.parse(text)
    const { authorization } = request.headers
    this.asked.push({ path: request.url ?? '', authorization, body, at: performance.now() })
    const fault = this.faults.shift()
    if (fault) return fault(response, request)
    const refuse = (code: number, message: string) =>
      status(code, { error: { message, type: 'invalid_request_error', param: null, code: null } })?.(response, request)
    if (request.url !== '/v1/embeddings' || request.method !== 'POST') return refuse(404, 'no such path')
    if (this.key && authorization !== `Bearer ${this.key}`) return refuse(401, 'Incorrect API key provided')
    if (body.model !== this.model) return refuse(404, `model ${body.model} not found`)
    if (body.input.some((input: string) => input === '')) return refuse(400, 'input cannot be an empty string')
    const data = body.input.map((input: string, index: number) => ({
      object: 'embedding',
      index,
      embedding: this.written(vectorOf(input, body.dimensions ?? this.dimensions)),
    }))
    if (this.reversed) data.reverse()
    const usage = { prompt_tokens: 1, total_tokens: 1 }
    status(200, { object: 'list', data, model: body.model, usage })?.(response, request)
  }

  private written(vector: number[]): unknown {
    return this.base64 ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector
  }
}

/** Texts with the same words are alike. */
export function vectorOf(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0.01)
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    const sum = [...word].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7)
    vector[sum % dimensions] = (vector[sum % dimensions] as number) + 1
  }
  return vector
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** Stands in the options of the transport, and must stand nowhere else. */
export const SECRET = 'canary-7f3a9'
/** A service repeats what it was given: the key, and a link of the message. */
export const INDISCREET = `, said ${SECRET} of https://app.example/reset?token=canary0123456789`

/** What the server does with the next request. */
export type Mood = 'ok' | 'refuse' | 'tooLarge' | 'unauthorized' | 'throttle' | 'down' | 'hang' | 'drop'

export interface Taken {
  to: string[]
  /** All of the request's body, for a look at what it says. */
  text: string
}

/** How a service spells a request and its answers. */
export interface Dialect {
  path: string
  taken(body: string): Taken
  ok(response: ServerResponse): void
  error(response: ServerResponse, mood: Exclude<Mood, 'ok' | 'hang' | 'drop'>): void
  /** The answer to `verify()`, where that is no message. */
  verify(response: ServerResponse, request: IncomingMessage, body: string, mood: Mood): boolean
}

/** An HTTP server on a free port that speaks a service's documented API. */
export class MailApi {
  mood: Mood = 'ok'
  readonly taken: Taken[] = []
  readonly moods: Mood[] = []
  url = ''
  /** Called with each request before it is answered. */
  onRequest: () => void = () => undefined
  /** The idempotency keys of the requests. */
  readonly keys: unknown[] = []

  static async start(dialect: Dialect): Promise<MailApi> {
    const api = new MailApi()
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      request.on('end', () => api.#answer(dialect, request, response, body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    onTestFinished(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
    return api
  }

  #answer(dialect: Dialect, request: IncomingMessage, response: ServerResponse, body: string): void {
    this.onRequest()
    if (dialect.verify(response, request, body, this.mood)) return
    if (request.url !== dialect.path) {
      response.writeHead(404).end()
      return
    }
    this.keys.push(request.headers['idempotency-key'])
    this.moods.push(this.mood)
    switch (this.mood) {
      case 'hang':
        return
      case 'drop':
        request.socket.destroy()
        return
      case 'ok':
        this.taken.push(dialect.taken(body))
        dialect.ok(response)
        return
      default:
        dialect.error(response, this.mood)
    }
  }
}

export const STATUS = { refuse: 400, tooLarge: 413, unauthorized: 401, throttle: 429, down: 503 } as const

interface Address {
  email: string
}

export const SENDGRID: Dialect = {
  path: '/v3/mail/send',
  taken: (body) => {
    const { personalizations } = JSON.parse(body) as {
      personalizations: { to: Address[]; cc?: Address[]; bcc?: Address[] }[]
    }
    return {
      to: personalizations.flatMap(({ to, cc = [], bcc = [] }) =>
        [...to, ...cc, ...bcc].map(({ email }) => email),
      ),
      text: body,
    }
  },
  ok: (response) => response.writeHead(202, { 'x-message-id': 'sg-1' }).end(),
  error: (response, mood) => {
    response
      .writeHead(STATUS[mood], {
        'content-type': 'application/json',
        ...(mood === 'throttle' ? { 'retry-after': '1' } : {}),
      })
      .end(
        JSON.stringify({
          errors: [{ message: `no: ${mood}${INDISCREET}`, field: 'from.email', help: null }],
        }),
      )
  },
  verify: (response, { url }, _body, mood) => {
    if (url !== '/v3/scopes') return false
    response.writeHead(mood === 'unauthorized' ? 401 : 200, { 'content-type': 'application/json' })
    response.end(
      mood === 'unauthorized'
        ? JSON.stringify({ errors: [{ message: `authorization required${INDISCREET}` }] })
        : '{"scopes":["mail.send"]}',
    )
    return true
  },
}

const SES_ERRORS = {
  refuse: [400, 'MessageRejected'],
  tooLarge: [413, 'RequestEntityTooLargeException'],
  unauthorized: [403, 'UnrecognizedClientException'],
  throttle: [429, 'TooManyRequestsException'],
  down: [503, 'ServiceUnavailableException'],
} as const

function sesError(response: ServerResponse, mood: keyof typeof SES_ERRORS): void {
  const [status, type] = SES_ERRORS[mood]
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'x-amzn-errortype': type,
      ...(mood === 'throttle' ? { 'retry-after': '1' } : {}),
    })
    .end(JSON.stringify({ message: `no: ${mood}${INDISCREET}` }))
}

export const SES: Dialect = {
  path: '/v2/email/outbound-emails',
  taken: (body) => {
    const { Content, Destination } = JSON.parse(body) as {
      Content: { Raw: { Data: string } }
      Destination: { ToAddresses: string[] }
    }
    return { to: Destination.ToAddresses, text: Buffer.from(Content.Raw.Data, 'base64').toString() }
  },
  ok: (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"MessageId":"ses-1"}'),
  error: sesError,
  verify: (response, _request, body, mood) => {
    if (!body.includes('invalid@invalid')) return false
    sesError(response, mood === 'unauthorized' ? 'unauthorized' : 'refuse')
    return true
  },
}

/** What test/support/httpPlugin.cjs posts to. */
export const PLUGIN: Dialect = {
  path: '/',
  taken: (body) => JSON.parse(body) as Taken,
  ok: (response) => response.writeHead(200).end(),
  error: (response, mood) => response.writeHead(STATUS[mood]).end(),
  verify: (response, { method }, _body, mood) => {
    if (method !== 'GET') return false
    response.writeHead(mood === 'unauthorized' ? 401 : 200).end()
    return true
  },
}

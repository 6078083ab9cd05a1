import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** Stands in the options of the transport, and must stand nowhere else. */
export const SECRET = 'canary-7f3a9'
/** A service repeats what it was given: the key, and a link of the message. */
export const INDISCREET = `, said ${SECRET} of https://app.example/reset?token=canary0123456789`

/** The behavior of the server at the next request. */
export type Mood =
  | 'ok'
  | 'refuse'
  | 'tooLarge'
  | 'unauthorized'
  | 'throttle'
  | 'down'
  | 'hang'
  | 'drop'
  | 'lose'
  | 'broken'
  | 'gateway'

export interface Taken {
  to: string[]
  /** All of the request's body, for a look at what it says. */
  text: string
}

/** The request of a service that contains several messages. */
export interface BatchDialect {
  path: string
  /** The messages in a request, each as a request of its own would have it. */
  messages(body: string): string[]
  /** @param refusals the reason for each message that is refused, undefined for the others */
  respond(response: ServerResponse, refusals: (string | undefined)[]): void
  /** Refuses the request as a whole. */
  refuse(response: ServerResponse): void
}

/** How a service spells a request and its answers. */
export interface Dialect {
  path: string
  taken(body: string): Taken
  ok(response: ServerResponse): void
  error(response: ServerResponse, mood: Exclude<Mood, 'ok' | 'hang' | 'drop' | 'lose'>): void
  /** The answer to `verify()`, where that is no message. */
  verify(response: ServerResponse, request: IncomingMessage, body: string, mood: Mood): boolean
  batch?: BatchDialect
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
  /** The number of messages in each request for several. */
  readonly batches: number[] = []
  /** Returns why a message to an address is refused. */
  refuse: (address: string) => string | undefined = () => undefined
  /** Whether a request for several messages is refused as a whole if one of them is. */
  strict = false
  /** Requests are carried out once this resolves. */
  gate: Promise<void> = Promise.resolve()
  /** The keys of the requests that were carried out, and are not carried out again. */
  readonly #carriedOut = new Set<unknown>()

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
    const messages = request.url === dialect.batch?.path ? dialect.batch?.messages(body) : undefined
    const together = dialect.batch !== undefined && messages !== undefined && messages.length > 1
    if (!together && request.url !== dialect.path) {
      response.writeHead(404).end()
      return
    }
    this.keys.push(request.headers['idempotency-key'])
    if (together) this.batches.push(messages.length)
    else this.moods.push(this.mood)
    const { mood } = this
    void this.gate.then(() => {
      this.#react(dialect, mood, request, response, () =>
        together
          ? this.#carryOutBatch(dialect, dialect.batch!, messages, request, response)
          : this.#carryOutOne(dialect, body, request, response),
      )
    })
  }

  #carryOutOne(
    dialect: Dialect,
    message: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): () => void {
    if (this.#refusal(dialect, message) !== undefined) return () => dialect.error(response, 'refuse')
    this.#take(dialect, request, [message])
    return () => dialect.ok(response)
  }

  #carryOutBatch(
    dialect: Dialect,
    batch: BatchDialect,
    messages: string[],
    request: IncomingMessage,
    response: ServerResponse,
  ): () => void {
    const refusals = messages.map((message) => this.#refusal(dialect, message))
    const accepted = messages.filter((_, index) => refusals[index] === undefined)
    if (this.strict && accepted.length < messages.length) return () => batch.refuse(response)
    this.#take(dialect, request, accepted)
    return () => batch.respond(response, refusals)
  }

  #refusal(dialect: Dialect, message: string): string | undefined {
    return dialect
      .taken(message)
      .to.map(this.refuse)
      .find((reason) => reason !== undefined)
  }

  /** @param carryOut returns what responds */
  #react(
    dialect: Dialect,
    mood: Mood,
    request: IncomingMessage,
    response: ServerResponse,
    carryOut: () => () => void,
  ): void {
    switch (mood) {
      case 'hang':
        return
      case 'drop':
        request.socket.destroy()
        return
      case 'lose':
        carryOut()
        request.socket.destroy()
        return
      case 'ok':
        carryOut()()
        return
      default:
        dialect.error(response, mood)
    }
  }

  #take(dialect: Dialect, request: IncomingMessage, messages: string[]): void {
    const key = request.headers['idempotency-key']
    if (key !== undefined && this.#carriedOut.has(key)) return
    this.#carriedOut.add(key)
    this.taken.push(...messages.map((message) => dialect.taken(message)))
  }
}

export const STATUS = {
  refuse: 400,
  tooLarge: 413,
  unauthorized: 401,
  throttle: 429,
  down: 503,
  broken: 500,
  gateway: 504,
} as const

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
  broken: [500, 'InternalServiceErrorException'],
  gateway: [504, 'GatewayTimeout'],
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

/** The API that test/support/httpPlugin.cjs posts to. */
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

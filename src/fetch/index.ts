import {
  createServer,
  type IncomingMessage,
  maxHeaderSize,
  request as sendRequest,
  type ServerResponse,
} from 'node:http'
import { duplexPair, Readable } from 'node:stream'
import express, {
  type NextFunction,
  type Request as ExpressRequest,
  type Response as ExpressResponse,
} from 'express'
import { z } from 'zod'
import {
  type DeliveryEventsOptions,
  deliveryEventsRouter,
} from '../express/deliveryEvents/deliveryEventsRouter.js'
import { mailRouter, type MailRouterOptions } from '../express/mailRouter.js'
import { unsubscribeRouter } from '../express/unsubscribeRouter.js'
import type { Inbox } from '../inbox/inbox.js'
import { inboxRouter, type InboxRouterOptions } from '../inbox/inboxRouter.js'
import { ThreadpostError } from '../index.js'
import type { Mailer } from '../mailer.js'
import { UNKNOWN_CLIENT } from '../web/access.js'
import type { Middleware } from '../web/middleware.js'
import { newProblem, notFound, unexpected } from '../web/problem.js'
import { checked } from '../web/requestSchema.js'
import { sendBody } from './sendBody.js'

/** A handler for every server that speaks the Fetch API (WHATWG), and for those on Node's `http`. */
export interface FetchHandler {
  /**
   * Responds to a request. The response streams, also server-sent events, and ends when the request's `signal` aborts.
   * @param client `remoteAddress` is the address of the client, which a `Request` doesn't have. Wrong tokens are limited for each
   *   address; without it, all clients share one limit, and with `auth: false` only requests to `hosts` are answered.
   * @throws ThreadpostError `INVALID_OPTIONS` if the body of the request was read already; rejects with what a defect threw
   */
  (request: Request, client?: { remoteAddress?: string | undefined }): Promise<Response>
  /**
   * Responds to a request of `node:http`, and so of Fastify and Koa. Nothing may have read its body.
   * @param next called without an argument for a path outside `base`, and with the error for a defect. Without `next`, the
   *   responses are 404 and 500.
   */
  readonly node: (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
  ) => void
}

/** Where a handler is mounted. */
export interface MountOptions {
  /** Path of the handler, such as `'/mail'`, unless the framework removes it from the URL. @default '/' */
  base?: string
  /**
   * Number of proxies in front of the server. The address of a client is then the one that the outermost of them reports in
   * `X-Forwarded-For`; without a proxy, a client could report any.
   * @default 0
   */
  trustProxy?: number
  /**
   * Milliseconds within which the body of a `Request` must be complete; otherwise the response is 408. Servers on `node:http` have their
   * own limit, `requestTimeout`.
   * @default 60_000
   */
  bodyTimeout?: number
}

const Mount = z.strictObject({
  base: z
    .string()
    .max(1_000)
    .regex(/^\/[\w.~/-]*$/, "must be a path that starts with a slash, such as '/mail'")
    .default('/'),
  trustProxy: z.int().min(0).max(100).default(0),
  bodyTimeout: z.int().min(1).max(86_400_000).default(60_000),
})

/** The HTTP API of a mailer and its dashboard: see {@link mailRouter}. @throws ThreadpostError `INVALID_OPTIONS` */
export function mailHandler(mailer: Mailer, options: MailRouterOptions & MountOptions): FetchHandler {
  return mounted(options, (own) => mailRouter(mailer, own))
}

/**
 * The pages and the API of an inbox: see {@link inboxRouter}. There is no login: every client that `hosts` lets in can read all mail.
 * @throws ThreadpostError `INVALID_OPTIONS`
 */
export function inboxHandler(
  inbox: Inbox,
  options: Omit<InboxRouterOptions, 'guard'> & MountOptions = {},
): FetchHandler {
  return mounted(options, (own) => inboxRouter(inbox, own))
}

/** The links to unsubscribe: see {@link unsubscribeRouter}. @throws ThreadpostError `INVALID_OPTIONS` */
export function unsubscribeHandler(mailer: Mailer, options: MountOptions = {}): FetchHandler {
  return mounted(options, (own) => {
    checked(z.strictObject({}), own, 'INVALID_OPTIONS')
    return unsubscribeRouter(mailer)
  })
}

/** The delivery events of providers: see {@link deliveryEventsRouter}. @throws ThreadpostError `INVALID_OPTIONS` */
export function deliveryEventsHandler(
  mailer: Mailer,
  options: DeliveryEventsOptions & MountOptions,
): FetchHandler {
  return mounted(options, (own) => deliveryEventsRouter(mailer, own))
}

/** @param routerOf creates the router from the options that are its own */
function mounted<T extends MountOptions>(
  options: T,
  routerOf: (own: Omit<T, keyof MountOptions>) => Middleware,
): FetchHandler {
  const {
    base: givenBase,
    trustProxy: givenProxies,
    bodyTimeout: givenTimeout,
    ...own
  } = (options as T | undefined) ?? ({} as T)
  const { base, trustProxy, bodyTimeout } = checked(
    Mount,
    { base: givenBase, trustProxy: givenProxies, bodyTimeout: givenTimeout },
    'INVALID_OPTIONS',
  )
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', trustProxy)
  app.use(base, routerOf(own))
  const handle: Middleware = (request, response, next) => {
    // Koa sets 404 beforehand, and Express sends what is set.
    if (!response.headersSent) response.statusCode = 200
    // Express turns Node's request and response into its own.
    void app(request as ExpressRequest, response as ExpressResponse, next as NextFunction)
  }
  const node: FetchHandler['node'] = (request, response, next) => {
    handle(request, response, next ?? ((error) => answerAlone(request, response, error)))
  }
  return Object.assign(
    async (request: Request, client: { remoteAddress?: string | undefined } = {}) =>
      respond(handle, request, bodyTimeout, client.remoteAddress),
    { node },
  )
}

/** Responds where no router did: to a path outside of it, and after a defect. Express made the request and the response its own. */
function answerAlone(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const [own, answer] = [request as ExpressRequest, response as ExpressResponse]
  if (error === undefined) void notFound(own, answer, () => undefined)
  else void unexpected(error, own, answer, () => response.destroy())
}

/** Fields of a connection (RFC 9110 section 7.6.1), and the length of a body, which is sent in chunks. */
const OF_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * Runs a handler of `node:http` for a request of the Fetch API. Node's HTTP server and client speak over a pair of streams in
 * memory, so that streaming, backpressure, and disconnects are those of a real connection.
 */
function respond(
  handle: Middleware,
  request: Request,
  bodyTimeout: number,
  remoteAddress = UNKNOWN_CLIENT,
): Promise<Response> {
  if (request.bodyUsed)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'The body of the request was read before it reached the handler: mount the handler before anything that reads bodies.',
    )
  const { method, signal, body } = request
  const { host, pathname, search, protocol } = new URL(request.url)
  const headers: Record<string, string> = { host }
  for (const [name, value] of request.headers) if (!OF_CONNECTION.has(name)) headers[name] = value
  const path = pathname + search
  // Node's server would refuse it in the middle of the request.
  if (headerSize(path, headers) > maxHeaderSize) return Promise.resolve(new Response(null, { status: 431 }))
  // The length is not repeated: it is a claim, and what follows a body that is longer would be read as another request.
  if (body !== null) headers['transfer-encoding'] = 'chunked'

  const [near, far] = duplexPair()
  // Neither end of a pair learns by itself that the other was destroyed.
  near.once('close', () => far.destroy())
  far.once('close', () => near.destroy())
  // A request that was collected as garbage no longer aborts its signal: what streams the response refers to it.
  Object.assign(far, { remoteAddress, encrypted: protocol === 'https:', request })

  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(signal.aborted ? (signal.reason as Error) : (error as Error))
      near.destroy()
    }
    createServer((incoming, response) => {
      handle(incoming, response, (error) => {
        if (error === undefined) answerAlone(incoming, response, error)
        else fail(error)
      })
    }).emit('connection', far)
    const outgoing = sendRequest({
      createConnection: () => near,
      method,
      path,
      headers,
      signal,
    })
    outgoing.on('error', fail)
    // Once there is a response, nothing needs the rest of the body.
    const needless = new AbortController()
    outgoing.once('response', (incoming) => {
      resolve(responseOf(method, incoming))
      needless.abort()
    })
    outgoing.once('close', () => needless.abort())
    if (body === null) outgoing.end()
    else {
      const timer = setTimeout(() => {
        resolve(timedOut(bodyTimeout))
        outgoing.destroy()
      }, bodyTimeout)
      timer.unref()
      sendBody(body, outgoing, needless.signal)
        // A body that fails ends the request, and the error of the connection says so.
        .catch((error: unknown) => outgoing.destroy(error as Error))
        .finally(() => clearTimeout(timer))
    }
  })
}

/** The octets of the request line and the header section, or a few less. */
function headerSize(path: string, headers: Record<string, string>): number {
  const fields = Object.entries(headers).map(([name, value]) => name.length + value.length + 4)
  return fields.reduce((sum, length) => sum + length, path.length)
}

function timedOut(bodyTimeout: number): Response {
  const problem = newProblem(
    'REQUEST_TIMEOUT',
    `The body was not complete within ${bodyTimeout} ms (bodyTimeout).`,
  )
  const headers = { 'content-type': 'application/problem+json; charset=utf-8' }
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

/** Statuses without a body (Fetch standard, section 2.2.3). */
const BODYLESS = new Set([204, 205, 304])

function responseOf(method: string, incoming: IncomingMessage): Response {
  const { statusCode: status = 500, rawHeaders } = incoming
  const headers = new Headers()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase()
    if (name === 'content-length' || !OF_CONNECTION.has(name)) headers.append(name, rawHeaders[index + 1]!)
  }
  const hasBody = method !== 'HEAD' && !BODYLESS.has(status)
  if (!hasBody) incoming.resume()
  const body = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null
  return new Response(body, { status, headers })
}

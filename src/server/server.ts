import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import express, { type ErrorRequestHandler, type Response } from 'express'
import helmet from 'helmet'
import { Authenticator } from '../express/authenticator.js'
import { inboxRouter, mailContext } from '../express/index.js'
import { loginPages, sessionHandlers } from '../express/login.js'
import { routerBehind, serve } from '../express/mailRouter.js'
import { type Mailer, ThreadpostError } from '../index.js'
import { testHooksOf } from '../testHooks.js'
import { isLoopback } from '../transports/providers.js'
import { listen } from '../web/listen.js'
import { hostCheck, SCOPES } from '../web/middleware.js'
import { nothingHere, problems } from '../web/problem.js'
import type { Stage } from './start/demo.js'
import { startRouter } from './start/startRouter.js'

export interface ServerOptions {
  mailer: Mailer
  /** 0 takes any free port. @default 3000 */
  port?: number
  /** @default '127.0.0.1' */
  host?: string
  /** Needed beyond loopback: the API takes it as a bearer token, and people log in with it. */
  token?: string
}

export interface RunningServer {
  /** `http://127.0.0.1:3000` */
  readonly url: string
  /** Stops listening, lets requests under way finish and ends streams. The mailer stays open. */
  close(): Promise<void>
}

/** How long a request under way may take after `close()`, in ms. */
const GRACE = 2000

/**
 * The main server: the start page at `/`, the API under `/mail`, and the inbox under `/inbox` where the mailer has one.
 * @throws ThreadpostError `INVALID_OPTIONS` beyond loopback without a token
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { mailer, port = 3000, host = '127.0.0.1', token } = options
  if (token === undefined && !isLoopback(host))
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `token: is required to listen on ${host}, for anybody who reaches it could send mail; or listen on 127.0.0.1`,
      { path: 'token' },
    )

  const app = express()
  const server = createServer(app)
  const url = await listen(server, port, host)

  const auth = token === undefined ? (false as const) : { tokens: [{ token, scopes: SCOPES }] }
  const gate = new Authenticator(auth)
  const open = new Set<Response>()
  app.disable('x-powered-by')
  app.use((_request, response, next) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    next()
  })
  app.use(helmet({ contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"] } } }))
  if (auth === false) app.use(hostCheck)
  app.use(mailContext())
  app.use('/mail', routerBehind(gate, mailer, {}, 1))
  app.use(loginPages(gate))
  serve(app, sessionHandlers(gate), gate)
  if (mailer.inbox !== undefined)
    app.use('/inbox', inboxRouter(mailer.inbox, { home: '../', guard: gate.page('read', 1) }))
  app.use(gate.page('read'))
  const start = startRouter(mailer, url, auth === false ? stageFor(mailer) : undefined)
  app.use(start.router)
  app.use(nothingHere, problems, unexpected)

  let closed: Promise<void> | undefined
  return {
    url,
    close: () => {
      start.close()
      return (closed ??= close(server, open))
    },
  }
}

/** What the start page shows under load, it shows with the embedded inbox and without a login only. */
function stageFor(mailer: Mailer): Stage | undefined {
  const endThread = testHooksOf(mailer)?.endThread
  if (endThread === undefined) return undefined
  return {
    templates: fileURLToPath(new URL('../../../templates', import.meta.url)),
    endThread,
    inlineSender: async (order) => {
      const { createEachTime } = await import('../bench/baselines/compileEachTime.js')
      return createEachTime(order)
    },
  }
}

async function close(server: Server, open: ReadonlySet<Response>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const response of open) {
    // A connection that turns idle from now on would be kept alive for the next request, which never comes.
    response.once('close', () => setImmediate(() => server.closeIdleConnections()))
    // Event streams never end by themselves.
    if (response.get('Content-Type')?.startsWith('text/event-stream')) response.end()
  }
  const timer = setTimeout(() => server.closeAllConnections(), GRACE)
  await closed
  clearTimeout(timer)
}

/** A bug: it is said to the log, and nothing of it to the client. */
const unexpected: ErrorRequestHandler = (error: unknown, request, response, next) => {
  process.emitWarning(
    `${request.method} ${request.path} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    'ThreadpostWarning',
  )
  if (response.headersSent) next(error)
  else response.status(500).json({ type: 'about:blank', title: 'Internal error', status: 500 })
}

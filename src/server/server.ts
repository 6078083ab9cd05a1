import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import express, { type Response } from 'express'
import helmet from 'helmet'
import { Authenticator } from '../express/authenticator.js'
import { inboxRouter, mailContext } from '../express/index.js'
import { loginPages, sessionHandlers } from '../express/login.js'
import { mailRouterWith, mountOperations } from '../express/mailRouter.js'
import { type Mailer, ThreadpostError } from '../index.js'
import { isLoopback } from '../loopback.js'
import { testHooksOf } from '../testHooks.js'
import { hostCheck } from '../web/access.js'
import { listen } from '../web/listen.js'
import { SCOPES } from '../web/middleware.js'
import { notFoundPage } from '../web/notFoundPage.js'
import { notFound, problemHandler, unexpected } from '../web/problem.js'
import { demoEnvironmentFor } from './start/demoEnvironment.js'
import { startRouter } from './start/startRouter.js'

export interface ServerOptions {
  mailer: Mailer
  /** 0 selects any free port. @default 3000 */
  port?: number
  /** @default '127.0.0.1' */
  host?: string
  /** Bearer token of the API, and the password of the login page. Required beyond loopback. */
  token?: string
  /**
   * Number of proxies in front of the server. The address of a client is then the one that the outermost of them reports in
   * `X-Forwarded-For`; without a proxy, a client could report any.
   * @default 0
   */
  trustProxy?: number
}

export interface RunningServer {
  /** `http://127.0.0.1:3000` */
  readonly url: string
  /** Stops listening, waits for requests in progress, and ends streams. The mailer stays open. */
  close(): Promise<void>
}

/** Maximum time for requests in progress after `close()`, in milliseconds. */
const CLOSE_GRACE = 2_000

/**
 * Starts the main server, with the start page at `/`, the API under `/mail`, and the mailer's inbox, if it has one,
 * under `/inbox`.
 * @throws ThreadpostError `INVALID_OPTIONS` beyond loopback without a token
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { mailer, port = 3000, host = '127.0.0.1', token, trustProxy = 0 } = options
  if (token === undefined && !isLoopback(host))
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `token: is required to listen on ${host}, because anyone who can reach it could send mail; or listen on 127.0.0.1`,
      { path: 'token' },
    )

  const auth = token === undefined ? (false as const) : { tokens: [{ token, scopes: SCOPES }] }
  // It refuses a short token, before anything listens.
  const authenticator = new Authenticator(auth)
  const app = express()
  const server = createServer(app)
  const url = await listen(server, port, host)

  const openResponses = new Set<Response>()
  app.disable('x-powered-by')
  app.set('trust proxy', trustProxy)
  app.use((_request, response, next) => {
    openResponses.add(response)
    response.once('close', () => openResponses.delete(response))
    next()
  })
  app.use(
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"] } },
      // A browser warns on the console about a sandboxed frame, such as that of a mail, whose response has this header.
      originAgentCluster: false,
    }),
  )
  if (auth === false) app.use(hostCheck())
  app.use(mailContext())
  app.use(
    '/mail',
    mailRouterWith(
      authenticator,
      mailer,
      { home: '../', ...(mailer.inbox === undefined ? {} : { inbox: '../inbox/' }) },
      1,
    ),
  )
  app.use(loginPages(authenticator))
  mountOperations(app, sessionHandlers(authenticator), authenticator)
  if (mailer.inbox !== undefined)
    app.use(
      '/inbox',
      inboxRouter(mailer.inbox, { home: '../', dashboard: '../mail/', guard: authenticator.page('read', 1) }),
    )
  app.use(authenticator.page('read'))
  const environment = auth === false ? demoEnvironmentFor(mailer) : undefined
  const start = startRouter(mailer, {
    url,
    threaded: testHooksOf(mailer)?.threaded ?? true,
    ...(environment === undefined ? {} : { environment }),
  })
  app.use(start.router)
  app.use(notFoundPage, notFound, problemHandler, unexpected)

  let closed: Promise<void> | undefined
  return {
    url,
    close: () =>
      (closed ??= Promise.all([start.close(), close(server, openResponses)]).then(() => undefined)),
  }
}

async function close(server: Server, openResponses: ReadonlySet<Response>): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  for (const response of openResponses) {
    // A connection that becomes idle now would be kept alive for a next request that never comes.
    response.once('close', () => setImmediate(() => server.closeIdleConnections()))
    // Event streams never end on their own.
    if (response.get('Content-Type')?.startsWith('text/event-stream')) response.end()
  }
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE)
  await closed
  clearTimeout(timer)
}

import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { dashboardRouter } from '../dashboard/dashboardRouter.js'
import type { Mailer } from '../mailer.js'
import { bodyless, jsonBody, methodNotAllowed, trailingSlash } from '../web/middleware.js'
import { refuseImageRequests, pageHeaders } from '../web/page.js'
import { notFound, problemHandler } from '../web/problem.js'
import { checked } from '../web/requestSchema.js'
import { Authenticator } from './authenticator.js'
import { messageHandlers, serviceHandlers } from './handlers.js'
import { loginPages, sessionHandlers } from './login.js'
import { type Operation, type OperationName, OPERATIONS } from './operations.js'
import type { Auth } from './session.js'

/** It is a page as well, which others put on the router, before. */
const PAGE = '/login'
/** Bytes of a body that anybody may send. */
const OPEN_LIMIT = 10_000

/**
 * Puts operations on a router: what is served is what the document says, for both are made from the same list.
 * @param bodyLimit bytes of a request's body, where not everybody may send one
 */
export function mountOperations(
  router: Router,
  handlers: Partial<Record<OperationName, RequestHandler>>,
  gate: Authenticator,
  bodyLimit = OPEN_LIMIT,
): void {
  const names = Object.keys(handlers) as OperationName[]
  // Whole paths first: `/messages/batch` is no message.
  const paths = new Set(
    names.map((name) => OPERATIONS[name].path).toSorted((a, b) => unknowns(a) - unknowns(b)),
  )
  for (const path of paths) {
    const route = path.replace(/\{(\w+)\}/g, ':$1')
    const here = names.filter((name) => OPERATIONS[name].path === path)
    for (const name of here) {
      const { method, scope, body }: Operation = OPERATIONS[name]
      const guards = scope === undefined ? [] : [gate.allow(scope)]
      const limit = scope === undefined ? Math.min(OPEN_LIMIT, bodyLimit) : bodyLimit
      const reads = body === undefined ? (method === 'post' ? [bodyless] : []) : [jsonBody(limit)]
      router[method](route, ...guards, ...reads, handlers[name] as RequestHandler)
    }
    const methods = here.map((name) => OPERATIONS[name].method)
    router.all(route, methodNotAllowed(path === PAGE ? [...methods, 'get'] : methods))
  }
}

function unknowns(path: string): number {
  return path.split('{').length
}

export interface MailRouterOptions {
  /**
   * Who may use it: `{ tokens: [{ token, scopes }] }`, the scopes being of `'send'`, `'read'` and `'manage'`; or `false` for
   * loopback and for hosts that check by themselves. There is no default: nothing is open by accident.
   */
  auth: Auth
  /** Bytes of a request's body. @default 10_485_760 (10 MB) */
  bodyLimit?: number
  /** Messages of one batch. @default 500 */
  batchLimit?: number
}

const Options = z.strictObject({
  auth: z.unknown().optional(),
  bodyLimit: z
    .int()
    .min(1)
    .default(10 * 1024 * 1024),
  batchLimit: z.int().min(1).max(10_000).default(500),
})

/**
 * The HTTP API over a mailer and its pages, to be mounted in an Express app under any path.
 *
 * `POST /messages` and `/messages/batch` (scope send) answer 202; `GET /messages` and `/messages/:id` (read) tell what
 * became of them; `POST /messages/:id/{retry,cancel,mark-sent}` (manage) change it; `GET /templates`,
 * `POST /templates/:name/render`, `GET /stats`, `/metrics` and `/openapi.json` (read); `GET /healthz` and `/readyz` are
 * open. Errors are `application/problem+json`. The dashboard is at `/`, the previews at `/preview`, the login at `/login`.
 * @throws ThreadpostError `INVALID_OPTIONS` without `auth`, or where an option is wrong
 */
export function mailRouter(mailer: Mailer, options: MailRouterOptions): Router {
  return mailRouterWith(
    new Authenticator((options as Partial<MailRouterOptions> | undefined)?.auth),
    mailer,
    options,
  )
}

/** @param up levels of the path by which the login page is above the router; 0 where it is the router's own */
export function mailRouterWith(
  gate: Authenticator,
  mailer: Mailer,
  options: Omit<MailRouterOptions, 'auth'>,
  up = 0,
): Router {
  const { bodyLimit, batchLimit } = checked(Options, options, 'INVALID_OPTIONS')
  const handlers: Record<OperationName, RequestHandler> = {
    ...messageHandlers(mailer, batchLimit),
    ...serviceHandlers(mailer),
    ...sessionHandlers(gate, up),
  }
  const router = Router()
  router.use(apiHeaders, refuseImageRequests)
  router.use(loginPages(gate, up))
  mountOperations(router, handlers, gate, bodyLimit)

  // The pages: whatever else there is belongs to people who are logged in.
  const { allow, signingKey } = gate
  const dashboard = dashboardRouter(mailer, { allow, guard: gate.page('read', up), signingKey })
  router.use(trailingSlash, pageHeaders, dashboard)

  router.use(notFound, problemHandler)
  return router
}

const apiHeaders: RequestHandler = (_request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
  next()
}

import { type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { dashboardRouter } from '../dashboard/dashboardRouter.js'
import type { Mailer } from '../mailer.js'
import { hostCheck, Hosts } from '../web/access.js'
import {
  asMiddleware,
  bodyless,
  csvBody,
  guardSearch,
  jsonBody,
  methodNotAllowed,
  type Middleware,
  trailingSlash,
} from '../web/middleware.js'
import { notFoundPage } from '../web/notFoundPage.js'
import { refuseImageRequests, pageHeaders } from '../web/page.js'
import { notFound, problemHandler } from '../web/problem.js'
import { checked } from '../web/requestSchema.js'
import { Authenticator } from './authenticator.js'
import { messageHandlers, serviceHandlers, suppressionHandlers, webhookHandlers } from './handlers.js'
import { loginPages, sessionHandlers } from './login.js'
import { type Operation, type OperationName, OPERATIONS } from './operations.js'
import type { Auth } from './session.js'

/** This path also has a page, which `loginPages()` adds to the router first. */
const PAGE = '/login'
/** Maximum body size in bytes of operations that need no token. */
const OPEN_LIMIT = 10_000

/**
 * Adds operations to a router. The routes always match the OpenAPI document, because both are generated from the same list.
 * @param bodyLimit maximum body size in bytes of operations that need a token
 * @param own further guards of an operation, behind the one for its scope
 * @internal
 */
export function mountOperations(
  router: Router,
  handlers: Partial<Record<OperationName, RequestHandler>>,
  authenticator: Authenticator,
  bodyLimit = OPEN_LIMIT,
  own: Partial<Record<OperationName, RequestHandler[]>> = {},
): void {
  const names = Object.keys(handlers) as OperationName[]
  // Paths without parameters come first: `batch` in `/messages/batch` is not the id of a message.
  const paths = new Set(
    names.map((name) => OPERATIONS[name].path).toSorted((a, b) => unknowns(a) - unknowns(b)),
  )
  for (const path of paths) {
    const route = path.replace(/\{(\w+)\}/g, ':$1')
    const here = names.filter((name) => OPERATIONS[name].path === path)
    for (const name of here) {
      const { method, scope, body, bodyType }: Operation = OPERATIONS[name]
      const guards = scope === undefined ? [] : [authenticator.allow(scope), ...(own[name] ?? [])]
      const limit = scope === undefined ? Math.min(OPEN_LIMIT, bodyLimit) : bodyLimit
      const reads =
        body === undefined
          ? method === 'post'
            ? [bodyless]
            : []
          : [bodyType === undefined ? jsonBody(limit) : csvBody(limit)]
      router[method](route, ...guards, ...reads, handlers[name] as RequestHandler)
    }
    const methods = here.map((name) => OPERATIONS[name].method)
    router.all(route, methodNotAllowed(path === PAGE ? [...methods, 'get'] : methods))
  }
}

function unknowns(path: string): number {
  return path.split('{').length
}

/** Options of {@link mailRouter}. */
export interface MailRouterOptions {
  /**
   * Access control: `{ tokens: [{ token, scopes }] }` with the scopes `'send'`, `'read'`, `'manage'` and `'templates'`; or `false` for
   * loopback and for hosts that authenticate requests themselves. There is no default, so that nothing is open by accident.
   */
  auth: Auth
  /**
   * Host names of the server, such as `'mail.acme.example'`, with a port to allow only that one. With `auth: false`, the router
   * answers only requests from this machine to a name such as `localhost`, and requests to these hosts; `'*'` means every host.
   * With tokens, `hosts` restricts the router to these hosts and this machine.
   * @default none
   */
  hosts?: readonly string[]
  /** URL of your site's start page, relative to the mount path: the dashboard links to it. @default none */
  home?: string
  /** URL of the inbox, relative to the mount path: the dashboard links to it, and to each mail there. @default none */
  inbox?: string
  /** Maximum size of a request body in bytes. @default 10_485_760 (10 MB) */
  bodyLimit?: number
  /** Maximum number of messages per batch. @default 500 */
  batchLimit?: number
}

const Options = z.strictObject({
  auth: z.unknown().optional(),
  hosts: Hosts.optional(),
  home: z.string().optional(),
  inbox: z.string().optional(),
  bodyLimit: z
    .int()
    .min(1)
    .default(10 * 1024 * 1024),
  batchLimit: z.int().min(1).max(10_000).default(500),
})

/**
 * Creates an Express router with the HTTP API of a mailer and its dashboard. It can be mounted under any path.
 *
 * Scope `send`: `POST /messages` and `/messages/batch`, which respond with 202. Scope `read`: `GET /messages`, `/messages/:id`,
 * `/suppressions`, `/webhooks`, `/schedules`, `/templates`, `/stats`, `/metrics` and `/openapi.json`, and `POST /templates/:name/render`. Scope `manage`:
 * `POST /messages/:id/{retry,cancel,mark-sent}`, `POST /erase`, `POST` and `DELETE /suppressions`, `DELETE /schedules/:name`,
 * and `POST /webhooks/:id/redeliver`. Scope `templates`: the `mjml` of a mail may
 * use `@app`, the application's helpers, and files of the template folder. `GET /healthz` and `/readyz` need no token. Errors are
 * `application/problem+json`. The dashboard is at `/`, the previews at `/preview`, the login at `/login`.
 * @throws ThreadpostError `INVALID_OPTIONS` without `auth`, or if an option is invalid
 */
export function mailRouter(mailer: Mailer, options: MailRouterOptions): Middleware {
  const authenticator = new Authenticator((options as Partial<MailRouterOptions> | undefined)?.auth)
  return asMiddleware(mailRouterWith(authenticator, mailer, options))
}

/**
 * @param up number of path levels from this router up to the login page; 0 if this router has the page
 * @internal
 */
export function mailRouterWith(
  authenticator: Authenticator,
  mailer: Mailer,
  options: Omit<MailRouterOptions, 'auth'>,
  up = 0,
): Router {
  const { bodyLimit, batchLimit, hosts, ...links } = checked(Options, options, 'INVALID_OPTIONS')
  const handlers: Record<OperationName, RequestHandler> = {
    ...messageHandlers(mailer, batchLimit, (request) =>
      authenticator.scopesOf(request).includes('templates'),
    ),
    ...suppressionHandlers(mailer),
    ...webhookHandlers(mailer),
    ...serviceHandlers(mailer, (request) => authenticator.whoOf(request)),
    ...sessionHandlers(authenticator, up),
  }
  const router = Router()
  if (!authenticator.requiresToken || hosts !== undefined) router.use(hostCheck(hosts))
  router.use(apiHeaders, refuseImageRequests)
  router.use(loginPages(authenticator, up))
  const { recipients: redacted } = mailer.redact
  const forAddresses = redacted ? [authenticator.allow('manage')] : []
  mountOperations(router, handlers, authenticator, bodyLimit, {
    listMessages: [guardSearch(redacted, authenticator.allow)],
    listSuppressions: forAddresses,
    exportSuppressions: forAddresses,
  })

  // All other paths are pages for people who are logged in.
  const { allow, signingKey } = authenticator
  const dashboard = dashboardRouter(mailer, {
    allow,
    guard: authenticator.page('read', up),
    signingKey,
    who: (request) => authenticator.whoOf(request),
    links,
  })
  router.use(trailingSlash, pageHeaders, dashboard)

  router.use(notFoundPage, notFound, problemHandler)
  return router
}

const apiHeaders: RequestHandler = (_request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
  next()
}

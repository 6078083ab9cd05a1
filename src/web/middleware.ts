import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type RequestHandler, type Response } from 'express'
import { limitBody } from './bodyLimit.js'
import { sendProblem } from './problem.js'

/**
 * A handler for `app.use()` of Express 4 and 5. Its types are those of Node, so that the package needs no types of Express. Without
 * Express, use `threadpost/fetch`.
 */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** An error handler for `app.use()` of Express 4 and 5. */
export type ErrorMiddleware = (
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** Express turns Node's request and response into its own before it calls a handler. */
export function asMiddleware(handler: RequestHandler): Middleware {
  return handler as Middleware
}

/**
 * Redirects a browser from `/inbox` to `/inbox/`, because relative links resolve differently without the slash. The redirect is
 * relative too, so that it works behind a proxy that strips a prefix.
 */
export const trailingSlash: RequestHandler = (request, response, next) => {
  const [path = '', query] = request.originalUrl.split('?')
  if (request.path !== '/' || path.endsWith('/') || (request.method !== 'GET' && request.method !== 'HEAD')) {
    next()
    return
  }
  const last = path.slice(path.lastIndexOf('/') + 1)
  response
    .status(308)
    .set('Location', `./${last}/${query === undefined ? '' : `?${query}`}`)
    .end()
}

/**
 * Responds to methods that a path doesn't have: 405 with `Allow` (RFC 9110 section 15.5.6).
 * @param methods in lower case, as in Express
 */
export function methodNotAllowed(methods: readonly string[]): RequestHandler {
  const names = methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  const allow = [...new Set(names)].join(', ')
  return (request, response) => {
    response.set('Allow', allow)
    if (request.method === 'OPTIONS') response.status(204).end()
    else
      sendProblem(
        response,
        'METHOD_NOT_ALLOWED',
        `This path doesn't support ${request.method}. It supports ${allow}.`,
      )
  }
}

/**
 * A permission of a token: `send` queues mail, `read` shows messages, `manage` cancels, retries and marks them. With `templates`, the
 * MJML of a mail may use the application's globals, helpers, and files.
 */
export type Scope = 'send' | 'read' | 'manage' | 'templates'

export const SCOPES = ['send', 'read', 'manage', 'templates'] as const satisfies readonly Scope[]

/** Creates a handler that rejects requests without the scope. */
export type Allow = (scope: Scope) => RequestHandler

/**
 * Creates a handler for lists of messages. If recipients are redacted, a search needs the scope `manage`, because it matches parts of
 * the whole addresses, and so would spell them out.
 */
export function guardSearch(redacted: boolean, allow: Allow): RequestHandler {
  const manage = allow('manage')
  return (request, response, next) => {
    const { q } = request.query
    if (redacted && q !== undefined && q !== '') manage(request, response, next)
    else next()
  }
}

/**
 * Reads a JSON body and rejects any other. A form can't send JSON, and a script on a foreign page can't without a CORS preflight, so
 * foreign pages can't post here.
 * @param limit maximum size in bytes, after decompression
 */
export function jsonBody(limit: number): RequestHandler {
  const parse = limitBody(limit, express.json({ limit, strict: true }))
  return (request, response, next) => {
    if (request.is('application/json') === 'application/json') parse(request, response, next)
    else rejectContentType(response)
  }
}

/**
 * Reads a CSV body as text and rejects any other. A form can't send CSV, and a script on a foreign page can't without a CORS preflight.
 * @param limit maximum size in bytes, after decompression
 */
export function csvBody(limit: number): RequestHandler {
  const parse = limitBody(limit, express.text({ limit, type: 'text/csv' }))
  return (request, response, next) => {
    if (request.is('text/csv') === 'text/csv') parse(request, response, next)
    else rejectContentType(response, 'The body must be CSV, with Content-Type: text/csv.')
  }
}

/** For operations without a body. A JSON body is ignored; the content types of forms are rejected. */
export const bodyless: RequestHandler = (request, response, next) => {
  const type = request.headers['content-type']
  if (type === undefined || /^application\/json\b/i.test(type)) next()
  else rejectContentType(response)
}

function rejectContentType(
  response: Response,
  problem = 'The body must be JSON, with Content-Type: application/json.',
): void {
  sendProblem(response, 'UNSUPPORTED_MEDIA_TYPE', problem)
}

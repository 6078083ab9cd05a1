import express, { type RequestHandler, type Response } from 'express'
import { sendProblem } from './problem.js'

/**
 * Sends a browser from `/inbox` to `/inbox/`, for relative links mean something else without the slash. The redirect is
 * relative too, so that it holds behind a proxy that strips a prefix.
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

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/**
 * Answers only to names of loopback. A page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding) and
 * would read the mail of a server that has no login; such a request still carries that name.
 */
export const hostCheck: RequestHandler = (request, response, next) => {
  if (LOOPBACK.test(request.headers.host ?? '')) {
    next()
    return
  }
  response
    .status(421)
    .type('text/plain')
    .send(
      'This server has no token, so it answers to localhost only. Start it with a token to reach it by other names.\n',
    )
}

/**
 * Answers where a path is there and a method is not: 405 with `Allow` (RFC 9110 section 15.5.6).
 * @param methods in small letters, as Express has them
 */
export function methodNotAllowed(methods: readonly string[]): RequestHandler {
  const names = methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  const allow = [...new Set(names)].join(', ')
  return (request, response) => {
    response.set('Allow', allow)
    if (request.method === 'OPTIONS') response.status(204).end()
    else
      sendProblem(response, 'METHOD_NOT_ALLOWED', `Here is nothing to ${request.method}; there is ${allow}.`)
  }
}

/** What a token may do: queue mail; read messages; cancel, retry and mark them. */
export type Scope = 'send' | 'read' | 'manage'

export const SCOPES = ['send', 'read', 'manage'] as const satisfies readonly Scope[]

/** Makes the handler that lets only those pass who have a scope. */
export type Allow = (scope: Scope) => RequestHandler

/**
 * Reads a JSON body and nothing else. A form can't send one across sites without asking first, which is what keeps
 * foreign pages from posting here.
 * @param limit bytes, after decompression
 */
export function jsonBody(limit: number): RequestHandler {
  const parse: RequestHandler = express.json({ limit, strict: true })
  return (request, response, next) => {
    if (request.is('application/json') === 'application/json') parse(request, response, next)
    else refuse(response)
  }
}

/** Where no body is read: one may come, but not what a form sends. */
export const bodyless: RequestHandler = (request, response, next) => {
  const type = request.headers['content-type']
  if (type === undefined || /^application\/json\b/i.test(type)) next()
  else refuse(response)
}

function refuse(response: Response): void {
  sendProblem(
    response,
    'UNSUPPORTED_MEDIA_TYPE',
    'The body must be JSON, with Content-Type: application/json.',
  )
}

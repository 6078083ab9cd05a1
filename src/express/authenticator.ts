import { createHmac, randomBytes } from 'node:crypto'
import { parse, serialize } from 'cookie'
import type { Request, RequestHandler, Response } from 'express'
import { type Allow, type Scope, SCOPES } from '../web/middleware.js'
import { sendProblem } from '../web/problem.js'
import {
  type Auth,
  isSafe,
  LoginRateLimit,
  originOf,
  SESSION_AGE,
  Sessions,
  type Token,
  tokensOf,
} from './session.js'

const COOKIE = 'threadpost_session'

/**
 * Who is let in: programs by bearer token (RFC 6750), people by the cookie that their login with the same token gave
 * them. What a cookie is to change must come from a page of this site.
 */
export class Authenticator {
  /** Whether there are tokens at all; without, everybody may do everything. */
  readonly requiresToken: boolean
  readonly #known: (given: string) => Token | undefined
  readonly #sessions: Sessions
  readonly #throttle = new LoginRateLimit()

  /** @throws ThreadpostError `INVALID_OPTIONS`: nothing is open by accident. */
  constructor(auth: Auth | undefined) {
    this.requiresToken = auth !== false
    this.#known = auth === false ? () => undefined : tokensOf(auth)
    const tokens = auth === false ? [] : (auth?.tokens ?? [])
    this.#sessions = new Sessions(tokens)
    this.signingKey =
      tokens.length === 0
        ? randomBytes(32)
        : createHmac('sha256', 'threadpost addresses')
            .update(JSON.stringify(tokens.map(({ token }) => token).sort()))
            .digest()
  }

  /**
   * A secret for signing addresses. Every process that knows the same tokens has the same; without tokens there is nothing to
   * keep, and each process has its own.
   */
  readonly signingKey: Uint8Array

  /** For programs and scripts: who may not is told so by a problem. */
  readonly allow: Allow = (scope) => (request, response, next) => {
    if (this.#admits(scope, request, response)) next()
  }

  /**
   * For pages: who isn't logged in is sent to the login page.
   * @param up levels of the path by which the login page is above the router that this handler is used in
   */
  page(scope: Scope, up = 0): RequestHandler {
    return (request, response, next) => {
      const browses = request.method === 'GET' && request.accepts(['json', 'html']) === 'html'
      if (browses && this.scopesOf(request).length === 0 && request.get('Authorization') === undefined)
        response.status(303).set('Location', loginOf(request, up)).end()
      else if (this.#admits(scope, request, response)) next()
    }
  }

  /** What the request may do. */
  scopesOf(request: Request): readonly Scope[] {
    if (!this.requiresToken) return SCOPES
    return (bearerOf(request) === undefined ? this.#session(request) : this.#bearer(request))?.scopes ?? []
  }

  /** Gives the cookie of a session for the token, unless it is wrong, of no use to a person, or one guess too many. */
  login(given: string, request: Request, response: Response): readonly Scope[] | undefined {
    if (originOf(request) === 'foreign') return refuseForeign(response)
    if (this.#tooMany(request, response)) return undefined
    const token = this.#known(given)
    if (token === undefined) {
      this.#throttle.failed(addressOf(request))
      sendProblem(response, 'UNAUTHORIZED', 'This token is not known.', { path: 'token' })
      return undefined
    }
    if (!token.scopes.includes('read')) {
      sendProblem(response, 'FORBIDDEN', "This token lacks the scope 'read', so there is nothing to see.")
      return undefined
    }
    setCookie(request, response, this.#sessions.begin(token), SESSION_AGE)
    return token.scopes
  }

  logout(request: Request, response: Response): void {
    if (originOf(request) === 'foreign') return refuseForeign(response)
    this.#sessions.end(cookieOf(request))
    setCookie(request, response, '', 0)
    response.status(204).end()
  }

  #admits(scope: Scope, request: Request, response: Response): boolean {
    const bearer = bearerOf(request)
    if (bearer === undefined && !isSafe(request)) {
      // With a cookie a browser must say so; without tokens it is enough that none says otherwise.
      const origin = originOf(request)
      if (origin === 'foreign' || (origin === 'unknown' && this.#session(request) !== undefined)) {
        refuseForeign(response)
        return false
      }
    }
    if (!this.requiresToken) return true
    const token = bearer === undefined ? this.#session(request) : this.#bearer(request)
    if (token?.scopes.includes(scope) === true) return true
    if (token !== undefined) {
      response.set('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
      sendProblem(response, 'FORBIDDEN', `This token lacks the scope '${scope}'.`)
      return false
    }
    if (bearer !== undefined) {
      if (this.#tooMany(request, response)) return false
      this.#throttle.failed(addressOf(request))
    }
    response.set('WWW-Authenticate', 'Bearer')
    sendProblem(response, 'UNAUTHORIZED', 'This needs a valid token: Authorization: Bearer TOKEN.')
    return false
  }

  #tooMany(request: Request, response: Response): boolean {
    const wait = this.#throttle.wait(addressOf(request))
    if (wait === 0) return false
    response.set('Retry-After', String(wait))
    sendProblem(response, 'TOO_MANY_REQUESTS', `Too many wrong tokens from here. Try again in ${wait} s.`)
    return true
  }

  #bearer(request: Request): Token | undefined {
    return this.#known(bearerOf(request) ?? '')
  }

  #session(request: Request): Token | undefined {
    const value = cookieOf(request)
    return value === '' ? undefined : this.#sessions.find(value)
  }
}

/** The token of the Authorization header, '' where there is none in it; undefined without the header. */
function bearerOf(request: Request): string | undefined {
  const header = request.get('Authorization')
  return header === undefined ? undefined : (/^bearer +(\S+)$/i.exec(header)?.[1] ?? '')
}

function cookieOf(request: Request): string {
  return parse(request.get('Cookie') ?? '')[COOKIE] ?? ''
}

/** Without a path: it is then that of the login page as the browser sees it (RFC 6265 section 5.1.4), behind any proxy. */
function setCookie(request: Request, response: Response, value: string, age: number): void {
  const secure = request.secure || request.get('X-Forwarded-Proto')?.startsWith('https') === true
  const options = { httpOnly: true, sameSite: 'strict', secure, maxAge: age / 1000 } as const
  response.append('Set-Cookie', serialize(COOKIE, value, options))
}

function addressOf({ ip }: Request): string {
  return ip ?? 'unknown'
}

function refuseForeign(response: Response): undefined {
  sendProblem(response, 'FORBIDDEN', 'This is for pages of this site only: the request came from elsewhere.')
}

/** The way from a page to the login page, which leads back to it. Relative, so that it holds behind any prefix. */
function loginOf({ originalUrl, baseUrl }: Request, up: number): string {
  const above = up === 0 ? [] : baseUrl.split('/').slice(-up)
  const page = originalUrl.slice(baseUrl.length + 1)
  const depth = (page.split('?')[0] ?? '').split('/').length - 1 + up
  const next = encodeURIComponent([...above, page].join('/'))
  return `${depth === 0 ? './' : '../'.repeat(depth)}login?next=${next}`
}

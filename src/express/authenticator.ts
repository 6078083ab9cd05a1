import { createHmac, randomBytes } from 'node:crypto'
import { parse, serialize } from 'cookie'
import type { Request, RequestHandler, Response } from 'express'
import { FOREIGN_REQUEST, isSafe, originOf } from '../web/access.js'
import { clientNetwork } from '../web/clientNetwork.js'
import { type Allow, type Scope, SCOPES } from '../web/middleware.js'
import { sendProblem } from '../web/problem.js'
import { type Auth, LoginRateLimit, SESSION_AGE, Sessions, type Token, tokensOf } from './session.js'

const COOKIE = 'threadpost_session'

/** The result of checking a token that a client presented. */
interface Presented {
  /** Absent if the token is wrong, or if the client must wait. */
  token?: Token
  /** Seconds that the client must wait after too many wrong tokens. */
  wait: number
}

/**
 * Authenticates requests: programs by bearer token (RFC 6750), people by the session cookie that they get when they log in with the
 * same token. A request that changes something with a cookie must come from a page of this site.
 */
export class Authenticator {
  /** Whether a token is required. If not, every request has all scopes. */
  readonly requiresToken: boolean
  readonly #tokenOf: (presented: string) => Token | undefined
  readonly #sessions: Sessions
  readonly #tokens: readonly Token[]
  readonly #rateLimit = new LoginRateLimit()
  /** The result of checking the Authorization header of a request, so that it counts once. */
  readonly #bearers = new WeakMap<Request, Presented>()

  /** @throws ThreadpostError `INVALID_OPTIONS` without `auth`, so that nothing is open by accident */
  constructor(auth: Auth | undefined) {
    this.requiresToken = auth !== false
    this.#tokenOf = auth === false ? () => undefined : tokensOf(auth)
    const tokens = auth === false ? [] : (auth?.tokens ?? [])
    this.#tokens = tokens
    this.#sessions = new Sessions(tokens)
    this.signingKey =
      tokens.length === 0
        ? randomBytes(32)
        : createHmac('sha256', 'threadpost addresses')
            .update(JSON.stringify(tokens.map(({ token }) => token).sort()))
            .digest()
  }

  /**
   * A secret for signing URLs. Processes with the same tokens have the same key. Without tokens, each process has its own random
   * key.
   */
  readonly signingKey: Uint8Array

  /** Requires a scope, for programs and scripts. A request without it gets a problem. */
  readonly allow: Allow = (scope) => (request, response, next) => {
    if (this.#authorize(scope, request, response)) next()
  }

  /**
   * Requires a scope, for pages. A browser without a session is redirected to the login page.
   * @param up number of path levels from the router that uses this handler up to the login page
   */
  page(scope: Scope, up = 0): RequestHandler {
    return (request, response, next) => {
      const browses = request.method === 'GET' && request.accepts(['json', 'html']) === 'html'
      if (browses && this.scopesOf(request).length === 0 && request.get('Authorization') === undefined)
        response.status(303).set('Location', loginOf(request, up)).end()
      else if (this.#authorize(scope, request, response)) next()
    }
  }

  /** The scopes of the request. */
  scopesOf(request: Request): readonly Scope[] {
    if (!this.requiresToken) return SCOPES
    return this.#tokenFor(request)?.scopes ?? []
  }

  /**
   * The scopes of the request, for a route that tells them to the client. It refuses a client that must wait, as every route does.
   * @returns undefined if the request was refused
   */
  tellScopes(request: Request, response: Response): readonly Scope[] | undefined {
    const { wait } = this.#bearer(request)
    return wait > 0 ? refuseToWait(response, wait) : this.scopesOf(request)
  }

  /** Names the token of a request for the audit log; undefined if no token is required. */
  whoOf(request: Request): string | undefined {
    if (!this.requiresToken) return undefined
    const token = this.#tokenFor(request)
    return token && (token.name ?? `token ${this.#tokens.indexOf(token) + 1}`)
  }

  /** Starts a session and sets its cookie, unless the token is wrong, lacks the scope `read`, or the login rate limit is reached. */
  login(presented: string, request: Request, response: Response): readonly Scope[] | undefined {
    if (originOf(request) === 'foreign') return refuseForeign(response)
    const { token, wait } = this.#check(presented, request)
    if (wait > 0) return refuseToWait(response, wait)
    if (token === undefined) {
      sendProblem(response, 'UNAUTHORIZED', 'This token is unknown.', { path: 'token' })
      return undefined
    }
    if (!token.scopes.includes('read')) {
      sendProblem(response, 'FORBIDDEN', "This token lacks the scope 'read', which is needed to log in.")
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

  #authorize(scope: Scope, request: Request, response: Response): boolean {
    const bearer = bearerOf(request)
    if (bearer === undefined && !isSafe(request)) {
      // With a session cookie, the browser must confirm the origin; otherwise it is enough that no browser reports a foreign one.
      const origin = originOf(request)
      if (origin === 'foreign' || (origin === 'unknown' && this.#session(request) !== undefined)) {
        refuseForeign(response)
        return false
      }
    }
    if (!this.requiresToken) return true
    const token = this.#tokenFor(request)
    if (token?.scopes.includes(scope) === true) return true
    if (token !== undefined) {
      response.set('WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
      sendProblem(response, 'FORBIDDEN', `This token lacks the scope '${scope}'.`)
      return false
    }
    const { wait } = this.#bearer(request)
    if (wait > 0) {
      refuseToWait(response, wait)
      return false
    }
    response.set('WWW-Authenticate', 'Bearer')
    sendProblem(response, 'UNAUTHORIZED', 'A valid token is required: Authorization: Bearer TOKEN.')
    return false
  }

  /** The token of the request, from its header or its session. */
  #tokenFor(request: Request): Token | undefined {
    return bearerOf(request) === undefined ? this.#session(request) : this.#bearer(request).token
  }

  /** Checks the Authorization header, if the request has one. */
  #bearer(request: Request): Presented {
    const bearer = bearerOf(request)
    if (bearer === undefined) return { wait: 0 }
    const known = this.#bearers.get(request)
    if (known !== undefined) return known
    const presented = this.#check(bearer, request)
    this.#bearers.set(request, presented)
    return presented
  }

  /** Checks a token, and counts it if it is wrong. */
  #check(presented: string, request: Request): Presented {
    const address = clientNetwork(request.ip ?? 'unknown')
    const token = this.#tokenOf(presented)
    const wait = this.#rateLimit.wait(address, token)
    if (wait > 0) return { wait }
    if (token === undefined) {
      this.#rateLimit.failed(address)
      return { wait }
    }
    this.#rateLimit.succeeded(address, token)
    return { token, wait }
  }

  #session(request: Request): Token | undefined {
    const value = cookieOf(request)
    return value === '' ? undefined : this.#sessions.find(value)
  }
}

/** The token in the Authorization header; '' if the header has none, undefined without the header. */
function bearerOf(request: Request): string | undefined {
  const header = request.get('Authorization')
  return header === undefined ? undefined : (/^bearer +(\S+)$/i.exec(header)?.[1] ?? '')
}

function cookieOf(request: Request): string {
  return parse(request.get('Cookie') ?? '')[COOKIE] ?? ''
}

/** Sets the session cookie without a path. The browser then uses the path of the login page as it sees it (RFC 6265 section 5.1.4), behind any proxy. */
function setCookie(request: Request, response: Response, value: string, age: number): void {
  const secure = request.secure || request.get('X-Forwarded-Proto')?.startsWith('https') === true
  const options = { httpOnly: true, sameSite: 'strict', secure, maxAge: age / 1000 } as const
  response.append('Set-Cookie', serialize(COOKIE, value, options))
}

function refuseToWait(response: Response, wait: number): undefined {
  response.set('Retry-After', String(wait))
  sendProblem(
    response,
    'TOO_MANY_REQUESTS',
    `Too many wrong tokens from this address. Try again in ${wait} s.`,
  )
}

function refuseForeign(response: Response): undefined {
  sendProblem(response, 'FORBIDDEN', FOREIGN_REQUEST)
}

/** The URL of the login page, with the page to return to. It is relative, so that it works behind any prefix. */
function loginOf({ originalUrl, baseUrl }: Request, up: number): string {
  const above = up === 0 ? [] : baseUrl.split('/').slice(-up)
  const page = originalUrl.slice(baseUrl.length + 1)
  const depth = (page.split('?')[0] ?? '').split('/').length - 1 + up
  const next = encodeURIComponent([...above, page].join('/'))
  return `${depth === 0 ? './' : '../'.repeat(depth)}login?next=${next}`
}

import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Request } from 'express'
import { ThreadpostError } from '../index.js'
import { type Scope, SCOPES } from '../web/middleware.js'

export interface Token {
  token: string
  scopes: readonly Scope[]
}

/** Who may use the API; `false` is everybody, which is for loopback and for hosts that check by themselves. */
export type Auth = false | { tokens: readonly Token[] }

/** Looks a token up in the same time for all, right or wrong: only digests are compared, and all of them. */
export function tokensOf(auth: Auth | undefined): (given: string) => Token | undefined {
  const tokens: unknown = auth === false ? [] : auth?.tokens
  if (!Array.isArray(tokens) || tokens.length === 0)
    refuseOption(
      'auth',
      'is required: { tokens: [{ token, scopes }] }, or false where nobody else can reach the router',
    )
  const known = (tokens as Token[]).map((token, index) => {
    const path = `auth.tokens[${index}]`
    if (
      typeof (token as unknown) !== 'object' ||
      typeof (token.token as unknown) !== 'string' ||
      token.token === ''
    )
      refuseOption(`${path}.token`, 'must be a string that is not empty')
    // RFC 6750 section 2.1: what else there is could never be presented.
    if (!/^[!-~]+$/.test(token.token)) refuseOption(`${path}.token`, 'must be printable ASCII without spaces')
    const scopes: unknown = token.scopes
    if (!Array.isArray(scopes) || !scopes.every((scope: unknown) => SCOPES.some((known) => known === scope)))
      refuseOption(`${path}.scopes`, `must be a list of ${SCOPES.join(', ')}`)
    return { token, digest: digest(token.token) }
  })
  return (given) => {
    const presented = digest(given)
    let match: Token | undefined
    for (const { token, digest: expected } of known) if (timingSafeEqual(presented, expected)) match = token
    return match
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function refuseOption(path: string, why: string): never {
  throw new ThreadpostError('INVALID_OPTIONS', `${path}: ${why}`, { path })
}

/** How long a login lasts, in ms. */
export const SESSION_AGE = 12 * 60 * 60 * 1000
/** Sessions that were ended before their time, kept in mind at most. */
const MOST_ENDED = 10_000

/**
 * Logins of people. A session is signed with a key that is derived from its token: nothing is stored, it works in every
 * process that knows the token, also after a restart, and ends with the token. The token can't be had from it.
 */
export class Sessions {
  readonly #keys: readonly { token: Token; key: Buffer }[]
  /** Nonces of sessions that were ended here, with the end of their time. */
  readonly #ended = new Map<string, number>()

  constructor(tokens: readonly Token[]) {
    this.#keys = tokens.map((token) => ({ token, key: mac(token.token, 'threadpost session') }))
  }

  begin(token: Token): string {
    const key = this.#keys.find((known) => known.token === token)?.key
    if (key === undefined) throw new Error('a session for an unknown token')
    const facts = `${Date.now() + SESSION_AGE}.${randomBytes(16).toString('base64url')}`
    return `${facts}.${mac(key, facts).toString('base64url')}`
  }

  /** Whose session it is. Takes the same time for all, right or wrong: every key is tried. */
  find(value: string): Token | undefined {
    const [, facts = '', end = '', nonce = '', given = ''] =
      /^((\d{1,15})\.([\w-]{22}))\.([\w-]{43})$/.exec(value) ?? []
    const presented = Buffer.from(given, 'base64url')
    let match: Token | undefined
    for (const { token, key } of this.#keys) {
      const expected = mac(key, facts)
      if (presented.length === expected.length && timingSafeEqual(presented, expected)) match = token
    }
    return Number(end) > Date.now() && !this.#ended.has(nonce) ? match : undefined
  }

  /** Ends it before its time, as far as this process is concerned. */
  end(value: string): void {
    if (this.find(value) === undefined) return
    const now = Date.now()
    for (const [nonce, end] of this.#ended)
      if (end <= now || this.#ended.size >= MOST_ENDED) this.#ended.delete(nonce)
    const [end, nonce = ''] = value.split('.')
    this.#ended.set(nonce, Number(end))
  }
}

function mac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Wrong tokens from one address within the window, beyond which it has to wait. */
const MOST = 20
const WINDOW = 60_000
/** Addresses kept in mind; beyond that the one that has been there longest is forgotten. */
const MOST_ADDRESSES = 10_000

/** Counts wrong tokens by address, so that guessing is slow. */
export class LoginRateLimit {
  readonly #failures = new Map<string, { count: number; since: number }>()

  /** Seconds the address has to wait; 0 when it may try. */
  wait(address: string): number {
    const known = this.#failures.get(address)
    if (known === undefined || known.count < MOST) return 0
    return Math.max(0, Math.ceil((known.since + WINDOW - Date.now()) / 1000))
  }

  failed(address: string): void {
    const now = Date.now()
    const known = this.#failures.get(address)
    if (known !== undefined && known.since + WINDOW > now) {
      known.count++
      return
    }
    this.#failures.delete(address)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size >= MOST_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest)
    this.#failures.set(address, { count: 1, since: now })
  }
}

/**
 * Which page a request comes from, as the browser tells: this site's, another's, or unknown where no browser says
 * anything. Sec-Fetch-Site (W3C Fetch Metadata) is what the browser itself found out; it is sent over https and to
 * loopback. Elsewhere Origin (RFC 6454) is compared with the host that was asked.
 */
export function originOf(request: Request): 'same' | 'foreign' | 'unknown' {
  const site = request.get('Sec-Fetch-Site')
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? 'same' : 'foreign'
  const origin = request.get('Origin')
  if (origin === undefined) return 'unknown'
  // A proxy may have put its own name in place of the host; a foreign page can't set either header.
  const hosts = [request.get('Host'), request.get('X-Forwarded-Host')?.split(',')[0]?.trim()]
  const host = hostOf(origin)
  return host !== undefined && hosts.includes(host) ? 'same' : 'foreign'
}

/** Whether the method changes nothing (RFC 9110 section 9.2.1). */
export function isSafe({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** Undefined for `null`, which sandboxed pages send. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

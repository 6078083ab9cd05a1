import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { ThreadpostError } from '../index.js'
import { type Scope, SCOPES } from '../web/middleware.js'

/** An API token with its scopes: `send`, `read`, `manage`, `templates`. */
export interface Token {
  /** At least 16 printable ASCII characters, without spaces. */
  token: string
  /** Name of the token in the audit log, such as the person who has it. @default `token 1`, by its position in the list */
  name?: string
  scopes: readonly Scope[]
}

/** Access control of the API. `false` allows everyone: use it on loopback only, or if the host authenticates requests itself. */
export type Auth = false | { tokens: readonly Token[] }

/** Minimum characters of a token. */
const MIN_TOKEN = 16

/** Returns a function that finds a token. It compares the digests of all tokens, so that valid and invalid tokens take the same time. */
export function tokensOf(auth: Auth | undefined): (text: string) => Token | undefined {
  const tokens: unknown = auth === false ? [] : auth?.tokens
  if (!Array.isArray(tokens) || tokens.length === 0)
    refuseOption(
      'auth',
      'is required: { tokens: [{ token, scopes }] }, or false if only trusted clients can reach the router',
    )
  const known = (tokens as Token[]).map((token, index) => {
    const path = `auth.tokens[${index}]`
    if (
      (token as Token | null) === null ||
      typeof (token as unknown) !== 'object' ||
      typeof (token.token as unknown) !== 'string' ||
      token.token === ''
    )
      refuseOption(`${path}.token`, 'must be a non-empty string')
    // RFC 6750 section 2.1: a client could never send other characters.
    if (!/^[!-~]+$/.test(token.token)) refuseOption(`${path}.token`, 'must be printable ASCII without spaces')
    if (token.token.length < MIN_TOKEN)
      refuseOption(
        `${path}.token`,
        `has fewer than ${MIN_TOKEN} characters, and could be guessed; generate one with: openssl rand -base64 32`,
      )
    const scopes: unknown = token.scopes
    if (!Array.isArray(scopes) || !scopes.every((scope: unknown) => SCOPES.some((known) => known === scope)))
      refuseOption(`${path}.scopes`, `must be a list of ${SCOPES.join(', ')}`)
    return { token, digest: digest(token.token) }
  })
  return (text) => {
    const presented = digest(text)
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

/** Lifetime of a session, in ms. */
export const SESSION_AGE = 12 * 60 * 60 * 1000
/** Maximum number of remembered sessions that were ended early. */
const MAX_ENDED = 10_000

/**
 * Sessions of people who logged in. A session is signed with a key derived from its token, so nothing is stored. It works in every
 * process that knows the token, even after a restart, and ends when the token is removed. It doesn't reveal the token.
 */
export class Sessions {
  readonly #keys: readonly { token: Token; key: Buffer }[]
  /** Nonces of sessions that were ended in this process, with their expiry times. */
  readonly #ended = new Map<string, number>()

  constructor(tokens: readonly Token[]) {
    this.#keys = tokens.map((token) => ({ token, key: mac(token.token, 'threadpost session') }))
  }

  begin(token: Token): string {
    const key = this.#keys.find((known) => known.token === token)?.key
    if (key === undefined) throw new Error('cannot start a session for an unknown token')
    const facts = `${Date.now() + SESSION_AGE}.${randomBytes(16).toString('base64url')}`
    return `${facts}.${mac(key, facts).toString('base64url')}`
  }

  /** The token of a session. Tries every key, so that valid and invalid sessions take the same time. */
  find(value: string): Token | undefined {
    const [, facts = '', end = '', nonce = '', signature = ''] =
      /^((\d{1,15})\.([\w-]{22}))\.([\w-]{43})$/.exec(value) ?? []
    const presented = Buffer.from(signature, 'base64url')
    let match: Token | undefined
    for (const { token, key } of this.#keys) {
      const expected = mac(key, facts)
      if (presented.length === expected.length && timingSafeEqual(presented, expected)) match = token
    }
    return Number(end) > Date.now() && !this.#ended.has(nonce) ? match : undefined
  }

  /** Ends a session early, in this process only. */
  end(value: string): void {
    if (this.find(value) === undefined) return
    const now = Date.now()
    for (const [nonce, end] of this.#ended)
      if (end <= now || this.#ended.size >= MAX_ENDED) this.#ended.delete(nonce)
    const [end, nonce = ''] = value.split('.')
    this.#ended.set(nonce, Number(end))
  }
}

function mac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Maximum number of wrong tokens from one address within the window (in ms). */
const MAX_FAILURES = 20
const WINDOW = 60_000
/** Maximum number of remembered addresses; the oldest is dropped first. */
const MAX_ADDRESSES = 10_000

/**
 * Limits the rate of wrong tokens by address, so that guessing is slow. A right token is refused as well once the limit is
 * reached, or it would tell a guess from the others; except from an address that had presented it before.
 */
export class LoginRateLimit {
  readonly #failures = new Map<string, { count: number; since: number }>()
  /** Addresses with the tokens that they have presented. */
  readonly #known = new Map<string, Set<Token>>()

  /**
   * Returns the seconds that the address must wait; 0 if it may try now.
   * @param token that it presents, if that is a right one
   */
  wait(address: string, token?: Token): number {
    const failures = this.#failures.get(address)
    if (failures === undefined || failures.count < MAX_FAILURES) return 0
    if (token !== undefined && this.#known.get(address)?.has(token) === true) return 0
    return Math.max(0, Math.ceil((failures.since + WINDOW - Date.now()) / 1000))
  }

  succeeded(address: string, token: Token): void {
    const tokens = this.#known.get(address)
    if (tokens !== undefined) tokens.add(token)
    else {
      dropOldest(this.#known)
      this.#known.set(address, new Set([token]))
    }
  }

  failed(address: string): void {
    const now = Date.now()
    const failures = this.#failures.get(address)
    if (failures !== undefined && failures.since + WINDOW > now) {
      failures.count++
      return
    }
    this.#failures.delete(address)
    dropOldest(this.#failures)
    this.#failures.set(address, { count: 1, since: now })
  }
}

/** Makes room for another address. */
function dropOldest(addresses: Map<string, unknown>): void {
  const [oldest] = addresses.keys()
  if (addresses.size >= MAX_ADDRESSES && oldest !== undefined) addresses.delete(oldest)
}

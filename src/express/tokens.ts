import { createHash, timingSafeEqual } from 'node:crypto'
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
    fail(
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
      fail(`${path}.token`, 'must be a string that is not empty')
    // RFC 6750 section 2.1: what else there is could never be presented.
    if (!/^[!-~]+$/.test(token.token)) fail(`${path}.token`, 'must be printable ASCII without spaces')
    const scopes: unknown = token.scopes
    if (!Array.isArray(scopes) || !scopes.every((scope: unknown) => SCOPES.some((known) => known === scope)))
      fail(`${path}.scopes`, `must be a list of ${SCOPES.join(', ')}`)
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

function fail(path: string, why: string): never {
  throw new ThreadpostError('INVALID_OPTIONS', `${path}: ${why}`, { path })
}

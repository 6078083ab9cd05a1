import { sign } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { parseJson } from '../../src/protocol/parseJson.js'
import { sharedClock } from '../../src/protocol/tasks.js'
import { type AccessToken, TokenCell } from '../../src/protocol/tokenCell.js'
import type { TokenGrant, TokenSource } from '../../src/protocol/transportConfig.js'
import { fieldsOf, firstText } from './apiFields.js'
import { type ApiResponse, callApi } from './httpClient.js'
import { SecretRedactor } from './secretRedactor.js'
import { type ConnectionFailure, isTlsCode } from './sendResults.js'

/** Milliseconds that the token endpoint may take. */
const REQUEST_LIMIT = 10_000
/** Milliseconds after which a thread that renews the token has died. */
const RENEWAL_LIMIT = REQUEST_LIMIT + 5_000
/** Milliseconds between two looks for the token that another thread requests. */
const POLL = 25
/** A token is renewed this long before its end, in ms, but not before half of its life has passed. */
const MARGIN = 60_000
/** Seconds for which a token is valid if the server doesn't say, and at most. */
const DEFAULT_LIFETIME = 3_600
const MAX_LIFETIME = 24 * 3_600
/** Seconds for which the assertion of a service account is valid. */
const ASSERTION_LIFETIME = 300
/** The characters of a token that can be presented (RFC 6750 section 2.1, and those that servers use besides). */
const PRESENTABLE = /^[\x21-\x7e]+$/
const MAX_DETAIL = 300

/**
 * The access tokens of an account (RFC 6749). All threads share one, which is requested by one of them, renewed before it ends, and
 * replaced when the server refuses it.
 */
export class AccessTokens {
  readonly #source: TokenSource
  readonly #publicOnly: boolean
  readonly #cell: TokenCell
  readonly #redactor: SecretRedactor
  #renewing: Promise<string | ConnectionFailure> | undefined

  /** @param publicOnly whether the token endpoint must be a public host */
  constructor(source: TokenSource, publicOnly: boolean) {
    this.#source = source
    this.#publicOnly = publicOnly
    this.#cell = new TokenCell(source.cell ?? TokenCell.allocate())
    this.#redactor = new SecretRedactor(secretsOf(source))
  }

  /**
   * Returns a token, or why there is none.
   * @param refused a token that the server refused: another one is requested, unless that has happened already
   */
  async get(signal: AbortSignal, refused?: string): Promise<string | ConnectionFailure> {
    const { accessToken, grant } = this.#source
    const current = this.#cell.read()
    if (current !== undefined && current.text !== refused && sharedClock() < current.renewAt)
      return current.text
    if (
      accessToken !== undefined &&
      (grant === undefined || (current === undefined && accessToken !== refused))
    )
      return accessToken
    if (grant === undefined) return unavailable('AUTH_FAILED', 'There is no access token')
    this.#renewing ??= this.#renew(grant, refused).finally(() => (this.#renewing = undefined))
    return unlessAborted(this.#renewing, signal)
  }

  /** Requests a token, unless another thread does; then it is that thread's. */
  async #renew(grant: TokenGrant, refused: string | undefined): Promise<string | ConnectionFailure> {
    const giveUpAt = sharedClock() + RENEWAL_LIMIT
    for (;;) {
      const key = this.#cell.lock(RENEWAL_LIMIT)
      const current = this.#cell.read()
      const fresh = current !== undefined && current.text !== refused && sharedClock() < current.renewAt
      if (key === undefined) {
        if (fresh) return current.text
        if (sharedClock() > giveUpAt)
          return unavailable('CONNECTION_FAILED', 'The token endpoint did not answer in time')
        await pause(POLL)
        continue
      }
      try {
        if (fresh) return current.text
        const result = await this.#request(grant)
        if (!('text' in result))
          return current !== undefined && current.text !== refused && sharedClock() < current.endsAt
            ? current.text
            : result
        return this.#cell.write(result)
          ? result.text
          : unavailable('AUTH_FAILED', 'The token endpoint returned a token that is too long')
      } finally {
        this.#cell.unlock(key)
      }
    }
  }

  async #request(grant: TokenGrant): Promise<AccessToken | ConnectionFailure> {
    let response: ApiResponse
    try {
      response = await callApi(
        {
          url: grant.tokenEndpoint,
          headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
          body: new URLSearchParams(fieldsOfGrant(grant)).toString(),
        },
        AbortSignal.timeout(REQUEST_LIMIT),
        this.#publicOnly,
      )
    } catch (error) {
      const { code, message } = causeOf(error)
      return unavailable(
        isTlsCode(code) ? 'TLS_FAILED' : 'CONNECTION_FAILED',
        `The token endpoint could not be reached: ${this.#clean(message)}`,
      )
    }
    const { status } = response
    const { access_token, expires_in, error, error_description } = fieldsOf(jsonOf(response.text))
    if (status < 300 && typeof access_token === 'string' && PRESENTABLE.test(access_token)) {
      const now = sharedClock()
      const life =
        Math.min(Number(expires_in) > 0 ? Number(expires_in) : DEFAULT_LIFETIME, MAX_LIFETIME) * 1_000
      return { text: access_token, renewAt: now + life - Math.min(MARGIN, life / 2), endsAt: now + life }
    }
    const refused = status >= 400 && status < 500 && status !== 429
    const explanation = [error, error_description].filter((part) => typeof part === 'string').join(': ')
    const text = this.#clean(firstText(explanation, `HTTP ${status}`))
    return {
      code: refused ? 'AUTH_FAILED' : 'CONNECTION_FAILED',
      message: `The token endpoint ${refused ? 'refused the credentials' : 'returned no token'}: ${text}`,
      reply: { code: status, text },
    }
  }

  #clean(text: string): string {
    return this.#redactor.cleanLogin(text).replace(/\s+/g, ' ').slice(0, MAX_DETAIL)
  }
}

/** Returns the secrets of a source, which no text may contain. */
export function secretsOf({ accessToken, grant }: TokenSource): string[] {
  const secrets = [accessToken]
  if (grant?.grant === 'jwt-bearer') secrets.push(grant.privateKey)
  else secrets.push(grant?.clientSecret)
  if (grant?.grant === 'refresh_token') secrets.push(grant.refreshToken)
  return secrets.filter((secret) => secret !== undefined)
}

/** Returns the form fields of a request for a token. */
function fieldsOfGrant(grant: TokenGrant): Record<string, string> {
  if (grant.grant === 'jwt-bearer')
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertionOf(grant) }
  const { clientId: client_id, clientSecret: client_secret, scope } = grant
  return {
    grant_type: grant.grant,
    client_id,
    client_secret,
    ...(grant.grant === 'refresh_token' ? { refresh_token: grant.refreshToken } : {}),
    ...(scope === undefined ? {} : { scope }),
  }
}

/** Signs what a service account requests (RFC 7523 section 2.1). */
function assertionOf({
  tokenEndpoint,
  issuer,
  subject,
  scope,
  privateKey,
}: Extract<TokenGrant, { grant: 'jwt-bearer' }>): string {
  const now = Math.floor(Date.now() / 1_000)
  const claims = {
    iss: issuer,
    sub: subject,
    scope,
    aud: tokenEndpoint,
    iat: now,
    exp: now + ASSERTION_LIFETIME,
  }
  const signed = [{ alg: 'RS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`
}

function unavailable(code: ConnectionFailure['code'], message: string): ConnectionFailure {
  return { code, message }
}

/** Settles as `work` does, or when the signal aborts. */
function unlessAborted(
  work: Promise<string | ConnectionFailure>,
  signal: AbortSignal,
): Promise<string | ConnectionFailure> {
  return new Promise((resolve, reject) => {
    const abort = (): void =>
      resolve(unavailable('CONNECTION_FAILED', 'The token endpoint did not answer in time'))
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Returns the innermost cause of a failed request, which says the most. */
function causeOf(error: unknown): { code: string | undefined; message: string } {
  let cause = error
  for (let depth = 0; depth < 4 && cause instanceof Error && cause.cause instanceof Error; depth++)
    cause = cause.cause
  const { code, message } = cause as NodeJS.ErrnoException
  return { code, message: message === '' ? String(code) : message }
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

import { fieldsOf, firstText } from './apiFields.js'
import { callApi } from './httpClient.js'
import { SecretRedactor } from './secretRedactor.js'
import { connectionFailed } from './sendResults.js'
import type { SendResult } from './transport.js'

/** The client credentials grant (RFC 6749 section 4.4). */
export interface ClientCredentialsOptions {
  tokenEndpoint: string
  clientId: string
  clientSecret: string
  scope: string
}

/** Milliseconds before its end at which a token is replaced. */
const MARGIN = 60_000
/** Seconds for which a token is valid if the server doesn't say. */
const DEFAULT_LIFETIME = 3_600

/** Fetches access tokens for an application, and keeps each until shortly before it expires. */
export class ClientCredentials {
  readonly #options: ClientCredentialsOptions
  readonly #publicOnly: boolean
  #token: { text: string; until: number } | undefined
  #fetching: Promise<string | SendResult> | undefined

  constructor(options: ClientCredentialsOptions, publicOnly: boolean) {
    this.#options = options
    this.#publicOnly = publicOnly
  }

  /** Returns a token, or why there is none. Rejects if the server can't be reached. */
  async get(signal: AbortSignal): Promise<string | SendResult> {
    if (this.#token !== undefined && performance.now() < this.#token.until) return this.#token.text
    this.#fetching ??= this.#fetch(signal).finally(() => (this.#fetching = undefined))
    return this.#fetching
  }

  /** The server no longer accepts the token. */
  drop(): void {
    this.#token = undefined
  }

  async #fetch(signal: AbortSignal): Promise<string | SendResult> {
    const { tokenEndpoint, clientId, clientSecret, scope } = this.#options
    const response = await callApi(
      {
        url: tokenEndpoint,
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: clientId,
          client_secret: clientSecret,
          scope,
        }).toString(),
      },
      signal,
      this.#publicOnly,
    )
    const { access_token, expires_in, error, error_description } = fieldsOf(jsonOf(response.text))
    if (response.status < 300 && typeof access_token === 'string') {
      const seconds = typeof expires_in === 'number' ? expires_in : DEFAULT_LIFETIME
      this.#token = { text: access_token, until: performance.now() + seconds * 1_000 - MARGIN }
      return access_token
    }
    const refused = response.status >= 400 && response.status < 500 && response.status !== 429
    const explanation = firstText(
      [error, error_description].filter((part) => typeof part === 'string').join(': '),
      `HTTP ${response.status}`,
    )
    const text = new SecretRedactor([clientSecret]).cleanLogin(explanation).replace(/\s+/g, ' ').slice(0, 300)
    return connectionFailed({
      code: refused ? 'AUTH_FAILED' : 'CONNECTION_FAILED',
      message: `The token endpoint ${refused ? 'refused the credentials' : 'returned no token'}: ${text}`,
      reply: { code: response.status, text },
    })
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

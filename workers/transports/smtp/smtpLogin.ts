import type { CustomAuthenticationContext } from 'nodemailer/lib/smtp-connection'
import type { SmtpTransport, TokenSource } from '../../../src/protocol/transportConfig.js'
import { AccessTokens, secretsOf } from '../accessTokens.js'
import type { ConnectionFailure } from '../sendResults.js'
import { toConnectionFailure } from './connectionFailure.js'

/** The access tokens of an account: one source for all connections of a transport. */
const sources = new WeakMap<TokenSource, AccessTokens>()

function tokensOf(source: TokenSource, publicOnly: boolean): AccessTokens {
  const known = sources.get(source)
  if (known !== undefined) return known
  const tokens = new AccessTokens(source, publicOnly)
  sources.set(source, tokens)
  return tokens
}

type Handler = (login: CustomAuthenticationContext) => Promise<void>

/** The login of one connection. */
export class SmtpLogin {
  /** Its methods that nodemailer doesn't have, or has otherwise, by name. */
  readonly methods: Record<string, Handler> = {
    LOGIN: logIn,
    TOKEN: (login) => this.#presentToken(login),
  }
  /** Mechanisms that the server offers (RFC 4954 section 3), in upper case. */
  mechanisms: readonly string[] = []
  readonly #config: SmtpTransport
  readonly #signal: AbortSignal
  readonly #tokens: AccessTokens | undefined
  readonly #presented: string[] = []
  #token = ''
  /** The server's last refusal of a token. */
  #refusal: string | undefined
  /** Why there is no other token. */
  #unavailable: ConnectionFailure | undefined

  constructor(config: SmtpTransport, signal: AbortSignal) {
    const { auth, publicOnly = false } = config
    this.#config = config
    this.#signal = signal
    this.#tokens = auth !== undefined && 'oauth2' in auth ? tokensOf(auth.oauth2, publicOnly) : undefined
  }

  /** Gets the access token, if the account has one, before a connection is opened. @returns why there is none */
  async prepare(): Promise<ConnectionFailure | undefined> {
    const token = await this.#tokens?.get(this.#signal)
    if (typeof token === 'object') return token
    this.#token = token ?? ''
    return undefined
  }

  /** The argument of nodemailer's login. */
  get credentials(): { user: string; pass: string } | { user: string; method: string } {
    const { auth } = this.#config
    if (auth === undefined) throw new Error('a login without credentials')
    return 'pass' in auth ? { user: auth.user, pass: auth.pass } : { user: auth.user, method: 'TOKEN' }
  }

  /** The secrets that the server may repeat. */
  get #secrets(): string[] {
    const { auth } = this.#config
    if (auth === undefined) return []
    if ('pass' in auth) return [auth.pass, `\0${auth.user}\0${auth.pass}`]
    return [...this.#presented, ...secretsOf(auth.oauth2)]
  }

  /** Classifies an error of the connection. After a refusal, a closed connection is one, too. */
  toFailure(error: Error, config: SmtpTransport & { ehloName: string }): ConnectionFailure {
    if (this.#unavailable !== undefined) return this.#unavailable
    const refused = this.#refusal === undefined ? {} : { code: 'EAUTH', response: this.#refusal }
    return toConnectionFailure(Object.assign(error, refused), config, this.#secrets)
  }

  /** AUTH with the token, and once more with another one if the server refuses it: it may have been revoked. */
  async #presentToken(login: CustomAuthenticationContext): Promise<void> {
    for (let attempts = 0; attempts < 2; attempts++) {
      if (await this.#authenticate(login, this.#token)) return
      const token = await this.#tokens?.get(this.#signal, this.#token)
      if (token === undefined || token === this.#token) break
      if (typeof token === 'object') {
        this.#unavailable = token
        break
      }
      this.#token = token
    }
    login.reject(new Error('the server refused the access token'))
  }

  async #authenticate(login: CustomAuthenticationContext, token: string): Promise<boolean> {
    const { host, port, auth } = this.#config
    const user = auth?.user ?? ''
    const standard = !this.mechanisms.includes('XOAUTH2') && this.mechanisms.includes('OAUTHBEARER')
    const text = standard
      ? `n,a=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},\x01host=${host}\x01port=${port}\x01auth=Bearer ${token}\x01\x01`
      : `user=${user}\x01auth=Bearer ${token}\x01\x01`
    const initial = Buffer.from(text).toString('base64')
    this.#presented.push(token, text, initial)
    let { response } = await login.sendCommand(`AUTH ${standard ? 'OAUTHBEARER' : 'XOAUTH2'} ${initial}`)
    // A refusal with an explanation, which the client has to acknowledge (RFC 7628 section 3.2.3).
    if (response.startsWith('334')) ({ response } = await login.sendCommand(standard ? 'AQ==' : ''))
    const accepted = response.startsWith('2')
    this.#refusal = accepted ? undefined : response
    return accepted
  }
}

/** AUTH LOGIN. The prompts after 334 say nothing, and some servers leave them out, which nodemailer's own login doesn't accept. */
async function logIn(login: CustomAuthenticationContext): Promise<void> {
  const { user = '', pass = '' } = login.auth
  let { response } = await login.sendCommand('AUTH LOGIN')
  for (const answer of [user, pass]) {
    if (!response.startsWith('334')) break
    ;({ response } = await login.sendCommand(Buffer.from(answer).toString('base64')))
  }
  if (!response.startsWith('2')) login.reject(new Error('the server refused the login'))
}

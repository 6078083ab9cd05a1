import type { SmtpTransport } from '../../../src/wire.js'

/** Shorter ones would be found in any text. */
const SHORTEST = 4
/** What a token looks like, whoever issued it. */
const TOKEN = /(?=[^\s\d]*\d)[A-Za-z0-9+/_=-]{28,}/g
/** The parts of an address in the web that could be one. */
const TOKEN_IN_URL = /(?=[^\s\d]*\d)[A-Za-z0-9_%.~-]{16,}/g

/**
 * What a server says of a login, without what it was told there: some repeat the command or the password, and their
 * replies go to logs, events and the queue's file.
 */
export function withoutSecrets(text: string, { auth, proxy }: SmtpTransport): string {
  if (auth === undefined && proxy === undefined) return text
  return secretsOf(auth, proxy)
    .reduce((cleaned, secret) => cleaned.replaceAll(secret, '***'), text)
    .replace(TOKEN, '***')
}

/** A refusal that quotes a link of the message, as filters do, without the token that may be in it. */
export function withoutLinkTokens(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(
    /(https?:\/\/[^\s/?#]*)(\S*)/gi,
    (_, host: string, rest: string) => host + rest.replace(TOKEN_IN_URL, '***'),
  )
}

function secretsOf(auth: SmtpTransport['auth'], proxy: string | undefined): string[] {
  const ofProxy = proxy === undefined ? [] : proxySecrets(new URL(proxy))
  return [...ofProxy, ...(auth === undefined ? [] : authSecrets(auth))]
    .flatMap((secret) => [secret, base64(secret)])
    .filter((secret) => secret.length >= SHORTEST)
    .sort((a, b) => b.length - a.length)
}

function authSecrets(auth: NonNullable<SmtpTransport['auth']>): string[] {
  if ('pass' in auth) return [auth.pass, `\0${auth.user}\0${auth.pass}`]
  const { accessToken, refreshToken, clientSecret, privateKey } = auth.oauth2
  return [accessToken, refreshToken, clientSecret, privateKey].filter((secret) => secret !== undefined)
}

function proxySecrets({ username, password }: URL): string[] {
  if (password === '') return []
  const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)]
  return [pass, password, `${user}:${pass}`]
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

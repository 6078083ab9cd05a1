import type { SmtpTransport } from '../../../src/wire/transports.js'
import { Discretion } from '../discretion.js'

/** What a server says of a login, without what it was told there. */
export function withoutSecrets(text: string, { auth, proxy }: SmtpTransport): string {
  if (auth === undefined && proxy === undefined) return text
  const ofProxy = proxy === undefined ? [] : proxySecrets(new URL(proxy))
  return new Discretion([...ofProxy, ...(auth === undefined ? [] : authSecrets(auth))]).cleanLogin(text)
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

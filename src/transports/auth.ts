import type { Checker } from '../check.js'
import type { OAuth2, SmtpAuth } from '../wire/transports.js'

/** Credentials, where they should not stand in the URL. */
export type AuthOptions =
  | {
      /** Who logs in. */
      user: string
      /** The password. @default none: it, or what gives OAuth 2.0 tokens, is required */
      pass: string
    }
  | (OAuth2 & {
      /** Who logs in. */
      user: string
    })

const OAUTH2_KEYS = [
  'accessToken',
  'refreshToken',
  'clientId',
  'clientSecret',
  'accessUrl',
  'serviceClient',
  'privateKey',
  'scope',
] as const satisfies readonly (keyof OAuth2)[]

/** From the option or, without one, from the URL. */
export function resolveAuth(
  check: Checker,
  url: URL,
  value: unknown,
  path: string,
  urlPath: string,
): SmtpAuth | undefined {
  if (value !== undefined) return authOf(check, value, `${path}.auth`)
  if (url.username === '' && url.password === '') return undefined
  try {
    return { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) }
  } catch {
    return check.fail(urlPath, 'user or password is not percent-encoded correctly (a % must be written %25)')
  }
}

function authOf(check: Checker, value: unknown, path: string): SmtpAuth {
  const given = check.object(value, path, ['user', 'pass', ...OAUTH2_KEYS])
  const user = check.string(given['user'], `${path}.user`)
  if (given['pass'] !== undefined) return { user, pass: check.string(given['pass'], `${path}.pass`) }
  const oauth2: OAuth2 = {}
  for (const key of OAUTH2_KEYS)
    if (given[key] !== undefined) oauth2[key] = check.string(given[key], `${path}.${key}`, 16_384)
  const { accessToken, refreshToken, serviceClient } = oauth2
  if (accessToken === undefined && refreshToken === undefined && serviceClient === undefined)
    check.fail(
      `${path}.pass`,
      'is required, or for OAuth 2.0 an accessToken, a refreshToken or a serviceClient',
    )
  return { user, oauth2 }
}

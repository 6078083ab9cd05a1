import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isAsciiText, toAsciiDomain } from '../protocol/addressForms.js'
import { TokenCell } from '../protocol/tokenCell.js'
import type { DkimKey, SmtpAuth, TokenGrant } from '../protocol/transportConfig.js'
import { forbidControls, isPlainObject, type Validator } from '../validation.js'
import { microsoftTokens, tokenEndpointOf } from './mailServices.js'

/** How access tokens are obtained (OAuth 2.0), for XOAUTH2 and OAUTHBEARER. */
export interface OAuth2Options {
  /** An access token. Alone, it is used for as long as the server accepts it. @default none; the first one is requested */
  accessToken?: string
  /** Requests access tokens for the account of a person, with the client's id and secret. @default none */
  refreshToken?: string
  /** The client's id. With a secret and no refresh token, the client itself requests tokens (client credentials). @default none */
  clientId?: string
  /** The client's secret. @default none */
  clientSecret?: string
  /** Microsoft 365: the tenant (directory) of the client. @default none; give `tokenEndpoint` */
  tenantId?: string
  /** The URL that issues tokens; https, except on this machine. @default Microsoft's with `tenantId`, or else Google's */
  tokenEndpoint?: string
  /** The name that nodemailer has for `tokenEndpoint`. @default none */
  accessUrl?: string
  /** A service account's client id, instead of a refresh token. @default none */
  serviceClient?: string
  /** The service account's private key as PEM. @default none */
  privateKey?: string
  /** The scope to request. @default Microsoft's for SMTP with `tenantId`; Google's for mail with a service account */
  scope?: string
}

/** Credentials that are not part of the URL. */
export type AuthOptions =
  | {
      /** The user name. */
      user: string
      /** The password. @default none; it or the OAuth 2.0 fields are required */
      pass: string
    }
  | (OAuth2Options & {
      /** The user name. */
      user: string
    })

const OAUTH2_KEYS = [
  'accessToken',
  'refreshToken',
  'clientId',
  'clientSecret',
  'tenantId',
  'tokenEndpoint',
  'accessUrl',
  'serviceClient',
  'privateKey',
  'scope',
] as const satisfies readonly (keyof OAuth2Options)[]

const GOOGLE_TOKENS = 'https://oauth2.googleapis.com/token'
const GOOGLE_MAIL = 'https://mail.google.com/'
const MICROSOFT_SMTP = 'https://outlook.office365.com/.default'

/** Returns the credentials from the option or, without one, from the URL. */
export function resolveAuth(
  check: Validator,
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

function authOf(check: Validator, value: unknown, path: string): SmtpAuth {
  const given = check.object(value, path, ['user', 'pass', ...OAUTH2_KEYS])
  // In XOAUTH2, a control character would begin another field.
  const user = forbidControls(check.string(given['user'], `${path}.user`), `${path}.user`, check)
  if (given['pass'] !== undefined) return { user, pass: check.string(given['pass'], `${path}.pass`) }
  const fields: OAuth2Options = {}
  for (const key of OAUTH2_KEYS)
    if (given[key] !== undefined) fields[key] = check.string(given[key], `${path}.${key}`, 16_384)
  const { accessToken } = fields
  const grant = grantOf(check, fields, user, path)
  if (accessToken === undefined && grant === undefined)
    check.fail(
      `${path}.pass`,
      'is required, or for OAuth 2.0 an accessToken, a refreshToken, a serviceClient, or a clientId and clientSecret with a tenantId or tokenEndpoint',
    )
  if (accessToken !== undefined && !/^[\x21-\x7e]+$/.test(accessToken))
    check.fail(`${path}.accessToken`, 'contains a character that is not allowed in it')
  return {
    user,
    oauth2: {
      ...(accessToken === undefined ? {} : { accessToken }),
      ...(grant === undefined ? {} : { grant, cell: TokenCell.allocate() }),
    },
  }
}

/** Returns how tokens are requested; undefined if only one was given. */
function grantOf(
  check: Validator,
  fields: OAuth2Options,
  user: string,
  path: string,
): TokenGrant | undefined {
  const { refreshToken, serviceClient, clientId = '', clientSecret = '', tenantId, accessUrl, scope } = fields
  if (tenantId !== undefined && !/^[\w.-]{1,128}$/.test(tenantId))
    check.fail(`${path}.tenantId`, 'contains a character that is not allowed in it')
  const microsoft = tenantId === undefined ? undefined : microsoftTokens(tenantId)
  const given = fields.tokenEndpoint ?? accessUrl ?? microsoft
  const tokenEndpoint = tokenEndpointOf(
    check,
    given ?? GOOGLE_TOKENS,
    `${path}.${fields.tokenEndpoint === undefined && accessUrl !== undefined ? 'accessUrl' : 'tokenEndpoint'}`,
  )
  if (refreshToken !== undefined)
    return {
      grant: 'refresh_token',
      tokenEndpoint,
      refreshToken,
      clientId,
      clientSecret,
      ...(scope === undefined ? {} : { scope }),
    }
  if (serviceClient !== undefined) {
    const privateKey = check.string(fields.privateKey, `${path}.privateKey`)
    if (privateKeyOf(privateKey)?.asymmetricKeyType !== 'rsa')
      check.fail(`${path}.privateKey`, 'is not an RSA private key in PEM form without a passphrase')
    return {
      grant: 'jwt-bearer',
      tokenEndpoint,
      issuer: serviceClient,
      subject: user,
      privateKey,
      scope: scope ?? GOOGLE_MAIL,
    }
  }
  if (given === undefined || clientId === '' || clientSecret === '') return undefined
  if (scope === undefined && tenantId === undefined)
    check.fail(`${path}.scope`, 'is required with a clientId and a clientSecret, unless there is a tenantId')
  return {
    grant: 'client_credentials',
    tokenEndpoint,
    clientId,
    clientSecret,
    scope: scope ?? MICROSOFT_SMTP,
  }
}

function privateKeyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

/** A key that signs outgoing mail (DKIM, RFC 6376), as PEM or as a file. */
export interface DkimOptions {
  /** The signing domain, the tag `d=`. */
  domain: string
  /** The selector, the tag `s=`: the public key is in the DNS at `SELECTOR._domainkey.DOMAIN`. */
  selector: string
  /**
   * An RSA key of at least 2048 bits, or an Ed25519 key (RFC 8463), as PEM. Not all receivers verify Ed25519: sign with
   * an RSA key, too.
   * @default the content of `keyFile`
   */
  privateKey?: string
  /** Path of a file that contains the key. @default none; `privateKey` is used */
  keyFile?: string
}

/** Resolves one key or an array of keys. Reads their files, and checks that each key can sign. */
export function resolveDkim(check: Validator, value: unknown, path: string): DkimKey[] {
  const list = isPlainObject(value) ? [value] : check.array(value, path, 10)
  return list.map((entry, index) => keyOf(check, entry, isPlainObject(value) ? path : `${path}[${index}]`))
}

function keyOf(check: Validator, value: unknown, path: string): DkimKey {
  const given = check.object(value, path, ['domain', 'selector', 'privateKey', 'keyFile'])
  const named = check.string(given['domain'], `${path}.domain`, 255)
  // In the tag d= and in the DNS, a domain of any script is written in A-labels (RFC 6376 section 3.5).
  const domain = isAsciiText(named) ? named : (toAsciiDomain(named) ?? named)
  const selector = check.string(given['selector'], `${path}.selector`, 255)
  for (const [key, name] of [
    ['domain', domain],
    ['selector', selector],
  ] as const)
    if (!/^[\w-]+(?:\.[\w-]+)*$/.test(name))
      check.fail(`${path}.${key}`, 'is not a domain name or part of one')
  if ((given['privateKey'] === undefined) === (given['keyFile'] === undefined))
    check.fail(`${path}.privateKey`, 'give either privateKey, as PEM, or keyFile')
  const privateKey =
    given['keyFile'] === undefined
      ? check.string(given['privateKey'], `${path}.privateKey`, 16_384)
      : readKey(check, check.string(given['keyFile'], `${path}.keyFile`), `${path}.keyFile`)
  checkKey(check, privateKey, path)
  return { domain, selector, privateKey }
}

function readKey(check: Validator, file: string, path: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return check.fail(path, `can't be read: ${(error as Error).message}`)
  }
}

/** Receivers ignore signatures of shorter keys (RFC 8301 section 3.2 asks for 2048 bits, and allows no less than 1024). */
const MIN_RSA_BITS = 2048

/** Fails unless the key can sign. The message never repeats the key. */
function checkKey(check: Validator, pem: string, path: string): void {
  const key =
    privateKeyOf(pem) ??
    check.fail(`${path}.privateKey`, 'is not a private key in PEM form without a passphrase')
  const type = key.asymmetricKeyType
  if (type === 'ed25519') return
  if (type !== 'rsa')
    check.fail(`${path}.privateKey`, `must be an RSA or Ed25519 key, got ${type ?? 'another'}`)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < MIN_RSA_BITS)
    check.fail(
      `${path}.privateKey`,
      `is an RSA key of ${bits} bits, and receivers don't trust such a signature: create one of ${MIN_RSA_BITS} bits or more`,
    )
}

import { isLoopback } from '../loopback.js'
import { parseJson } from '../protocol/parseJson.js'
import { isSigned, resolveSecrets, sign } from '../signedTokens.js'
import type { Validator } from '../validation.js'

/** Where recipients unsubscribe with one click (RFC 8058), for mails with `listUnsubscribe: true`. */
export interface UnsubscribeOptions {
  /** Public https URL under which `unsubscribeRouter` is mounted, without a query. @example 'https://acme.example/unsubscribe' */
  url: string
  /** At least 16 characters that sign the links. Of a list, the first signs, and all are accepted. */
  secret: string | readonly string[]
}

export interface UnsubscribePlan {
  url: string
  secrets: readonly string[]
}

/** The recipient and the stream of a link. */
export interface Subscription {
  address: string
  stream: string
  /** Id of the message that had the link. */
  id: string
  /** Locale of that message. */
  locale?: string
}

const PURPOSE = 'unsubscribe'
const SIGNATURE = 43
const MAX_TOKEN = 2_000
const MAX_URL = 300

export function resolveUnsubscribe(check: Validator, value: unknown): UnsubscribePlan {
  const { url, secret } = check.object(value, 'unsubscribe', ['url', 'secret'])
  const text = check.string(url, 'unsubscribe.url', MAX_URL)
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  const secure =
    parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && isLoopback(parsed.hostname))
  if (parsed === undefined || !secure || parsed.search !== '' || parsed.hash !== '' || parsed.username !== '')
    check.fail(
      'unsubscribe.url',
      "must be an https URL without a query, such as 'https://acme.example/unsubscribe'",
    )
  return {
    url: parsed.href.replace(/\/$/, ''),
    secrets: resolveSecrets(check, secret, 'unsubscribe.secret'),
  }
}

/** A signed link with which the recipient unsubscribes from the stream. It stays valid as long as its secret is accepted. */
export function unsubscribeUrl(
  { url, secrets }: UnsubscribePlan,
  { address, stream, id, locale }: Subscription,
): string {
  const content = Buffer.from(
    JSON.stringify([address, stream, id, ...(locale === undefined ? [] : [locale])]),
  ).toString('base64url')
  return `${url}/${content}.${sign(secrets[0]!, PURPOSE, content)}`
}

/** @returns undefined if the token of a link isn't ours, or was changed */
export function readUnsubscribeToken(secrets: readonly string[], token: string): Subscription | undefined {
  if (token.length > MAX_TOKEN) return undefined
  const [content = '', signature = '', ...rest] = token.split('.')
  if (rest.length > 0 || signature.length !== SIGNATURE) return undefined
  if (!isSigned(secrets, PURPOSE, content, signature)) return undefined
  const [address, stream, id, locale] = parseJson(Buffer.from(content, 'base64url').toString()) as [
    string,
    string,
    string,
    string?,
  ]
  return { address, stream, id, ...(locale === undefined ? {} : { locale }) }
}

import { isAsciiText, needsSmtpUtf8, toAsciiDomain, toWireAddress } from '../protocol/addressForms.js'
import type { ListUnsubscribe } from '../protocol/tasks.js'
import { type Validator, forbidControls, isPlainObject, kindOf } from '../validation.js'
import { parseAddress, parseMailbox } from './addresses.js'

/** The syntax of a header's value, which decides how its characters are encoded. */
type Syntax =
  /** Free text (RFC 5322 section 2.2.1). */
  | 'text'
  /** ASCII without an encoding. */
  | 'token'
  /** URLs in angle brackets (RFC 2369). */
  | 'urls'
  /** `Acme News <news.acme.example>` (RFC 2919). */
  | 'listId'
  /** One mailbox (RFC 8098). */
  | 'mailbox'
  /** Phrases with commas between them (RFC 5322 section 3.6.5). */
  | 'phrases'

/** Headers that a mail may set besides `X-*`. None of them routes, identifies or describes the message. */
const ALLOWED: ReadonlyMap<string, Syntax> = new Map([
  ['auto-submitted', 'token'],
  ['comments', 'text'],
  ['content-language', 'token'],
  ['disposition-notification-to', 'mailbox'],
  ['feedback-id', 'token'],
  ['importance', 'token'],
  ['keywords', 'phrases'],
  ['list-archive', 'urls'],
  ['list-help', 'urls'],
  ['list-id', 'listId'],
  ['list-owner', 'urls'],
  ['list-post', 'urls'],
  ['list-subscribe', 'urls'],
  ['organization', 'text'],
  ['precedence', 'token'],
  ['priority', 'token'],
  ['sensitivity', 'token'],
  ['thread-index', 'token'],
  ['thread-topic', 'text'],
])
const MAX_HEADERS = 50
const MAX_VALUE = 2_000
/** RFC 5322 section 2.1.1: octets of a line. */
const MAX_LINE = 998
const MAX_IDS = 100
const MAX_ID = 512
const EXTENSION = /^x-[a-z0-9-]{1,74}$/
/** msg-id of RFC 5322 section 3.6.4, without comments. */
const MESSAGE_ID = /^<[^\s<>@]{1,250}@[^\s<>@]{1,250}>$/

export function headersOf(value: unknown, check: Validator): [string, string][] {
  if (value === undefined) return []
  if (!isPlainObject(value))
    check.fail('headers', `must be an object with strings or arrays of strings, got ${kindOf(value)}`)
  const entries = Object.entries(value)
  if (entries.length > MAX_HEADERS)
    check.fail('headers', `has ${entries.length} entries; at most ${MAX_HEADERS} are allowed`)
  return entries.flatMap(([name, value]) => {
    const path = `headers.${name.slice(0, 80)}`
    const key = name.toLowerCase()
    const syntax = ALLOWED.get(key) ?? (EXTENSION.test(key) ? 'text' : undefined)
    if (syntax === undefined)
      check.fail(
        path,
        'this header is not allowed; allowed are X-* and a few others such as List-Id and Auto-Submitted',
      )
    const lines = Array.isArray(value) ? check.array(value, path, MAX_HEADERS) : [value]
    if (syntax === 'mailbox' && lines.length > 1) check.fail(path, 'must be a single address')
    return lines.map((line, index): [string, string] => {
      const at = Array.isArray(value) ? `${path}[${index}]` : path
      const text = forbidControls(check.string(line, at, MAX_VALUE), at, check)
      const written = SYNTAXES[syntax](text, at, check)
      if (syntax !== 'text') refuseUnfoldable(name, written, at, check)
      return [name, written]
    })
  })
}

/** Checks a value, and returns it as it is written, but for encoded words. */
const SYNTAXES: Readonly<Record<Syntax, (text: string, path: string, check: Validator) => string>> = {
  text: (text) => text,
  phrases: (text) => text,
  token: asciiOnly,
  urls: (text, path, check) =>
    asciiOnly(
      text.replace(/<([^<>]*)>/g, (_, url: string) => `<${asciiUrl(url.trim(), path, check)}>`),
      path,
      check,
    ),
  listId: (text, path, check) => {
    const [, label = '', id] = /^([^<>]*)<([^<>]*)>$/.exec(text.trim()) ?? []
    const domain = id === undefined ? undefined : toAsciiDomain(id.trim())
    if (domain !== undefined) return `${label}<${domain}>`
    return asciiOnly(text, path, check, "must be a list's id such as 'Acme News <news.acme.example>'")
  },
  mailbox: (text, path, check) => {
    const { name = '', address } = parseMailbox(text, path, check)
    if (needsSmtpUtf8(address)) check.fail(path, 'the part before the @ must be ASCII')
    const wire = toWireAddress(address)
    return name === '' ? wire : `"${name.replace(/["\\]/g, '\\$&')}" <${wire}>`
  },
}

function asciiOnly(
  text: string,
  path: string,
  check: Validator,
  problem = 'must be ASCII: this header has no encoding for other characters',
): string {
  if (!isAsciiText(text)) check.fail(path, problem)
  return text
}

/** A URL in ASCII: its domain as A-labels, and everything else percent-encoded. */
function asciiUrl(url: string, path: string, check: Validator): string {
  if (isAsciiText(url)) return url
  if (/^mailto:/i.test(url)) return `mailto:${mailtoOf(url.slice('mailto:'.length), path, check)}`
  if (!URL.canParse(url)) check.fail(path, 'contains an invalid URL')
  return new URL(url).href
}

/** A line can only be folded at a space (RFC 5322 section 2.2.3). */
function refuseUnfoldable(name: string, value: string, path: string, check: Validator): void {
  // White space stays with the word behind it, since a line must not consist of white space.
  const words = value.split(/(?<=[^ \t])(?=[ \t])/)
  const longest = words.reduce((most, word) => Math.max(most, Buffer.byteLength(word)), 0)
  if (name.length + 2 + longest > MAX_LINE)
    check.fail(
      path,
      `has ${longest} characters that can't be folded; a line of the header holds at most ${MAX_LINE}`,
    )
}

/** Size of the header lines in bytes, before they are encoded and folded. */
export function sizeOfHeaders(headers: readonly [string, string][], references: readonly string[]): number {
  const lines = headers.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0)
  return references.reduce((sum, id) => sum + Buffer.byteLength(id) + 1, lines)
}

/** One Message-ID with angle brackets. Its domain is returned as A-labels. */
export function messageIdOf(value: unknown, path: string, check: Validator): string {
  const text = forbidControls(check.string(value, path, MAX_ID), path, check)
  if (!MESSAGE_ID.test(text)) check.fail(path, "must be a Message-ID such as '<id@example.com>'")
  if (isAsciiText(text)) return text
  const at = text.lastIndexOf('@')
  const domain = toAsciiDomain(text.slice(at + 1, -1))
  if (domain === undefined || !isAsciiText(text.slice(0, at)))
    check.fail(path, "must be an ASCII Message-ID such as '<id@example.com>'")
  return `${text.slice(0, at)}@${domain}>`
}

/** Message-IDs with angle brackets: one, an array, or several in one string separated by spaces; at most 100. */
export function messageIdsOf(value: unknown, path: string, check: Validator): string[] {
  if (value === undefined) return []
  const list =
    typeof value === 'string'
      ? check
          .string(value, path, MAX_IDS * MAX_ID)
          .trim()
          .split(/ +/)
      : value
  return check.array(list, path, MAX_IDS).map((id) => messageIdOf(id, path, check))
}

/** The Message-ID of the mail that this one replies to. */
export function inReplyToOf(value: unknown, path: string, check: Validator): string | undefined {
  const [id, ...others] = messageIdsOf(value, path, check)
  if (others.length > 0) check.fail(path, 'must be a single Message-ID; put others into references')
  return id
}

export function listUnsubscribeOf(value: unknown, check: Validator): ListUnsubscribe {
  const path = 'listUnsubscribe'
  if (typeof value !== 'string' && !isPlainObject(value))
    check.fail(path, `must be true, a URL, or an object with url or mailto, got ${kindOf(value)}`)
  const input =
    typeof value !== 'string'
      ? check.object(value, path, ['url', 'mailto', 'oneClick'])
      : /^mailto:/i.test(value)
        ? { mailto: value.slice('mailto:'.length) }
        : { url: value }
  const target: ListUnsubscribe = {
    oneClick: check.boolean(input['oneClick'] ?? true, `${path}.oneClick`),
  }
  if (input['url'] !== undefined) {
    const url = forbidControls(check.string(input['url'], `${path}.url`, 1_500), `${path}.url`, check)
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol) || /[<>\s]/.test(url))
      check.fail(`${path}.url`, 'must be an http(s) URL')
    target.url = new URL(url).href
    refuseUnfoldable('List-Unsubscribe', `<${target.url}>,`, `${path}.url`, check)
  }
  if (input['mailto'] !== undefined) {
    target.mailto = mailtoOf(input['mailto'], `${path}.mailto`, check)
    refuseUnfoldable('List-Unsubscribe', `<mailto:${target.mailto}>,`, `${path}.mailto`, check)
  }
  if (target.url === undefined && target.mailto === undefined) check.fail(path, 'needs a url or a mailto')
  // RFC 8058 section 3.1: one-click unsubscribe is a POST to an HTTPS URI.
  if (target.url === undefined || !target.url.startsWith('https:')) target.oneClick = false
  return target
}

/** An address with optional header fields: `leave@example.com?subject=leave` (RFC 6068). */
function mailtoOf(value: unknown, path: string, check: Validator): string {
  const [address, ...rest] = check.string(value, path, 1_000).split('?')
  const query = rest.join('?')
  if (!/^[\w%&=.+~-]*$/.test(query)) check.fail(path, 'the part after the ? must be percent-encoded')
  const wire = toWireAddress(parseAddress(address, path, check))
  const at = wire.lastIndexOf('@')
  // RFC 6068 section 2: everything but atext is percent-encoded, and so is what delimits the fields.
  const local = wire.slice(0, at).replace(/[^\w.+!$'*~-]/gu, (character) => encodeURIComponent(character))
  return `${local}${wire.slice(at)}${query === '' ? '' : `?${query}`}`
}

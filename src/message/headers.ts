import type { ListUnsubscribe } from '../protocol/tasks.js'
import { type Validator, forbidControls, isPlainObject, kindOf } from '../validation.js'
import { parseAddress } from './addresses.js'

/** Headers that a mail may set besides `X-*`. None of them routes, identifies or describes the message. */
const ALLOWED = new Set([
  'auto-submitted',
  'comments',
  'content-language',
  'feedback-id',
  'importance',
  'keywords',
  'list-archive',
  'list-help',
  'list-id',
  'list-owner',
  'list-post',
  'list-subscribe',
  'organization',
  'precedence',
  'priority',
  'sensitivity',
  'thread-index',
  'thread-topic',
])
const MAX_HEADERS = 50
const MAX_VALUE = 2_000
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
    check.fail('headers', `has ${entries.length} entries, at most ${MAX_HEADERS} are allowed`)
  return entries.flatMap(([name, value]) => {
    const path = `headers.${name.slice(0, 80)}`
    const key = name.toLowerCase()
    if (!ALLOWED.has(key) && !EXTENSION.test(key))
      check.fail(
        path,
        'this header is not allowed; allowed are X-* and a few others such as List-Id and Auto-Submitted',
      )
    const lines = Array.isArray(value) ? check.array(value, path, MAX_HEADERS) : [value]
    return lines.map((line, index): [string, string] => {
      const at = Array.isArray(value) ? `${path}[${index}]` : path
      return [name, forbidControls(check.string(line, at, MAX_VALUE), at, check)]
    })
  })
}

/** Size of the header lines in bytes, before they are encoded and folded. */
export function sizeOfHeaders(headers: readonly [string, string][], references: readonly string[]): number {
  const lines = headers.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 4, 0)
  return references.reduce((sum, id) => sum + Buffer.byteLength(id) + 1, lines)
}

/** One Message-ID with angle brackets. */
export function messageIdOf(value: unknown, path: string, check: Validator): string {
  const text = check.string(value, path, MAX_ID)
  if (!MESSAGE_ID.test(text)) check.fail(path, "must be a Message-ID such as '<id@example.com>'")
  return forbidControls(text, path, check)
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
  return check.array(list, path, MAX_IDS).map((id, index) => {
    const text = check.string(id, `${path}[${index}]`, MAX_ID)
    if (!MESSAGE_ID.test(text)) check.fail(path, "must be Message-IDs such as '<id@example.com>'")
    return forbidControls(text, path, check)
  })
}

/** The Message-ID of the mail that this one replies to. */
export function inReplyToOf(value: unknown, path: string, check: Validator): string | undefined {
  const [id, ...others] = messageIdsOf(value, path, check)
  if (others.length > 0) check.fail(path, 'must be a single Message-ID; put others into references')
  return id
}

export function listUnsubscribeOf(value: unknown, check: Validator): ListUnsubscribe {
  const path = 'listUnsubscribe'
  const input =
    typeof value === 'string' ? { url: value } : check.object(value, path, ['url', 'mailto', 'oneClick'])
  const target: ListUnsubscribe = {
    oneClick: check.boolean(input['oneClick'] ?? true, `${path}.oneClick`),
  }
  if (input['url'] !== undefined) {
    const url = forbidControls(check.string(input['url'], `${path}.url`, 1_500), `${path}.url`, check)
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol) || /[<>\s]/.test(url))
      check.fail(`${path}.url`, 'must be an http(s) URL')
    target.url = new URL(url).href
  }
  if (input['mailto'] !== undefined) target.mailto = mailtoOf(input['mailto'], `${path}.mailto`, check)
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
  return `${parseAddress(address, path, check)}${query === '' ? '' : `?${query}`}`
}

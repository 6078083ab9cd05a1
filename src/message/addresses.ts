import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import addressparser from 'nodemailer/lib/addressparser'
import type { Mailbox } from '../protocol/tasks.js'
import { type Validator, forbidControls, isPlainObject, kindOf } from '../validation.js'

/** Limits of RFC 5321 section 4.5.3.1, in octets. */
const MAX_LOCAL_PART = 64
const MAX_DOMAIN = 255
/** A path is 256 octets with its angle brackets. */
const MAX_ADDRESS = 254
const MAX_NAME = 256

/** Dot-atom of RFC 5322 section 3.2.3, with the characters RFC 6531 adds. */
const LOCAL_PART =
  /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u
const DOMAIN_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
/** The plainest form of an address, which needs no parser. */
const BARE_ADDRESS = /^[\w.+-]{1,64}@[a-z0-9.-]{1,255}$/i
const COMMENT_OUTSIDE_QUOTES = /^(?:[^"]|"(?:[^"\\]|\\.)*")*?[()]/

/**
 * Parses one mailbox: `ada@example.com`, `Ada <ada@example.com>` or `{ name, address }`. Rejects lists, groups, comments and
 * quoted local parts, because each has been used to inject recipients.
 */
export function parseMailbox(value: unknown, path: string, check: Validator): Mailbox {
  if (typeof value === 'string') return parseText(value, path, check)
  if (!isPlainObject(value))
    check.fail(path, `must be an address such as 'Ada <ada@example.com>', got ${kindOf(value)}`)
  const { name, address } = check.object(value, path, ['name', 'address'])
  const mailbox: Mailbox = {
    address: checkAddress(check.string(address, `${path}.address`), `${path}.address`, check),
  }
  if (name !== undefined && name !== '')
    mailbox.name = checkName(check.string(name, `${path}.name`), `${path}.name`, check)
  return mailbox
}

/** One mailbox, or an array of them. A string is always one mailbox, even if it contains commas. */
export function parseMailboxes(value: unknown, path: string, check: Validator, max: number): Mailbox[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return [parseMailbox(value, path, check)]
  return check.array(value, path, max).map((entry, index) => parseMailbox(entry, `${path}[${index}]`, check))
}

/**
 * Parses a list as nodemailer accepts it: mailboxes, or texts with commas between mailboxes. Each mailbox is checked as strictly
 * as a single one, and the split must agree with nodemailer's own parser, so that a comma can't inject a recipient that only
 * one of the two parsers sees. Callers that pass on untrusted input use `{ address }`, which is never split.
 */
export function parseMailboxList(value: unknown, path: string, check: Validator, max: number): Mailbox[] {
  if (value === undefined || value === null) return []
  const entries = Array.isArray(value) ? check.array(value, path, max) : [value]
  return entries.flatMap((entry, index) => {
    const at = Array.isArray(value) ? `${path}[${index}]` : path
    if (typeof entry !== 'string') return [parseMailbox(entry, at, check)]
    if (entry.length > max * (MAX_ADDRESS + MAX_NAME)) check.fail(at, 'is too long for a list of addresses')
    forbidControls(entry, at, check)
    const mailboxes = splitAtCommas(entry).map((text) => parseMailbox(text, at, check))
    const seen = addressparser(entry)
    if (
      seen.length !== mailboxes.length ||
      mailboxes.some(({ address }, place) => seen[place]?.address !== address)
    )
      check.fail(at, 'is an ambiguous list of addresses; pass an array with one address each')
    return mailboxes
  })
}

/** Splits at commas outside quoted names. */
function splitAtCommas(text: string): string[] {
  const pieces = text.match(/(?:"(?:[^"\\]|\\.)*"|[^,])+/g) ?? []
  return pieces.map((piece) => piece.trim()).filter((piece) => piece !== '')
}

/** Parses a bare address, without a name or angle brackets. */
export function parseAddress(value: unknown, path: string, check: Validator): string {
  return checkAddress(check.string(value, path), path, check)
}

function parseText(text: string, path: string, check: Validator): Mailbox {
  if (BARE_ADDRESS.test(text)) return { address: checkAddress(text, path, check) }
  if (text.length > MAX_ADDRESS + MAX_NAME) check.fail(path, 'is too long for an address')
  forbidControls(text, path, check)
  if (COMMENT_OUTSIDE_QUOTES.test(text))
    check.fail(path, 'comments in parentheses are not allowed in an address')

  const parsed = addressparser(text)
  const [first] = parsed
  if (parsed.length > 1) check.fail(path, 'contains several addresses; pass an array with one address each')
  if (first === undefined || 'group' in first || first.address === '')
    check.fail(path, `is not an address such as 'Ada <ada@example.com>'`)
  // Text that the parser skipped must not be dropped silently: the address is the whole text, or its end.
  const rest = text.trim()
  if (rest !== first.address && !rest.endsWith(`<${first.address}>`))
    check.fail(path, `is not an address such as 'Ada <ada@example.com>'`)
  const mailbox: Mailbox = { address: checkAddress(first.address, path, check) }
  if (first.name !== '') mailbox.name = checkName(first.name, path, check)
  return mailbox
}

function checkName(name: string, path: string, check: Validator): string {
  forbidControls(name, path, check)
  if (name.length > MAX_NAME) check.fail(path, `the name is longer than ${MAX_NAME} characters`)
  return name
}

function checkAddress(address: string, path: string, check: Validator): string {
  forbidControls(address, path, check)
  const at = address.lastIndexOf('@')
  if (at < 1) check.fail(path, 'is not an address: it needs an @ with a local part before it')
  const local = address.slice(0, at)
  const domain = address.slice(at + 1)
  if (!LOCAL_PART.test(local)) check.fail(path, 'the part before the @ contains invalid characters')
  if (Buffer.byteLength(local) > MAX_LOCAL_PART)
    check.fail(path, `the part before the @ is longer than ${MAX_LOCAL_PART} octets`)
  if (!isDomain(domain)) check.fail(path, 'the part after the @ is not a domain')
  if (Buffer.byteLength(address) > MAX_ADDRESS) check.fail(path, `is longer than ${MAX_ADDRESS} octets`)
  return address
}

function isDomain(domain: string): boolean {
  const literal = /^\[(?:IPv6:)?([0-9a-f:.]+)\]$/i.exec(domain)?.[1]
  if (literal !== undefined) return domain.startsWith('[IPv6:') ? isIPv6(literal) : isIPv4(literal)
  const ascii = isAscii(domain) ? domain : domainToASCII(domain)
  return (
    ascii.length > 0 &&
    ascii.length <= MAX_DOMAIN &&
    ascii.split('.').every((label) => DOMAIN_LABEL.test(label))
  )
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

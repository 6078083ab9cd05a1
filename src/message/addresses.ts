import { isIPv4, isIPv6 } from 'node:net'
import addressparser from 'nodemailer/lib/addressparser'
import { addressKey, toAsciiDomain, toWireAddress } from '../protocol/addressForms.js'
import type { Mailbox } from '../protocol/tasks.js'
import { type Validator, forbidControls, isPlainObject, kindOf } from '../validation.js'

/** Limits of RFC 5321 section 4.5.3.1, in octets. */
const MAX_LOCAL_PART = 64
const MAX_DOMAIN = 255
/** A path is 256 octets with its angle brackets. */
const MAX_ADDRESS = 254
const MAX_NAME = 256

/** The characters of a local part without quotes: atext of RFC 5322, those that RFC 6531 adds, and dots in any place. */
const UNQUOTED = /^[\w!#$%&'*+/=?^`{|}~.\u0080-\u{10ffff}-]+$/u
/**
 * Quoted-string of RFC 5321 section 4.1.2, with the characters that RFC 6531 adds, and without `@ < >`: software that splits addresses
 * naively would deliver to another recipient.
 */
const QUOTED = /^"(?:[^"\\@<>]|\\(?![@<>])[ -~])+"$/
/** Characters that nobody sees, and spaces that only look like one: two addresses that differ in them look the same. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u2800]|(?! )\p{Z}/u
/** The plainest form of an address, which needs no parser. */
const BARE_ADDRESS = /^[\w.+-]{1,64}@[a-z0-9.-]{1,255}$/i

/**
 * Parses one mailbox: `ada@example.com`, `Ada <ada@example.com>` or `{ name, address }`. Rejects lists, groups and
 * comments, because each has been used to inject recipients.
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

/**
 * One mailbox, or an array of them, without those that repeat an address. A string is always one mailbox, even if it contains
 * commas.
 */
export function parseMailboxes(value: unknown, path: string, check: Validator, max: number): Mailbox[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return [parseMailbox(value, path, check)]
  const mailboxes = check
    .array(value, path, max)
    .map((entry, index) => parseMailbox(entry, `${path}[${index}]`, check))
  if (mailboxes.length < 2) return mailboxes
  const keys = new Set<string>()
  return mailboxes.filter(({ address }) => keys.size < keys.add(addressKey(address)).size)
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
  const { name, address } = splitMailbox(trimSpaces(text), path, check)
  const mailbox: Mailbox = { address: checkAddress(address, path, check) }
  if (name !== '' && name !== address) mailbox.name = checkName(name, path, check)
  return mailbox
}

/** Splits `name <address>`, or takes the whole text as an address. Reads each character once. */
function splitMailbox(text: string, path: string, check: Validator): { name: string; address: string } {
  let quoted = false
  let open = -1
  let literal = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (quoted) {
      if (character === '\\') at++
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === '<') {
      if (open !== -1) check.fail(path, 'contains several addresses; pass an array with one address each')
      open = at
    } else if (character === '[') literal = true
    else if (character === '(' || character === ')')
      check.fail(path, 'comments in parentheses are not allowed in an address')
    else if (character === ',' || character === ';' || (character === ':' && !literal))
      check.fail(
        path,
        'contains several addresses or a group; pass an array with one address each, and quote a name with , ; or :',
      )
    else if (character === '>' && (open === -1 || at !== text.length - 1))
      check.fail(path, `is not an address such as 'Ada <ada@example.com>'`)
  }
  if (open === -1) return { name: '', address: text }
  if (quoted || !text.endsWith('>')) check.fail(path, `is not an address such as 'Ada <ada@example.com>'`)
  const name = text
    .slice(0, open)
    .replace(/"((?:[^"\\]|\\.)*)"/g, (_, content: string) => content.replace(/\\(.)/g, '$1'))
  return { name: trimSpaces(name), address: trimSpaces(text.slice(open + 1, -1)) }
}

/** Removes spaces at both ends, and no invisible character, as `trim()` would. */
function trimSpaces(text: string): string {
  let start = 0
  let end = text.length
  while (text[start] === ' ') start++
  while (end > start && text[end - 1] === ' ') end--
  return text.slice(start, end)
}

function checkName(name: string, path: string, check: Validator): string {
  forbidControls(name, path, check)
  if (name.length > MAX_NAME) check.fail(path, `the name is longer than ${MAX_NAME} characters`)
  return name
}

function checkAddress(address: string, path: string, check: Validator): string {
  if (address.length > MAX_ADDRESS) check.fail(path, `is longer than ${MAX_ADDRESS} octets`)
  forbidControls(address, path, check)
  const at = address.lastIndexOf('@')
  if (at < 1) check.fail(path, 'is not an address: it needs an @ with a local part before it')
  const local = address.slice(0, at)
  if (INVISIBLE.test(local)) check.fail(path, 'the part before the @ contains an invisible character')
  if (!UNQUOTED.test(local) && !QUOTED.test(local))
    check.fail(path, 'the part before the @ contains invalid characters')
  if (!isDomain(address.slice(at + 1))) check.fail(path, 'the part after the @ is not a domain')
  const wire = toWireAddress(address)
  if (Buffer.byteLength(wire.slice(0, wire.lastIndexOf('@'))) > MAX_LOCAL_PART)
    check.fail(path, `the part before the @ is longer than ${MAX_LOCAL_PART} octets`)
  if (Buffer.byteLength(wire) > MAX_ADDRESS) check.fail(path, `is longer than ${MAX_ADDRESS} octets`)
  return address
}

function isDomain(domain: string): boolean {
  const literal = /^\[(?:IPv6:)?([0-9a-f:.]+)\]$/i.exec(domain)?.[1]
  if (literal !== undefined) return domain.startsWith('[IPv6:') ? isIPv6(literal) : isIPv4(literal)
  if (INVISIBLE.test(domain.replace(/[\u200c\u200d]/g, ''))) return false
  const ascii = toAsciiDomain(domain)
  return ascii !== undefined && ascii.length <= MAX_DOMAIN
}

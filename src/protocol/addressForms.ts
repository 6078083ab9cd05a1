import { isIPv4 } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'

/**
 * The forms of an address. A message keeps each address as the caller wrote it, because applications look recipients up by
 * it. Servers and services receive the wire form, and addresses are compared by their keys.
 */

/** An address that is its own wire form: the vast majority. */
const PLAIN_ADDRESS = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[a-zA-Z0-9.-]+$/
/** Dot-string of RFC 5321 section 4.1.2, with the characters that RFC 6531 adds. */
const DOT_STRING =
  /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u
/** Letters, digits, and hyphens (RFC 5890 section 2.3.1). */
const LDH_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
/** ASCII characters that a domain can't contain. `domainToASCII` would end the domain there, or decode it. */
const NOT_IN_DOMAIN = /[\u0000-\u002c/:-@[-`{-\u007f]/
/** The code points of a U-label (RFC 5892): letters, marks, digits, and those that the context rules allow. */
const U_LABEL = /^[\p{Ll}\p{Lo}\p{Lm}\p{Mn}\p{Mc}\p{Nd}\u00b7\u0375\u05f3\u05f4\u200c\u200d\u30fb-]+$/u

/**
 * Converts a domain to A-labels by UTS 46, limited to the code points of IDNA 2008 (RFC 5892): symbols and box-drawing
 * characters are not allowed. A domain in ASCII is returned unchanged. Returns undefined if the domain is not valid.
 */
export function toAsciiDomain(domain: string): string | undefined {
  const ascii = isAsciiText(domain)
  if (ascii && !/xn--/i.test(domain)) return isLdhDomain(domain) ? domain : undefined
  if (NOT_IN_DOMAIN.test(domain)) return undefined
  const converted = domainToASCII(domain)
  if (!isLdhDomain(converted) || isIPv4(converted)) return undefined
  if (ascii) return domain
  return domainToUnicode(converted)
    .split('.')
    .every((label) => U_LABEL.test(label))
    ? converted
    : undefined
}

function isLdhDomain(domain: string): boolean {
  return domain !== '' && domain.split('.').every((label) => LDH_LABEL.test(label))
}

/**
 * Converts an address to the form that servers and headers take: the domain as A-labels (RFC 5890), and the local part quoted
 * if it is not a dot-string, as in `"abc..def"@docomo.ne.jp`. Only a non-ASCII local part then requires SMTPUTF8.
 */
export function toWireAddress(address: string): string {
  if (address === '' || PLAIN_ADDRESS.test(address)) return address
  const { local, domain } = splitAddress(address)
  return `${quoteIfNeeded(local)}@${domain.startsWith('[') ? domain : (toAsciiDomain(domain) ?? domain)}`
}

/** A path (RFC 5321 section 4.1.2, RFC 6531): no server can mistake a part of it for its end. */
const PATH = /^(?:[^\s"\\<>@\p{Cc}]+|"(?:[^"\\\p{Cc}]|\\[ -~])+")@[^\s"\\<>@\p{Cc}]+$/u

/** Whether an address can be written into a command. */
export function isWireAddress(address: string): boolean {
  return PATH.test(address)
}

/** The same for all spellings of an address: the domain's letter case and script don't matter, nor do needless quotes. */
export function addressKey(address: string): string {
  const wire = toWireAddress(address)
  const at = wire.lastIndexOf('@')
  return wire.slice(0, at) + wire.slice(at).toLowerCase()
}

/** The domain of an address as A-labels, in lower case. */
export function domainKey(address: string): string {
  const key = addressKey(address)
  return key.slice(key.lastIndexOf('@') + 1)
}

/** Whether an address can only be sent with SMTPUTF8 (RFC 6531): its local part is not ASCII. */
export function needsSmtpUtf8(address: string): boolean {
  return !isAsciiText(address) && !isAsciiText(splitAddress(address).local)
}

/** Splits an address at its last @, and removes the quotes from the local part. */
export function splitAddress(address: string): { local: string; domain: string } {
  const at = address.lastIndexOf('@')
  const local = address.slice(0, at)
  const quoted = local.length > 1 && local.startsWith('"') && local.endsWith('"')
  return {
    local: quoted ? local.slice(1, -1).replace(/\\(.)/gs, '$1') : local,
    domain: address.slice(at + 1),
  }
}

function quoteIfNeeded(local: string): string {
  return DOT_STRING.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`
}

export function isAsciiText(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

import os from 'node:os'
import { toAsciiDomain } from '../protocol/addressForms.js'
import type { Validator } from '../validation.js'
import type { ResolvedTransport } from './transportOptions.js'

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
/** Address literal (RFC 5321 section 4.1.3). */
const LITERAL = /^\[[\dA-Fa-f.:]+\]$|^\[IPv6:[\dA-Fa-f.:]+\]$/i
/** Endings of names that mean nothing outside a local network. */
const LOCAL = new Set([
  'localhost',
  'localdomain',
  'local',
  'internal',
  'intranet',
  'lan',
  'home',
  'arpa',
  'invalid',
])

/** Validates the name to send in EHLO (RFC 5321 section 4.1.1.1). Returns a domain as A-labels, or an address literal. */
export function resolveEhloName(check: Validator, value: unknown, path: string): string {
  const text = check.string(value, path, 255)
  if (LITERAL.test(text)) return text
  const name = toAsciiDomain(text)
  if (name === undefined)
    check.fail(path, "is not a domain name such as 'mail.acme.example', or an address such as '[192.0.2.1]'")
  return name.toLowerCase()
}

/**
 * Gives a transport without `ehloName` the name that relays accept: the machine's if it is fully qualified, or else the domain of
 * the mailer's `from`. Without either, the thread uses the domain of the message's sender.
 * @param from the address of the mailer's `from`
 */
export function withEhloName(plan: ResolvedTransport, from: string | undefined): ResolvedTransport {
  const { config } = plan
  if (config.kind !== 'smtp' || config.ehloName !== undefined) return plan
  const ehloName = fullyQualified(os.hostname()) ?? domainOf(from)
  return ehloName === undefined ? plan : { ...plan, config: { ...config, ehloName } }
}

/** Returns the name if it has a domain that can be known elsewhere. */
export function fullyQualified(hostname: string): string | undefined {
  const labels = hostname.toLowerCase().split('.')
  const last = labels.at(-1) ?? ''
  if (labels.length < 2 || LOCAL.has(last) || /^\d+$/.test(last)) return undefined
  return isName(hostname) ? hostname : undefined
}

function domainOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  return toAsciiDomain(address.slice(address.lastIndexOf('@') + 1))?.toLowerCase()
}

function isName(name: string): boolean {
  return name.split('.').every((label) => LABEL.test(label))
}

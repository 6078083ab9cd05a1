import { textOf, decodeBody } from '../../mime/mimeBody.js'
import {
  type HeaderField,
  type LeafPart,
  parseStructure,
  parseStructuredField,
  valueOf,
} from '../../mime/mimeStructure.js'
import type { DeliveryState } from '../deliveryStates.js'
import { readBounceText } from './parseBounceText.js'

/** The report of a mail on one recipient. */
export interface MailReport {
  /** The address to which the message was sent, then the one at which it ended, if they are known. */
  recipients: string[]
  state: DeliveryState
  /** Milliseconds since the epoch. */
  at?: number
  enhanced?: string
  detail?: string
}

/** A mail that was sent to the address for bounces. */
export interface ReportMail {
  /** `other`: an automatic reply, a challenge, or any other mail that reports nothing. */
  source: 'dsn' | 'arf' | 'bounce' | 'other'
  /** Addresses that the mail, or the message that it returns, names where a token may be. */
  addresses: string[]
  /** Message-IDs of the message that it returns. */
  messageIds: string[]
  /** At most 1,000. */
  reports: MailReport[]
}

/** Bytes of a mail that are read; what follows is the message that is returned. */
export const MAX_READ = 4 * 1024 * 1024
/** Bytes of a returned message whose header is read. */
const MAX_RETURNED = 256 * 1024
const MAX_REPORTS = 1_000
const MAX_ADDRESSES = 20
/** Characters of an address with its type, each encoded as three (RFC 3461 section 4). */
const MAX_TYPED = 1_000
const MAX_TEXT = 64 * 1024

/** Reads a mail in linear time. Any input is accepted. */
export function readReportMail(raw: Uint8Array): ReportMail {
  const { header, parts } = parseStructure(raw.subarray(0, MAX_READ))
  const returned = parts.flatMap(returnedHeader)
  const mail: ReportMail = {
    source: 'other',
    addresses: addressesIn(header, ['to', 'delivered-to', 'x-original-to', 'envelope-to', 'x-envelope-to']),
    messageIds: messageIdsIn(returned),
    reports: [],
  }
  const at = timeIn(valueOf(header, 'date'))
  const status = parts.find(({ type }) => /^message\/(?:global-)?delivery-status$/.test(type.value))
  const feedback = parts.find(({ type }) => type.value === 'message/feedback-report')
  if (status !== undefined) {
    mail.source = 'dsn'
    const groups = groupsIn(status)
    // The ENVID that threadpost gave the message (RFC 3461) is its id, as in the Message-IDs that it assigns.
    const envid = /^[0-9a-f-]{36}$/.exec(
      valueOf(groups[0] ?? [], 'original-envelope-id')?.toLowerCase() ?? '',
    )?.[0]
    if (envid !== undefined) mail.messageIds.unshift(`<${envid}@envid>`)
    mail.reports = statusReports(groups, at)
  } else if (feedback !== undefined) {
    mail.source = 'arf'
    const [group = []] = groupsIn(feedback)
    mail.addresses.push(
      ...addressesIn(group, ['original-mail-from']),
      ...addressesIn(returned, ['return-path']),
    )
    mail.reports = complaintReports(group, at)
  } else if (!isReply(header)) {
    const text = parts
      .filter(({ type }) => type.value === 'text/plain' || type.value === 'text/html')
      .slice(0, 3)
      .map((part) => textOf(contentOf(part), part.type).slice(0, MAX_TEXT))
      .join('\n')
    const failed = addressesIn(header, ['x-failed-recipients'])
    const bounce = readBounceText(text, valueOf(header, 'subject') ?? '', failed)
    if (bounce !== undefined && (failed.length > 0 || isFromServer(header))) {
      mail.source = 'bounce'
      mail.messageIds.push(...bounce.messageIds)
      mail.reports = bounce.reports.map((report) => ({ ...report, ...(at === undefined ? {} : { at }) }))
    }
  }
  mail.reports.length = Math.min(mail.reports.length, MAX_REPORTS)
  mail.addresses.length = Math.min(mail.addresses.length, MAX_ADDRESSES)
  return mail
}

function contentOf({ header, body }: LeafPart): Uint8Array {
  return decodeBody(body, valueOf(header, 'content-transfer-encoding') ?? '')
}

/** The header of the message that a part returns, in full or without its body. */
function returnedHeader(part: LeafPart): HeaderField[] {
  if (!/^(?:message\/rfc822|message\/global(?:-headers)?|text\/rfc822-headers)$/.test(part.type.value))
    return []
  return parseStructure(contentOf(part).subarray(0, MAX_RETURNED)).header
}

/** The groups of fields of a part, with empty lines between them (RFC 3464 section 2.1). */
function groupsIn(part: LeafPart): HeaderField[][] {
  const groups: HeaderField[][] = [[]]
  const text = Buffer.from(contentOf(part)).toString('utf8')
  let fields = 0
  for (const line of text.split(/\r?\n/)) {
    const group = groups.at(-1)!
    if (line.trim() === '') {
      if (group.length > 0) groups.push([])
    } else if (/^[ \t]/.test(line)) {
      const last = group.at(-1)
      if (last !== undefined && last.value.length < 2_000) last.value += ` ${line.trim()}`
    } else {
      const colon = line.indexOf(':')
      if (colon > 0) group.push({ name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim() })
    }
    if (++fields > 20 * MAX_REPORTS) break
  }
  return groups.filter((group) => group.length > 0)
}

/** The delivery state by the Action of RFC 3464 section 2.3.3. `relayed` and `expanded` leave it open. */
const ACTIONS: ReadonlyMap<string, DeliveryState> = new Map([
  ['failed', 'bounced'],
  ['delayed', 'delayed'],
  ['delivered', 'delivered'],
])

function statusReports(
  groups: readonly (readonly HeaderField[])[],
  sentAt: number | undefined,
): MailReport[] {
  return groups.flatMap((group): MailReport[] => {
    const state = ACTIONS.get((valueOf(group, 'action') ?? '').toLowerCase().trim())
    if (state === undefined) return []
    const status = /^[245]\.\d{1,3}\.\d{1,3}/.exec(valueOf(group, 'status') ?? '')?.[0]
    const diagnostic = valueOf(group, 'diagnostic-code')?.replace(/^[\w-]+\s*;\s*/, '')
    const at = timeIn(valueOf(group, 'last-attempt-date')) ?? sentAt
    const recipients = ['original-recipient', 'final-recipient'].flatMap(
      (name) => typedAddress(valueOf(group, name)) ?? [],
    )
    return [
      {
        recipients: [...new Set(recipients)],
        state,
        ...(at === undefined ? {} : { at }),
        ...(status === undefined || state === 'delivered' ? {} : { enhanced: status }),
        ...(diagnostic === undefined ? {} : { detail: diagnostic }),
      },
    ]
  })
}

/** An address with its type (RFC 3464 section 2.3.1): `rfc822;ada@example.com`. A type `rfc822` may be encoded as xtext (RFC 3461). */
function typedAddress(value: string | undefined): string | undefined {
  const [, type = '', text = ''] = /^\s*([\w-]+)\s*;(.*)$/.exec(value?.slice(0, MAX_TYPED) ?? '') ?? []
  if (!/^(?:rfc822|utf-8)$/i.test(type)) return undefined
  const address = text
    .trim()
    .replace(/^<|>$/g, '')
    .replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return plausible(address) ?? plausible(text.trim().replace(/^<|>$/g, ''))
}

/** Types of reports that no recipient made: of a failed DKIM, SPF or DMARC check (RFC 6591), and that a mail is no spam (RFC 6430). */
const NO_COMPLAINT = new Set(['auth-failure', 'dmarc', 'not-spam'])

/** A complaint (RFC 5965). */
function complaintReports(group: readonly HeaderField[], sentAt: number | undefined): MailReport[] {
  const type = (valueOf(group, 'feedback-type') ?? '').toLowerCase()
  if (NO_COMPLAINT.has(type)) return []
  const state: DeliveryState = type === 'opt-out' || type === 'opt-out-list' ? 'unsubscribed' : 'complained'
  const at = timeIn(valueOf(group, 'arrival-date') ?? valueOf(group, 'received-date')) ?? sentAt
  const recipients = addressesIn(group, ['original-rcpt-to', 'removal-recipient'])
  const common = { state, ...(at === undefined ? {} : { at }), detail: `Feedback-Type: ${type}` }
  return recipients.length === 0
    ? [{ recipients: [], ...common }]
    : recipients.map((address) => ({ recipients: [address], ...common }))
}

/** The senders of bounces. */
const MAIL_SERVER = /(?:mailer-daemon|postmaster|mail delivery (?:system|subsystem))\b/i

/** Whether a person or a program replied (RFC 3834): an automatic reply, or a challenge to prove that the sender is human. */
function isReply(header: readonly HeaderField[]): boolean {
  const automatic = parseStructuredField(valueOf(header, 'auto-submitted') ?? '').value
  // Mail servers mark their bounces in the same way.
  if (/^auto-(?:replied|notified)$/.test(automatic) && !MAIL_SERVER.test(valueOf(header, 'from') ?? ''))
    return true
  if (
    ['x-autoreply', 'x-autorespond', 'x-auto-response-from'].some(
      (name) => valueOf(header, name) !== undefined,
    )
  )
    return true
  if (/auto[_-]?reply/i.test(valueOf(header, 'precedence') ?? '')) return true
  return /out of (?:the )?office|auto(?:matic)?[- ]?(?:reply|response|antwort)|abwesen|r[ée]ponse automatique|vacation|please (?:confirm|verify)|confirm (?:your|that you)|challenge/i.test(
    valueOf(header, 'subject')?.slice(0, 500) ?? '',
  )
}

/** Whether a mail server wrote the mail: it has no reverse-path, or is from the address of one. */
function isFromServer(header: readonly HeaderField[]): boolean {
  if (/^<\s*>$/.test(valueOf(header, 'return-path')?.trim() ?? '')) return true
  return MAIL_SERVER.test(valueOf(header, 'from')?.slice(0, 500) ?? '')
}

const ADDRESS = /[^\s<>"(),:;[\]@]{1,64}@[^\s<>"'(),:;[\]@]{1,255}/g

function addressesIn(header: readonly HeaderField[], names: readonly string[]): string[] {
  const values = header
    .filter(({ name }) => names.includes(name.toLowerCase()))
    .map(({ value }) => value.slice(0, 64 * 1024))
  return [...new Set(values.flatMap((value) => value.match(ADDRESS) ?? []))].slice(0, MAX_REPORTS)
}

function plausible(address: string): string | undefined {
  return /^[^\s<>(),;:@]{1,64}@[^\s<>(),;:@]{1,255}$/.test(address) ? address : undefined
}

function messageIdsIn(header: readonly HeaderField[]): string[] {
  const ids = header
    .filter(({ name }) => name.toLowerCase() === 'message-id')
    .flatMap(({ value }) => /<[^<>\s]{1,500}>/.exec(value)?.[0] ?? [])
  return [...new Set(ids)].slice(0, 10)
}

function timeIn(text: string | undefined): number | undefined {
  const time = Date.parse((text ?? '').slice(0, 100).split('(', 1)[0] ?? '')
  return Number.isFinite(time) && time > 0 ? time : undefined
}

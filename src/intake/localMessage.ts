import type { HeaderField } from '../mime/mimeStructure.js'
import { addressesOf } from '../mime/parseMime.js'
import { type FieldSlice, headerSectionOf, isHidden, toHeaderField } from './headerSection.js'
import type { Envelope } from './mimeMail.js'
import { isRefusal, type SmtpRefusal } from './smtpReply.js'
import type { SubmittedLimits } from './submittedMessage.js'

/** The settings in the arguments of sendmail. */
export interface LocalSubmission {
  /** Recipients from the command line. */
  recipients: readonly string[]
  /** Whether to add the recipients of the header (`-t`). */
  fromHeader: boolean
  /** Envelope sender (`-f`); '' or '<>' for none. */
  sender?: string | undefined
  /** Full name of the sender (`-F`). */
  fullName?: string | undefined
  /** Whether a line with a single dot is content (`-i`), and not the end. */
  ignoreDots: boolean
  /** The login name and the host of an address that is not given in full. */
  user: string
  host: string
}

export interface LocalMessage {
  octets: string
  envelope: Envelope
}

const RECIPIENTS = ['to', 'cc', 'bcc']
const RESENT = RECIPIENTS.map((name) => `resent-${name}`)

/**
 * Reads a message as sendmail does: line breaks of any kind, a header that may lack From, and addresses without a host. Bcc is
 * removed; what else is missing is added by the server that the message is submitted to.
 */
export function localMessageOf(
  input: Uint8Array,
  submission: LocalSubmission,
  limits: SubmittedLimits,
): LocalMessage | SmtpRefusal {
  const { ignoreDots, fromHeader, recipients, sender, user, host } = submission
  const qualified = (address: string) =>
    address.includes('@') || address === '' ? address : `${address}@${host}`
  let octets = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
    .toString('latin1')
    // The line that mailboxes put between messages.
    .replace(/^From [^\r\n]*\r?\n/, '')
    .replace(/\r\n?|\n/g, '\r\n')
  if (!ignoreDots) {
    const end = octets.startsWith('.\r\n') ? 0 : octets.indexOf('\r\n.\r\n') + 2
    if (end !== 1) octets = octets.slice(0, end)
  }
  if (!octets.endsWith('\r\n')) octets += '\r\n'
  // Without a header, everything is text.
  if (!/^[!-9;-~]+[ \t]*:/.test(octets)) octets = `\r\n${octets}`
  const section = headerSectionOf(octets, limits)
  if (isRefusal(section)) return section

  const { fields, end } = section
  const addresses = (names: readonly string[]): string[] =>
    names.flatMap((name) => {
      const header = fields
        .filter((field) => field.name === name)
        .map((field) => toHeaderField(octets, field))
      return listedIn(header, name)
    })
  const resent = addresses(RESENT)
  const given = recipients.flatMap(recipientsIn)
  const named = fromHeader ? (resent.length > 0 ? resent : addresses(RECIPIENTS)) : []
  const from = sender === undefined ? qualified(user) : qualified(sender.replace(/^<|>$/g, ''))
  const author = authorField(octets, fields, submission, from, qualified)
  const kept = fields
    .filter(({ name }) => !isHidden(name) && (author === undefined || name !== 'from'))
    .map((field) => octets.slice(field.start, field.end))
    .join('')
  return {
    octets: `${author ?? ''}${kept}${end < octets.length ? octets.slice(end) : '\r\n'}`,
    envelope: { from, to: [...new Set([...given, ...named].map(qualified))] },
  }
}

function listedIn(header: readonly HeaderField[], name: string): string[] {
  // The parser takes a name without a host for a phrase.
  return addressesOf(header, name).map(({ address, name: phrase }) => address || phrase)
}

/** An argument may be a list, as in cron's MAILTO=ops@acme.example,ada@example.com. */
function recipientsIn(argument: string): string[] {
  return /[,<]/.test(argument) ? listedIn([{ name: 'to', value: argument }], 'to') : [argument]
}

/** The From field to write, if there is none or its address has no host: programs such as cron write `From: root (Cron Daemon)`. */
function authorField(
  octets: string,
  fields: readonly FieldSlice[],
  { fullName, user }: LocalSubmission,
  from: string,
  qualified: (address: string) => string,
): string | undefined {
  const field = fields.find(({ name }) => name === 'from')
  const own = from === '' ? qualified(user) : from
  if (field === undefined)
    return `From: ${fullName === undefined ? own : `${phraseOf(fullName)} <${own}>`}\r\n`
  const { value } = toHeaderField(octets, field)
  const [, bare, comment] = /^([\w.+-]{1,64})\s{0,9}(?:\(([^()]*)\))?$/.exec(value) ?? []
  const [, phrase, local = bare] = /^([^<>]*)<([\w.+-]{1,64})>$/.exec(value) ?? []
  if (local === undefined) return undefined
  const name = (phrase ?? comment ?? '').trim().replace(/^"(.*)"$/, '$1')
  return `From: ${name === '' ? qualified(local) : `${phraseOf(name)} <${qualified(local)}>`}\r\n`
}

function phraseOf(name: string): string {
  const phrase = name.replace(/\p{Cc}/gu, ' ').replace(/["\\]/g, '\\$&')
  return Buffer.from(`"${phrase}"`).toString('latin1')
}

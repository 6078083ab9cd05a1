import { wildcardMatcher } from './faults.js'
import type { ReceivedMail } from './receivedMail.js'

/** Selects messages. Every given field must match; case is ignored. */
export interface MailFilter {
  /** A search as in the search box: words, `from:`, `to:`, `subject:`, `has:attachment`, `"several words"`; at most 20 terms. */
  q?: string
  /** A full address, a part of an address or name, or a pattern such as `*@example.com`. */
  from?: string
  /** Like `from`, for the recipients in the envelope and in the headers. */
  to?: string
  /** A part of the subject. */
  subject?: string
  /** A part of the text, or of the HTML source. The first 1,048,576 characters of each are searched. */
  text?: string
  /** Whether the message has attachments. */
  attachment?: boolean
}

/** Terms of a search; the rest is ignored. */
const MAX_TERMS = 20
/** Characters of a body that are searched. */
const MAX_SEARCHED = 1024 * 1024

type Matcher = (mail: ReceivedMail) => boolean

const FIELDS = ['q', 'from', 'to', 'subject', 'text', 'attachment'] as const satisfies (keyof MailFilter)[]

/**
 * Refuses a condition that doesn't exist: without it, every mail would match, and a test would pass for the wrong reason.
 * @throws TypeError
 */
export function refuseUnknown(conditions: object, known: readonly string[]): void {
  const unknown = Object.keys(conditions).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new TypeError(`${unknown.slice(0, 100)} is not a condition; there are ${known.join(', ')}`)
}

/** Returns the predicate that a filter describes. */
export function matcherOf(filter: MailFilter): Matcher {
  refuseUnknown(filter, FIELDS)
  const { q = '', from, to, subject, text, attachment } = filter
  const matchers = termsOf(q).map(matcherOfTerm)
  if (from !== undefined) matchers.push(sentBy(from))
  if (to !== undefined) matchers.push(sentTo(to))
  if (subject !== undefined) matchers.push(contains((mail) => [mail.subject], subject))
  if (text !== undefined) matchers.push(contains(bodiesOf, text))
  if (attachment !== undefined) matchers.push((mail) => hasAttachment(mail) === attachment)
  return (mail) => matchers.every((matches) => matches(mail))
}

function hasAttachment({ attachments }: ReceivedMail): boolean {
  return attachments.some(({ inline }) => !inline)
}

interface Term {
  field: string
  value: string
}

function termsOf(q: string): Term[] {
  return [...q.matchAll(/(?:(from|to|subject|text|has):)?(?:"([^"]*)"|(\S+))/gi)]
    .slice(0, MAX_TERMS)
    .map(([, field = '', quoted, word = '']) => ({ field: field.toLowerCase(), value: quoted ?? word }))
}

function matcherOfTerm({ field, value }: Term): Matcher {
  switch (field) {
    case 'from':
      return sentBy(value)
    case 'to':
      return sentTo(value)
    case 'subject':
      return contains((mail) => [mail.subject], value)
    case 'text':
      return contains(bodiesOf, value)
    case 'has':
      return value.toLowerCase().startsWith('attach') ? hasAttachment : () => false
    default:
      return contains(
        (mail) => [
          mail.subject,
          (mail.text ?? '').slice(0, MAX_SEARCHED),
          ...sendersOf(mail),
          ...recipientsOf(mail),
          ...mail.attachments.map(({ filename = '' }) => filename),
        ],
        value,
      )
  }
}

function sentBy(address: string): Matcher {
  const matches = addressMatcher(address)
  return (mail) => sendersOf(mail).some(matches)
}

function sentTo(address: string): Matcher {
  const matches = addressMatcher(address)
  return (mail) => recipientsOf(mail).some(matches)
}

/** `ada@example.com` doesn't match `lada@example.com`; `ada` matches both. */
function addressMatcher(query: string): (text: string) => boolean {
  if (query.includes('*') || /^[^@\s]+@[^@\s]+$/.test(query)) return wildcardMatcher(query)
  const part = query.toLowerCase()
  return (text) => text.toLowerCase().includes(part)
}

function contains(textsOf: (mail: ReceivedMail) => readonly string[], query: string): Matcher {
  const part = query.toLowerCase()
  return (mail) => textsOf(mail).some((text) => text.toLowerCase().includes(part))
}

function bodiesOf({ text = '', html = '' }: ReceivedMail): string[] {
  return [text.slice(0, MAX_SEARCHED), html.slice(0, MAX_SEARCHED)]
}

function sendersOf({ from, envelope }: ReceivedMail): string[] {
  return [envelope.from, ...(from === undefined ? [] : [from.address, from.name])]
}

function recipientsOf({ envelope, to, cc }: ReceivedMail): string[] {
  return [...envelope.to, ...[...to, ...cc].flatMap(({ address, name }) => [address, name])]
}

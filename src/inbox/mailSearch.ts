import { wildcardMatcher } from './faults.js'
import type { ReceivedMail } from './receivedMail.js'

/** Which mails to show. All that is given must fit; case aside. */
export interface MailFilter {
  /** As typed into the search box: words, `from:`, `to:`, `subject:`, `has:attachment`, `"several words"`; 20 at most. */
  q?: string
  /** A whole address, a part of one or of a name, or a pattern such as `*@example.com`. */
  from?: string
  /** As `from`, for recipients of the envelope and of the headers. */
  to?: string
  /** A part of the subject. */
  subject?: string
  /** A part of the text, or of the HTML's source; of each, the first million characters are searched. */
  text?: string
  /** Whether it has attachments. */
  attachment?: boolean
}

/** Words of a search; later ones are not looked for. */
const MOST_TERMS = 20
/** Characters of a body that are searched. */
const SEARCHED = 1024 * 1024

type Test = (mail: ReceivedMail) => boolean

/** Makes the test that a filter stands for. */
export function matcherOf({ q = '', from, to, subject, text, attachment }: MailFilter): Test {
  const tests = termsOf(q).map(testOfTerm)
  if (from !== undefined) tests.push(sentBy(from))
  if (to !== undefined) tests.push(sentTo(to))
  if (subject !== undefined) tests.push(says((mail) => [mail.subject], subject))
  if (text !== undefined) tests.push(says(bodiesOf, text))
  if (attachment !== undefined) tests.push((mail) => hasAttachment(mail) === attachment)
  return (mail) => tests.every((test) => test(mail))
}

export function hasAttachment({ attachments }: ReceivedMail): boolean {
  return attachments.some(({ inline }) => !inline)
}

interface Term {
  field: string
  value: string
}

function termsOf(q: string): Term[] {
  return [...q.matchAll(/(?:(from|to|subject|text|has):)?(?:"([^"]*)"|(\S+))/gi)]
    .slice(0, MOST_TERMS)
    .map(([, field = '', quoted, word = '']) => ({ field: field.toLowerCase(), value: quoted ?? word }))
}

function testOfTerm({ field, value }: Term): Test {
  switch (field) {
    case 'from':
      return sentBy(value)
    case 'to':
      return sentTo(value)
    case 'subject':
      return says((mail) => [mail.subject], value)
    case 'text':
      return says(bodiesOf, value)
    case 'has':
      return value.toLowerCase().startsWith('attach') ? hasAttachment : () => false
    default:
      return says(
        (mail) => [
          mail.subject,
          (mail.text ?? '').slice(0, SEARCHED),
          ...sendersOf(mail),
          ...recipientsOf(mail),
          ...mail.attachments.map(({ filename = '' }) => filename),
        ],
        value,
      )
  }
}

function sentBy(who: string): Test {
  const fits = fitsAddress(who)
  return (mail) => sendersOf(mail).some(fits)
}

function sentTo(who: string): Test {
  const fits = fitsAddress(who)
  return (mail) => recipientsOf(mail).some(fits)
}

/** `ada@example.com` is not `lada@example.com`; `ada` is in both. */
function fitsAddress(who: string): (text: string) => boolean {
  if (who.includes('*') || /^[^@\s]+@[^@\s]+$/.test(who)) return wildcardMatcher(who)
  const part = who.toLowerCase()
  return (text) => text.toLowerCase().includes(part)
}

function says(where: (mail: ReceivedMail) => readonly string[], what: string): Test {
  const part = what.toLowerCase()
  return (mail) => where(mail).some((text) => text.toLowerCase().includes(part))
}

function bodiesOf({ text = '', html = '' }: ReceivedMail): string[] {
  return [text.slice(0, SEARCHED), html.slice(0, SEARCHED)]
}

function sendersOf({ from, envelope }: ReceivedMail): string[] {
  return [envelope.from, ...(from === undefined ? [] : [from.address, from.name])]
}

function recipientsOf({ envelope, to, cc }: ReceivedMail): string[] {
  return [...envelope.to, ...[...to, ...cc].flatMap(({ address, name }) => [address, name])]
}

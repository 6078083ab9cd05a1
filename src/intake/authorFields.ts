import { parseMailbox, parseMailboxList } from '../message/addresses.js'
import { addressesOf } from '../mime/parseMime.js'
import type { Mailbox } from '../protocol/tasks.js'
import { Validator } from '../validation.js'
import { refusal, replyTo, type SmtpRefusal } from './smtpReply.js'

/** The values of each From and each Sender field, which readers see. */
export interface AuthorFields {
  from: readonly string[]
  sender: readonly string[]
}

/** Maximum number of addresses in From, where rights depend on it. */
const MAX_AUTHORS = 20
/** In a phrase without quotes, these are no text (RFC 5322 section 3.2.3): some readers see another address, or a group. */
const SPECIAL_IN_PHRASE = /[@[\]:;\\]/

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * The addresses in From and Sender. Each field is read alone, whole, and strictly (RFC 5322 section 3.6.2): what one program doesn't
 * see in a field, the next one could show.
 */
export function authorsOf({ from, sender }: AuthorFields): string[] | SmtpRefusal {
  const [author = '', ...otherFrom] = from
  const [agent, ...otherSenders] = sender
  if (otherFrom.length > 0 || otherSenders.length > 0)
    return refusal(554, '5.6.0', 'The message has more than one From or Sender field: send one of each')
  try {
    const authors = mailboxesIn(author, 'From', (text) => parseMailboxList(text, 'From', check, MAX_AUTHORS))
    if (authors.length === 0) return refusal(554, '5.6.0', 'The message has no address in From')
    const agents =
      agent === undefined ? [] : mailboxesIn(agent, 'Sender', (text) => [parseMailbox(text, 'Sender', check)])
    return [...authors, ...agents]
  } catch (error) {
    return replyTo(error)
  }
}

/** @throws ThreadpostError `INVALID_MESSAGE` */
function mailboxesIn(value: string, path: string, parse: (text: string) => Mailbox[]): string[] {
  const text = value.replaceAll('\t', ' ')
  const addresses = parse(text).map(({ address }) => address)
  // The parser that takes messages apart must see the same.
  const seen = addressesOf([{ name: 'from', value: text }], 'from').map(({ address }) => address)
  if (
    unquotedPhrases(text).some((phrase) => SPECIAL_IN_PHRASE.test(phrase)) ||
    addresses.some((address) => address.includes('=?')) ||
    addresses.join('\n') !== seen.join('\n')
  )
    check.fail(
      path,
      `is ambiguous; write 'Ada <ada@example.com>', and quote a name that has any of @ [ ] : ; \\`,
    )
  return addresses
}

function unquotedPhrases(list: string): string[] {
  const unquoted = list.replace(/"(?:[^"\\]|\\.)*"/g, '')
  return unquoted.split(',').map((mailbox) => mailbox.slice(0, Math.max(0, mailbox.indexOf('<'))))
}

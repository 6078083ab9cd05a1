import { domainToASCII } from 'node:url'
import { encodeWord, encodeWords, foldLines, quoteString } from 'nodemailer/lib/mime-funcs'
import type { MessagePayload, ListUnsubscribe, Mailbox } from '../../src/protocol/tasks.js'

/** RFC 2369; with RFC 8058 for the one click. */
export function unsubscribeFields(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const places = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = places.flatMap((place) => (place === undefined ? [] : [`<${place}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}

/** RFC 5322 section 2.1.1: a line should have no more characters than this, and must not have more than that. */
const LINE = 76
const HARD_LINE = 998
/** Characters of an encoded word's text, so that a field name fits in front of it. */
const WORD = 52

/** Printable ASCII without anything that looks like an encoded word (RFC 2047). */
const PLAIN = /^(?!.*=\?)[\x20-\x7e]*$/
const PLAIN_NAME = /^[\w ]*$/
const PLAIN_ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+$/

/** The header section (RFC 5322 section 3.6) up to, but without, the fields of MIME. */
export function headerFields(letter: MessagePayload, subject: string): string {
  const { inReplyTo, references, headers } = letter
  let text = unstructuredFields(headers)
  text += field('From', mailbox(letter.from))
  text += mailboxes('To', letter.to)
  text += mailboxes('Cc', letter.cc)
  text += mailboxes('Reply-To', letter.replyTo)
  text += unstructured('Subject', subject)
  text += field('Message-ID', letter.messageId)
  if (inReplyTo !== undefined) text += field('In-Reply-To', inReplyTo)
  if (references.length > 0) text += field('References', references.join(' '))
  text += `Date: ${new Date(letter.date).toUTCString().replace('GMT', '+0000')}\r\n`
  if (letter.listUnsubscribe !== undefined)
    for (const [name, value] of unsubscribeFields(letter.listUnsubscribe)) text += field(name, value)
  return text
}

function unstructuredFields(headers: MessagePayload['headers']): string {
  let text = ''
  for (const [name, value] of headers) if (value.trim() !== '') text += unstructured(name, value)
  return text
}

function unstructured(name: string, value: string): string {
  if (!PLAIN.test(value)) return field(name, encodeWords(value, 'Q', WORD, true))
  const text = field(name, value)
  // Without a space to fold at, only encoded words can be parted.
  return text.split('\r\n').every((line) => line.length <= HARD_LINE)
    ? text
    : field(name, encodeWord(value, 'Q', WORD))
}

function mailboxes(name: string, list: readonly Mailbox[]): string {
  return list.length === 0 ? '' : field(name, list.map(mailbox).join(', '))
}

function mailbox({ name = '', address }: Mailbox): string {
  const path = withAsciiDomain(address)
  if (name === '') return PLAIN_ADDRESS.test(path) ? path : `<${path}>`
  return `${displayName(name)} <${path}>`
}

function displayName(name: string): string {
  if (PLAIN_NAME.test(name)) return name
  return PLAIN.test(name) ? quoteString(name) : encodeWord(name, 'Q', WORD)
}

/** The domain as A-labels, so that only a local part beyond ASCII asks for SMTPUTF8. */
function withAsciiDomain(address: string): string {
  if (PLAIN_ADDRESS.test(address)) return address
  const at = address.lastIndexOf('@')
  const domain = domainToASCII(address.slice(at + 1))
  return domain === '' ? address : `${address.slice(0, at + 1)}${domain}`
}

function field(name: string, value: string): string {
  const line = `${name}: ${value}`
  return line.length <= LINE ? `${line}\r\n` : `${foldLines(line, LINE)}\r\n`
}

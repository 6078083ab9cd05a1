import { isAscii } from 'node:buffer'
import { domainToASCII } from 'node:url'
import {
  buildHeaderValue,
  detectMimeType,
  encodeWord,
  encodeWords,
  foldLines,
  parseHeaderValue,
  quoteString,
} from 'nodemailer/lib/mime-funcs'
import type { JobAttachment, ListUnsubscribe, Mailbox, MessagePayload } from '../../src/protocol/tasks.js'

/** RFC 5322 section 2.1.1: a line should not be longer than 78 characters, and must not be longer than 998. */
const LINE = 76
const HARD_LINE = 998
/** Characters of an encoded word's text (RFC 2047); leaves room for a field name on the same line. */
const WORD = 52

/** Printable ASCII without anything that looks like an encoded word (RFC 2047). */
const PLAIN = /^(?!.*=\?)[\x20-\x7e]*$/
const PLAIN_NAME = /^[\w ]*$/
const PLAIN_ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+$/
/** A parameter value that needs no quotes. */
const TOKEN = /^(?!-)[^\s'"\\;:/=(),<>@[\]?]+$/

/** The header section (RFC 5322 section 3.6), without the MIME fields that follow it. */
export function headerFields(payload: MessagePayload, subject: string): string {
  const { inReplyTo, references, headers } = payload
  let text = unstructuredFields(headers)
  text += field('From', mailbox(payload.from))
  text += mailboxes('To', payload.to)
  text += mailboxes('Cc', payload.cc)
  text += mailboxes('Reply-To', payload.replyTo)
  text += unstructured('Subject', subject)
  text += field('Message-ID', payload.messageId)
  if (inReplyTo !== undefined) text += field('In-Reply-To', inReplyTo)
  if (references.length > 0) text += field('References', references.join(' '))
  text += `Date: ${new Date(payload.date).toUTCString().replace('GMT', '+0000')}\r\n`
  if (payload.listUnsubscribe !== undefined)
    for (const [name, value] of unsubscribeFields(payload.listUnsubscribe)) text += field(name, value)
  return text
}

/** List-Unsubscribe (RFC 2369), and List-Unsubscribe-Post for one-click unsubscription (RFC 8058). */
export function unsubscribeFields(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const urls = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = urls.flatMap((url) => (url === undefined ? [] : [`<${url}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}

/** The header fields of an attachment's part (RFC 2183, RFC 2392). Its body is base64. */
export function attachmentFields({ filename, content, contentType, cid }: JobAttachment): string {
  const type = contentType ?? detectMimeType(filename ?? 'bin')
  const disposition = cid !== undefined && /^image\//i.test(type) ? 'inline' : 'attachment'
  const params = filename === undefined ? {} : { filename }
  return (
    mimeField('Content-Type', contentTypeValue(type, filename, content)) +
    'Content-Transfer-Encoding: base64\r\n' +
    mimeField('Content-Disposition', buildHeaderValue({ value: disposition, params })) +
    (cid === undefined ? '' : mimeField('Content-Id', `<${cid}>`))
  )
}

/** Repeats the file name here, as an encoded word, for clients that don't read Content-Disposition. */
function contentTypeValue(
  type: string,
  filename: string | undefined,
  content: JobAttachment['content'],
): string {
  const { value, params } = parseHeaderValue(type)
  if (/^text\//i.test(type) && typeof content === 'string' && !isAscii(Buffer.from(content)))
    params['charset'] = 'utf-8'
  if (filename === undefined) return buildHeaderValue({ value, params })
  const others = Object.entries(params).filter(([name]) => !/^name(?:\*|$)/i.test(name))
  // A long name may have no space to fold at: only encoded words can be split.
  const word =
    filename.length > WORD ? encodeWord(filename, 'Q', WORD) : encodeWords(filename, 'Q', WORD, true)
  const name = TOKEN.test(word) ? word : JSON.stringify(word)
  return `${buildHeaderValue({ value, params: Object.fromEntries(others) })}; name=${name}`
}

function unstructuredFields(headers: MessagePayload['headers']): string {
  let text = ''
  for (const [name, value] of headers) if (value.trim() !== '') text += unstructured(name, value)
  return text
}

function unstructured(name: string, value: string): string {
  if (!PLAIN.test(value)) return field(name, encodeWords(value, 'Q', WORD, true))
  const text = field(name, value)
  // A value without a space to fold at can only be split as encoded words.
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

/** Converts the domain to A-labels (RFC 5890), so that only a non-ASCII local part requires SMTPUTF8. */
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

/** Folds a line of exactly 76 characters, too, as nodemailer does in the header of a part. */
function mimeField(name: string, value: string): string {
  return `${foldLines(`${name}: ${value}`, LINE)}\r\n`
}

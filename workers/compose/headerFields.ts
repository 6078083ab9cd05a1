import { isAscii } from 'node:buffer'
import { buildHeaderValue, parseHeaderValue } from 'nodemailer/lib/mime-funcs'
import { isAsciiText, needsSmtpUtf8 } from '../../src/protocol/addressForms.js'
import type { JobAttachment, Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import { unsubscribeFields } from '../../src/protocol/unsubscribeFields.js'
import type { WirePayload } from '../wireForm.js'
import { typeOf } from './embeddedMessage.js'
import { encodedWords, field, isPlain, parameterized, phrase, unstructured } from './headerText.js'

/** Characters of a file name that Content-Type repeats in one piece. */
const LONG_NAME = 52
/** A parameter value that needs no quotes. */
const TOKEN = /^(?!-)[^\s'"\\;:/=(),<>@[\]?]+$/
/** A phrase and what it names: `Ada <ada@example.com>` (RFC 5322 section 3.4), `Ada's List <list.acme.example>` (RFC 2919). */
const NAMED = /^((?:"(?:[^"\\]|\\.)*"|[^<>"])*)<([^<>]*)>$/
/** Fields of the caller that are neither text nor phrases. Nothing in them can be an encoded word (RFC 2047 section 5). */
const STRUCTURED = new Set([
  ...[
    'auto-submitted',
    'content-language',
    'feedback-id',
    'importance',
    'precedence',
    'priority',
    'sensitivity',
  ],
  ...['list-archive', 'list-help', 'list-owner', 'list-post', 'list-subscribe', 'thread-index'],
])

/**
 * The header section (RFC 5322 section 3.6), without the MIME fields that follow it.
 * @param form with `ascii`, an address that requires SMTPUTF8 is only named in To and Cc
 */
export function headerFields(payload: WirePayload, subject: string, form: 'ascii' | 'utf8'): string {
  const { sender, to, cc, inReplyTo, references, headers } = payload
  let text = customFields(headers)
  text += field('From', mailbox(payload.from))
  if (sender !== undefined) text += field('Sender', mailbox(sender))
  // RFC 5322 section 3.6.3: without a visible recipient, To is an empty group.
  text += to.length + cc.length === 0 ? 'To: undisclosed-recipients:;\r\n' : addresses('To', to, form)
  text += addresses('Cc', cc, form)
  text += addresses('Reply-To', payload.replyTo, 'utf8')
  text += unstructured('Subject', subject)
  text += field('Message-ID', payload.messageId)
  if (inReplyTo !== undefined) text += field('In-Reply-To', inReplyTo)
  if (references.length > 0) text += field('References', references.join(' '))
  text += `Date: ${new Date(payload.date).toUTCString().replace('GMT', '+0000')}\r\n`
  if (payload.listUnsubscribe !== undefined)
    for (const [name, value] of unsubscribeFields(payload.listUnsubscribe)) text += field(name, value)
  return text
}

/** The header fields of an attachment's part (RFC 2183, RFC 2392). */
export function attachmentFields(
  attachment: JobAttachment,
  encoding: '7bit' | '8bit' | 'base64' = 'base64',
): string {
  const { filename, content, cid } = attachment
  const known = typeOf(attachment)
  // Only a message that isn't encoded may have that type (RFC 2046 section 5.2.1).
  const type = encoding === 'base64' && /^message\//i.test(known) ? 'application/octet-stream' : known
  const disposition = cid !== undefined && /^image\//i.test(type) ? 'inline' : 'attachment'
  const params = filename === undefined ? {} : { filename }
  return (
    field('Content-Type', contentTypeValue(type, filename, content)) +
    `Content-Transfer-Encoding: ${encoding}\r\n` +
    parameterized('Content-Disposition', buildHeaderValue({ value: disposition, params })) +
    (cid === undefined ? '' : field('Content-Id', `<${cid}>`))
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
  const word = isPlain(filename) && filename.length <= LONG_NAME ? filename : encodedWords(filename)
  const name = TOKEN.test(word) ? word : JSON.stringify(word)
  return `${buildHeaderValue({ value, params: Object.fromEntries(others) })}; name=${name}`
}

/** The fields that the caller set. In a structured field, only phrases become encoded words (RFC 2047 section 5). */
function customFields(headers: MessagePayload['headers']): string {
  let text = ''
  for (const [name, value] of headers) if (value.trim() !== '') text += customField(name, value)
  return text
}

/** Encodes the value of a field that the caller set, in one line. */
export function headerValue(name: string, value: string): string {
  return customField(name, value)
    .slice(name.length + 2)
    .replaceAll('\r\n', '')
}

function customField(name: string, value: string): string {
  switch (name.toLowerCase()) {
    case 'list-id':
    case 'disposition-notification-to': {
      const [, label = '', named = ''] = NAMED.exec(value) ?? []
      if (named === '') return field(name, value)
      return field(name, label.trim() === '' ? `<${named}>` : `${labelOf(label.trim())} <${named}>`)
    }
    case 'keywords': {
      const words = value.match(/(?:"(?:[^"\\]|\\.)*"|[^,])+/g) ?? []
      const given = words.map((word) => word.trim()).filter((word) => word !== '')
      return given.length === 0 ? '' : field(name, given.map(keyword).join(', '))
    }
    default:
      return STRUCTURED.has(name.toLowerCase()) ? field(name, value) : unstructured(name, value)
  }
}

/** A phrase as the caller wrote it, if it is one. */
function labelOf(label: string): string {
  const valid = isPlain(label) && /^(?:"(?:[^"\\]|\\.)*"|[\w!#$%&'*+/=?^`{|}~ -]+)$/.test(label)
  return valid ? label : phrase(unquoted(label))
}

function keyword(word: string): string {
  return isAsciiText(word) ? word : encodedWords(unquoted(word))
}

function unquoted(text: string): string {
  const [, content] = /^"((?:[^"\\]|\\.)*)"$/.exec(text) ?? []
  return content === undefined ? text : content.replace(/\\(.)/g, '$1')
}

function addresses(name: string, list: readonly Mailbox[], form: 'ascii' | 'utf8'): string {
  return list.length === 0 ? '' : field(name, list.map((each) => address(each, form)).join(', '))
}

/** RFC 6857 section 3.1.8: an address that the server can't take becomes the name of an empty group. */
function address(recipient: Mailbox, form: 'ascii' | 'utf8'): string {
  if (form === 'utf8' || !needsSmtpUtf8(recipient.address)) return mailbox(recipient)
  const { name = '' } = recipient
  return `${encodedWords(name === '' ? recipient.address : `${name} <${recipient.address}>`)} :;`
}

/** Writes a mailbox as in a header. */
export function mailbox({ name = '', address: path }: Mailbox): string {
  return name === '' ? path : `${phrase(name)} <${path}>`
}

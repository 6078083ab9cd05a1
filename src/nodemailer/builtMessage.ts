/** nodemailer's composer, for messages that the core has no form for. It is loaded when a message needs it. */
import { createHash } from 'node:crypto'
import type { PluginFunction, SendMailOptions, Transport } from 'nodemailer'
import type { Mail } from '../index.js'
import { headersOf, listUnsubscribeOf } from '../message/headers.js'
import { unsubscribeFields } from '../protocol/unsubscribeFields.js'
import { Validator } from '../validation.js'
import { ADDRESS_FIELDS, without } from './fields.js'
import { withMethod } from './icalEvent.js'

/** RFC 5322 section 2.1.1: octets of a line, without its CRLF. */
const MAX_LINE = 998
/** A phrase and what it names (RFC 2919, RFC 5322 section 3.4). */
const NAMED = /^([^<>]*)<([^<>]*)>$/
/** Fields of the core that nodemailer's composer reads as they are. */
const SAME_FORM = [...ADDRESS_FIELDS, 'subject', 'inReplyTo', 'references'] as const
/** Fields that have become headers or recipients. */
const MAPPED = [
  'headers',
  'list',
  'priority',
  'xMailer',
  'envelope',
  'signal',
  'maxRecipients',
  'attachDataUrls',
]

const check: Validator = new Validator('INVALID_MESSAGE')

export interface BuildOrder {
  /** The message in nodemailer's form. Its content is built as it is. */
  input: Readonly<Record<string, unknown>>
  /** The same message in the core's form, without the content: its addresses and headers are used. */
  mail: Mail
  messageId: string
  /** ISO 8601. */
  date: string
  plugins: readonly PluginFunction[]
  /** The field, or the plugin, for which the message is built. */
  reason: string
}

/** A finished message and its envelope, as in a {@link Mail} with `raw`. */
export interface BuiltMessage {
  raw: Uint8Array
  envelope: { from: string; to: string[] }
}

/**
 * Builds a message with nodemailer, and runs the plugins of the step `stream` on it. Bcc is not part of it, unless a plugin keeps it.
 * @throws what the composer or a plugin throws, and ThreadpostError `INVALID_MESSAGE` for a line over 998 octets
 */
export async function buildMessage(order: BuildOrder): Promise<BuiltMessage> {
  const { default: nodemailer } = await import('nodemailer')
  const transporter = nodemailer.createTransport(new BuildingTransport())
  for (const plugin of order.plugins) transporter.use('stream', plugin)
  const { raw, envelope } = await transporter.sendMail(await composerInput(order))
  const longest = longestLine(raw)
  if (longest > MAX_LINE)
    check.fail(
      order.reason,
      `results in a line of ${longest} octets; a line of a message has at most ${MAX_LINE}`,
    )
  return { raw, envelope: { from: envelope.from === false ? '' : envelope.from, to: envelope.to } }
}

interface Built {
  messageId: string
  raw: Buffer
  envelope: { from: string | false; to: string[] }
}

/** A transport of nodemailer that returns each message. */
class BuildingTransport implements Transport<Built> {
  readonly name = 'threadpost'
  readonly version = '1'

  send(...[mail, done]: Parameters<Transport<Built>['send']>): void {
    const { message } = mail
    message.build().then(
      (raw) =>
        done(null, {
          messageId: message.messageId(),
          raw,
          envelope: message.getEnvelope(),
        }),
      (error: unknown) => done(error as Error),
    )
  }
}

/** The message for the composer: with the core's addresses and headers. All content was read before, so nothing is read now. */
async function composerInput({ input, mail, messageId, date }: BuildOrder): Promise<SendMailOptions> {
  const fields = { ...without(input, MAPPED), disableFileAccess: true, disableUrlAccess: true } as Record<
    string,
    unknown
  >
  const core = mail as unknown as Record<string, unknown>
  for (const field of SAME_FORM) fields[field] = core[field]
  if (core['raw'] !== undefined)
    return { ...fields, raw: core['raw'], envelope: core['envelope'] } as SendMailOptions
  if (fields['icalEvent'] !== undefined) fields['icalEvent'] = withMethod(fields['icalEvent'], check)
  const visible = [core['to'], core['cc']].some((list) => Array.isArray(list) && list.length > 0)
  // RFC 5322 section 3.6.3: without a visible recipient, To is an empty group.
  if (!visible) fields['to'] = 'undisclosed-recipients:;'
  const boundary = createHash('sha256').update(`${messageId} ${date}`).digest('hex').slice(0, 24)
  return {
    // The same Message-ID and Date result in the same octets, as an idempotency key requires.
    baseBoundary: boundary,
    ...fields,
    messageId,
    date: new Date(date),
    headers: await headerLines(core),
    ...(core['envelope'] === undefined ? {} : { envelope: envelopeOf(core) }),
  } as SendMailOptions
}

function envelopeOf({ envelope, to, cc, bcc }: Record<string, unknown>): object {
  return { ...(envelope as object), to, cc, bcc }
}

interface HeaderLine {
  key: string
  value: string | { prepared: true; foldLines: true; value: string }
}

/** nodemailer encodes a whole value; in a structured field only phrases may become encoded words (RFC 2047 section 5). */
async function headerLines({ headers, listUnsubscribe }: Record<string, unknown>): Promise<HeaderLine[]> {
  const { default: MimeNode } = await import('nodemailer/lib/mime-node')
  const words = (text: string): string => {
    const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(text) ?? []
    if (/^[\x20-\x7e]*$/.test(text)) return text
    return MimeNode.encodeHeaderValue('X-Phrase', quoted?.replace(/\\(.)/g, '$1') ?? text)
  }
  const lines: [string, string][] = headersOf(headers, check)
  if (listUnsubscribe !== undefined)
    lines.push(...unsubscribeFields(listUnsubscribeOf(listUnsubscribe, check)))
  return lines.map(([key, value]): HeaderLine => {
    const prepared = (text: string): HeaderLine => ({
      key,
      value: { prepared: true, foldLines: true, value: text },
    })
    const [, label, named] = NAMED.exec(value) ?? []
    if (/^(?:list-id|disposition-notification-to)$/i.test(key) && label !== undefined)
      return prepared(`${label.trim() === '' ? '' : `${words(label.trim())} `}<${named}>`)
    if (/^keywords$/i.test(key))
      return prepared(
        value
          .split(',')
          .map((word) => words(word.trim()))
          .join(', '),
      )
    return { key, value }
  })
}

function longestLine(message: Buffer): number {
  let longest = 0
  for (let start = 0; start < message.length;) {
    const found = message.indexOf(10, start)
    const end = found === -1 ? message.length : found
    longest = Math.max(longest, end - start - (message[end - 1] === 13 ? 1 : 0))
    start = end + 1
  }
  return longest
}

import { types } from 'node:util'
import { toContext } from '../context.js'
import { Validator, isPlainObject } from '../validation.js'
import { messageIdOf } from './headers.js'
import { isId } from './ids.js'
import { toJsonObject } from './json.js'
import type { PreparedMail } from './mail.js'
import type { MailJob } from './messageState.js'
import type { Origin } from './toJob.js'

const check: Validator = new Validator('INVALID_MESSAGE')
/** The domain part of a Message-ID that {@link toJob} generates: the sender's. */
const DOMAIN = /^[^\s<>@\p{Cc}\u2028\u2029]{1,255}$/u

/** Converts a validated mail to plain JSON: bytes become base64, dates become ISO 8601 text. */
export function toPrepared(mail: Readonly<Record<string, unknown>>, job: MailJob): PreparedMail {
  return {
    prepared: 1,
    id: job.id,
    messageId: job.messageId,
    date: new Date(job.date).toISOString(),
    ...(job.context === undefined ? {} : { context: { ...job.context } }),
    mail: toJsonObject(
      { ...mail, ...attachmentsAsJson(mail['attachments']), ...bytesAsJson(mail) },
      '',
      check,
    ),
  }
}

/** Splits a prepared mail into its mail and identity. The mail is validated again like any other. */
export function fromPrepared(value: unknown): {
  mail: unknown
  origin: Origin & Required<Pick<Origin, 'identity'>>
} {
  const { prepared, id, messageId, date, context, mail } = check.object(value, '', [
    'prepared',
    'id',
    'messageId',
    'date',
    'context',
    'mail',
  ])
  if (prepared !== 1) check.fail('prepared', 'has an unsupported version; prepare the mail again')
  if (!isId(id)) check.fail('id', 'is not an id from prepare()')
  const givenMessageId = check.string(messageId, 'messageId')
  const [start, end] = [`<${id}@`, '>']
  const domain = givenMessageId.slice(start.length, -end.length)
  const minted = givenMessageId === start + domain + end && DOMAIN.test(domain)
  // A Message-ID that the caller chose is also in the mail, where it is validated.
  const own =
    isPlainObject(mail) && (mail['messageId'] === givenMessageId || isInRaw(mail['raw'], givenMessageId))
  if (!minted && !own) check.fail('messageId', 'is not the Message-ID from prepare()')
  const time = Date.parse(check.string(date, 'date'))
  if (Number.isNaN(time)) check.fail('date', 'is not an ISO 8601 date')
  const identity = { id, messageId: givenMessageId, date: time }
  return { mail, origin: context === undefined ? { identity } : { identity, context: toContext(context) } }
}

/** Whether a finished message has this Message-ID. Its bytes are base64 in a prepared mail. */
function isInRaw(raw: unknown, messageId: string): boolean {
  const { base64 } = isPlainObject(raw) ? raw : {}
  const text = typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('latin1') : raw
  if (typeof text !== 'string') return false
  return messageIdOf(messageId, 'messageId', check) === messageId && text.includes(messageId)
}

/** The bytes of a finished message, and of a calendar object, which is text. */
function bytesAsJson({ raw, calendar }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  if (types.isUint8Array(raw)) fields['raw'] = { base64: Buffer.from(raw).toString('base64') }
  if (isPlainObject(calendar) && types.isUint8Array(calendar['content']))
    fields['calendar'] = { ...calendar, content: Buffer.from(calendar['content']).toString() }
  return fields
}

function attachmentsAsJson(attachments: unknown): { attachments?: unknown } {
  if (!Array.isArray(attachments)) return {}
  return {
    attachments: attachments.map((entry: unknown) => {
      if (!isPlainObject(entry) || !types.isUint8Array(entry['content'])) return entry
      return { ...entry, content: Buffer.from(entry['content']).toString('base64'), encoding: 'base64' }
    }),
  }
}

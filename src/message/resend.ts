import { ThreadpostError } from '../errors.js'
import type { JsonObject } from '../protocol/tasks.js'
import { notFound } from '../queue/actions.js'
import { forbidControls, isPlainObject, Validator } from '../validation.js'
import { parseMailboxes } from './addresses.js'
import { messageIdFor, mintId } from './ids.js'
import { toJsonText } from './json.js'
import type { Address } from './mail.js'
import { MAIL_FIELDS } from './mailFields.js'
import { isSettled, type MailJob } from './messageState.js'
import type { Message } from './messageView.js'

/** Changes of a mail that is sent again; everything else stays as it was. */
export interface ResendChanges {
  /** Other recipients: the new message goes to nobody else, so `cc` and `bcc` are dropped. @default the recipients of the original */
  to?: Address | Address[]
  /** @default the subject of the original */
  subject?: string
  /** Data for the placeholders of the template. @default the data of the original */
  data?: JsonObject
}

const check: Validator = new Validator('INVALID_MESSAGE')
const MAX_RECIPIENTS = 1_000

/**
 * Makes a new job from the job of a settled message.
 * @throws ThreadpostError `NOT_FOUND`; `CONFLICT` if the message isn't settled, or its content is no longer kept; `INVALID_MESSAGE`
 */
export function toResend(
  id: string,
  message: Message | undefined,
  job: MailJob | 'dropped' | undefined,
  changes: unknown,
  now: number,
  maxAge: number,
): MailJob {
  if (message === undefined || job === undefined) throw notFound(id)
  if (!isSettled(message.status))
    throw new ThreadpostError(
      'CONFLICT',
      `Message ${id} is ${message.status}; only a settled message can be sent again`,
    )
  if (job === 'dropped')
    throw new ThreadpostError(
      'CONFLICT',
      `The content of message ${id} was deleted when it was settled; set retain.data to 'kept' to send messages again`,
    )
  const { idempotencyKey: _, fingerprint: __, notBefore: ___, suppressed: ____, ...kept } = job
  const { to, subject, data } = check.object(changes, '', ['to', 'subject', 'data'])
  const next = mintId(now)
  const again: MailJob = {
    ...kept,
    id: next,
    // A finished message is sent unchanged, with the Message-ID that it has.
    messageId: job.content.kind === 'raw' ? job.messageId : messageIdFor(next, job.from.address),
    date: now,
    acceptedAt: now,
    expiresAt: now + maxAge,
    resendOf: id,
  }
  if (to !== undefined) {
    again.to = parseMailboxes(to, 'to', check, MAX_RECIPIENTS)
    again.cc = []
    again.bcc = []
    if (again.to.length === 0) check.fail('to', 'must have at least one recipient')
  }
  if (subject !== undefined && job.content.kind === 'raw')
    check.fail('subject', 'this message was passed as raw, so its subject is part of it')
  if (subject !== undefined)
    again.subject = forbidControls(
      check.string(subject, 'subject', MAIL_FIELDS.subject.max),
      'subject',
      check,
    )
  if (data !== undefined) {
    if (!isPlainObject(data)) check.fail('data', 'must be an object')
    if (job.content.kind === 'literal' || job.content.kind === 'raw')
      check.fail('data', 'this message has no template, so it takes no data')
    again.content = { ...job.content, data: toJsonText(data, 'data', check) }
  }
  return again
}

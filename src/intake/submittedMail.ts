import { createHash } from 'node:crypto'
import { type Mail, type Mailer, type Receipt, ThreadpostError } from '../index.js'
import { markChecked } from '../protocol/octets.js'
import type { AuthorFields } from './authorFields.js'
import { readControls } from './controlFields.js'
import { type Envelope, type MailFields, partsMailOf, templateMailOf } from './mimeMail.js'
import { isRefusal, type SmtpRefusal } from './smtpReply.js'
import { type CollectedMessage, readSubmitted, type SubmittedLimits } from './submittedMessage.js'
import type { TraceSource } from './traceFields.js'

/** A submitted message as a mail for `send()`. */
export interface SubmittedMail {
  authorFields: AuthorFields
  mail: MailFields
  /** The same mail in parts, for a service that builds its messages itself; absent if it has parts already. */
  inParts?: () => MailFields | SmtpRefusal
}

/** Converts a submitted message to a mail. */
export function submittedMailOf(
  received: CollectedMessage,
  envelope: Envelope,
  source: TraceSource,
  { limits, deduplicate }: { limits: SubmittedLimits; deduplicate: boolean },
): SubmittedMail | SmtpRefusal {
  const message = readSubmitted(received, source, limits)
  if (isRefusal(message)) return message
  const controls = readControls(message.controls)
  if (isRefusal(controls)) return controls
  const { authorFields, messageId } = message
  const delivery = {
    ...(deduplicate && messageId !== undefined ? { idempotencyKey: keyOf(messageId, envelope) } : {}),
    ...controls.delivery,
  }
  if (controls.template === undefined)
    return {
      authorFields,
      mail: { raw: markChecked(message.octets), envelope, ...delivery },
      inParts: () => {
        const mail = partsMailOf(message.octets, envelope)
        return isRefusal(mail) ? mail : { ...mail, ...delivery }
      },
    }
  const mail = templateMailOf(message.octets, envelope, controls.template)
  return isRefusal(mail) ? mail : { authorFields, mail: { ...mail, ...delivery } }
}

/** Sends the mail, in parts if the transport requires it. @throws ThreadpostError as `send()` */
export async function sendSubmitted(
  mailer: Mailer,
  { mail, inParts }: SubmittedMail,
): Promise<Receipt | SmtpRefusal> {
  try {
    return await mailer.send(mail as unknown as Mail)
  } catch (error) {
    const inOctets = error instanceof ThreadpostError && error.code === 'UNSUPPORTED' && error.path === 'raw'
    if (!inOctets || inParts === undefined) throw error
    const parts = inParts()
    return isRefusal(parts) ? parts : mailer.send(parts as unknown as Mail)
  }
}

/**
 * The recipients are part of the key: a client may submit one message to some recipients now and to others later. So is the sender, who
 * could otherwise keep another's message from being sent.
 */
function keyOf(messageId: string, { from, to }: Envelope): string {
  const hash = createHash('sha256').update(JSON.stringify([messageId, from, [...to].sort()]))
  return `message-id ${hash.digest('base64url')}`
}

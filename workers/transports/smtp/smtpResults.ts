import type { RecipientOutcome, SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, unanswered } from '../sendResults.js'
import type { SendResult } from '../transport.js'

/** The transaction is complete: each recipient has a reply of its own, or shares the last one. */
export function completed(
  to: readonly string[],
  mail: SmtpReply | undefined,
  replies: readonly SmtpReply[],
  last: SmtpReply,
): SendResult {
  const refusedAtMail = mail !== undefined && mail.code >= 300 ? mail : undefined
  const recipients = to.map((address, index) => {
    const own = replies[index]
    const reply = refusedAtMail ?? (own !== undefined && own.code >= 300 ? own : last)
    return outcomeOf(address, reply)
  })
  const accepted = recipients.filter(({ result }) => result === 'accepted').length
  if (accepted > 0)
    return {
      outcome: { result: 'sent', code: 'OK' },
      message:
        accepted === to.length
          ? 'The server accepted the message.'
          : `The server accepted the message for ${accepted} of ${to.length} recipients.`,
      recipients,
      reply: last,
    }
  return refused(recipients, last)
}

/** The server closed the connection with a 421: recipients that it had not refused can be tried again. */
export function serviceClosing(
  to: readonly string[],
  replies: readonly SmtpReply[],
  last: SmtpReply,
): SendResult {
  const recipients = to.map((address, index) => {
    const own = replies[index]
    return outcomeOf(address, own !== undefined && own.code >= 300 ? own : last)
  })
  return refused(recipients, last)
}

/** The connection ended before the final reply. Recipients that the server had refused stay refused. */
export function connectionLost(
  reason: CloseReason,
  handedOver: boolean,
  to: readonly string[],
  replies: readonly SmtpReply[],
): SendResult {
  const result = unanswered(reason, handedOver, to)
  const recipients = result.recipients.map((open, index) => {
    const own = replies[index]
    return own !== undefined && own.code >= 300 ? outcomeOf(open.address, own) : open
  })
  return { ...result, recipients }
}

function refused(recipients: RecipientOutcome[], last: SmtpReply): SendResult {
  const open = recipients.find(({ result }) => result === 'deferred')
  const reply = open?.reply ?? recipients[0]?.reply ?? last
  return {
    outcome:
      open === undefined
        ? { result: 'rejected', code: 'SMTP_REJECTED' }
        : { result: 'deferred', code: 'SMTP_DEFERRED' },
    message: `The server ${open === undefined ? 'refused' : 'deferred'} the message: ${reply.code} ${reply.text}`,
    recipients,
    reply,
  }
}

function outcomeOf(address: string, reply: SmtpReply): RecipientOutcome {
  const result = reply.code < 300 ? 'accepted' : reply.code < 500 ? 'deferred' : 'rejected'
  return { address, result, reply }
}

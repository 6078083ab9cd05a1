import { isAsciiText } from '../../../src/protocol/addressForms.js'
import { complainsAboutEhlo, ehloHint } from '../../../src/protocol/ehloComplaint.js'
import type { RecipientOutcome, SmtpReply } from '../../../src/protocol/outcome.js'
import { type CloseReason, type ConnectionFailure, unanswered } from '../sendResults.js'
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
      message: acceptedMessage(accepted, to.length),
      recipients,
      reply: last,
    }
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
  if (reply.code < 300) return { address, result: 'accepted', reply }
  const temporary = reply.code < 500 || exceedsRecipientLimit(reply)
  return { address, result: temporary ? 'deferred' : 'rejected', reply }
}

/**
 * Whether the server refused a recipient because the transaction has too many (RFC 5321 section 4.5.3.1.10, RFC 3463
 * X.5.3). 552 is temporary in this case, as 452 is.
 */
export function exceedsRecipientLimit(reply: SmtpReply | undefined): boolean {
  if (reply === undefined || reply.code < 400) return false
  if (reply.enhanced !== undefined) return reply.enhanced.slice(1) === '.5.3'
  return (reply.code === 452 || reply.code === 552) && /\brecipients\b/i.test(reply.text)
}

/** Codes of RFC 4954 section 6: the session must log in first, or differently. */
const LOGIN_CODES = new Set([530, 534, 535, 538])

/** The refusal of a server that takes no mail without another login. Some ask for it at MAIL, and others at RCPT only. */
export function loginRequired(
  mail: SmtpReply | undefined,
  recipients: readonly SmtpReply[],
): ConnectionFailure | undefined {
  const replies = mail !== undefined && mail.code >= 400 ? [mail] : recipients
  const [reply] = replies
  if (reply === undefined || !replies.every(({ code }) => LOGIN_CODES.has(code))) return undefined
  const message = `The server accepts no mail with these credentials: ${reply.code} ${reply.text}`
  return { code: 'AUTH_FAILED', message, reply }
}

/** The result after a further transaction, whose recipients were deferred before it. */
export function withFurtherResult(before: SendResult, further: SendResult): SendResult {
  const results = new Map(further.recipients.map((recipient) => [recipient.address, recipient]))
  const recipients = before.recipients.map((recipient) => results.get(recipient.address) ?? recipient)
  if (further.outcome.result === 'uncertain') return { ...further, recipients }
  const accepted = recipients.filter(({ result }) => result === 'accepted').length
  return { ...before, message: acceptedMessage(accepted, recipients.length), recipients }
}

function acceptedMessage(accepted: number, all: number): string {
  return accepted === all
    ? 'The server accepted the message.'
    : `The server accepted the message for ${accepted} of ${all} recipients.`
}

/** Adds the recipients that a server without SMTPUTF8 was not asked about, in the envelope's order. */
export function withUnreachable(result: SendResult, to: readonly string[]): SendResult {
  const others = to.filter((address) => !isAsciiText(address)).length
  if (others === 0 || result.recipients.length !== to.length - others) return result
  const asked = result.recipients.values()
  const recipients = to.map((address): RecipientOutcome => {
    if (isAsciiText(address)) return asked.next().value ?? { address, result: 'deferred' }
    return { address, result: 'rejected', code: 'SMTPUTF8_UNSUPPORTED' }
  })
  const who = others === 1 ? 'the recipient' : `the ${others} recipients`
  const message = `${result.message} It can't reach ${who} with a non-ASCII local part (SMTPUTF8).`
  return { ...result, message, recipients }
}

/** Names the name that was sent in EHLO where the server's reply complains about it. */
export function withEhloHint(result: SendResult, ehloName: string): SendResult {
  const complaint = complainsAboutEhlo(result.reply)
    ? result.reply
    : result.recipients.find(({ reply }) => complainsAboutEhlo(reply))?.reply
  if (complaint === undefined) return result
  return {
    ...result,
    message: `The server answered "${complaint.code} ${complaint.text}": ${ehloHint(ehloName)}.`,
  }
}

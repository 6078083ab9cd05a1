import { type BounceCategory, DELIVERY_STATES, type DeliveryState } from '../feedback/deliveryStates.js'
import { complainsAboutEhlo } from '../protocol/ehloComplaint.js'
import type { Message, MessageAttempt } from './messageView.js'

/**
 * Explains the status of a message and its reason in one plain sentence, without SMTP jargon. Pure. Times are in UTC.
 */
export function explain(message: Message): string {
  const last = message.attempts.at(-1)
  if (message.unreadable === true)
    return `The message (${message.status}) can't be decrypted: its key is missing in queue.encryption.keys. It is kept as it is.`
  const { erased, ...others } = message
  if (erased === true) return `${explain(others)} Its content and an address were erased.`
  switch (message.status) {
    case 'queued':
      return queued(message)
    case 'sending':
      return `Being sent now (${ordinal(message.attempts.length + 1)} attempt).`
    case 'deferred':
      return `Waiting for its next attempt${at(' at', message.nextAttemptAt)}: ${delay(message, last)}${doubt(message)}.`
    case 'held':
      return held(message, last)
    case 'sent':
      return sent(message, last) + afterwards(message)
    case 'partial':
      return `Sent to ${list(message, 'sent')}, but not to ${list(message, 'failed')}: ${refusal(message, last)}.${afterwards(message)}`
    case 'failed':
      return failed(message, last)
    case 'expired':
      return expired(message, last)
    case 'cancelled':
      if (last?.code === 'SKIPPED') return `Skipped${at(' at', message.settledAt)}: ${reason(last)}.`
      return `Cancelled${at(' at', message.settledAt)}${message.attempts.length === 0 ? ' before the first attempt' : `, after ${attempts(message)}`}${alreadySent(message)}${doubt(message)}.`
  }
}

function queued({ sendAt, nextAttemptAt, attempts: tried }: Message): string {
  if (nextAttemptAt !== undefined && nextAttemptAt === sendAt) return `Scheduled${at(' for', sendAt)}.`
  return tried.length === 0 ? 'Waiting to be sent.' : 'Requeued, waiting to be sent again.'
}

function held(message: Message, last: MessageAttempt | undefined): string {
  const { heldReason = 'uncertain' } = message
  switch (heldReason) {
    case 'paused':
      if (last?.code === 'TRANSPORT_UNAVAILABLE') return `Held: ${reason(last)}.`
      // While the queue is paused, a scheduled message keeps its time.
      if (message.nextAttemptAt !== undefined && message.nextAttemptAt === message.sendAt)
        return `Held because the queue is paused; it is sent${at(' at', message.sendAt)} if the queue is resumed by then.`
      return message.nextAttemptAt === undefined
        ? 'Held because the queue is paused; it continues when the queue is resumed.'
        : `Held because the transport "${message.transport}" is paused; it continues when the transport is resumed.`
    case 'breaker':
      return `Held because its transport is not working: ${reason(last)}; it is sent automatically once the transport works again.`
    case 'setup': {
      const why = last?.code === 'SETUP_FAILED' ? `: ${reason(last)}` : ''
      return `Held because the worker threads keep crashing, and no message is the cause${why}; it is sent automatically once a thread stays up.`
    }
    case 'budget':
      return `Waiting for a limit, such as the rate or quota of the transport "${message.transport}"${at(', until about', message.nextAttemptAt)}.`
    case 'uncertain':
      return `Held${at(' since', last?.end)} because it may already have been sent: ${reason(last)}; choose retry, cancel, or markSent.`
  }
}

function sent(message: Message, last: MessageAttempt | undefined): string {
  const after = message.attempts.length > 1 ? `, on the ${ordinal(message.attempts.length)} attempt` : ''
  if (last?.outcome !== 'sent' || message.recipients.some(({ reply }) => isRefused(reply)))
    return message.recipients.every(({ reply, delivery }) => delivery !== undefined || isAccepted(reply))
      ? 'Accepted by the next mail server, as a delivery report shows.'
      : `Marked as sent manually${at(' at', message.settledAt)}.`
  const twice = message.uncertain
    ? '; it may have arrived twice, because an earlier attempt received no reply'
    : ''
  return `Accepted by the next mail server${at(' at', message.settledAt)}${after}${twice}.`
}

type Reply = MessageAttempt['reply']

function isAccepted(reply: Reply): boolean {
  return reply !== undefined && reply.code < 400
}

function isRefused(reply: Reply): boolean {
  return reply !== undefined && reply.code >= 400
}

/** The delivery reports on the recipients, the worst first. */
function afterwards({ recipients }: Message): string {
  const reported = recipients.flatMap(({ address, delivery }) =>
    delivery === undefined ? [] : [{ address, delivery }],
  )
  const [worst] = reported.sort((a, b) => STATES.indexOf(b.delivery.state) - STATES.indexOf(a.delivery.state))
  if (worst === undefined) return ''
  const { address, delivery } = worst
  const { state, category, detail, permanent, unverified } = delivery
  const claim = unverified === true ? ', according to a mail without a valid token' : ''
  const others =
    recipients.length > 1
      ? `${claim} (${reported.length} of ${recipients.length} recipients reported)`
      : claim
  const when = at(' at', delivery.at)
  switch (state) {
    case 'delivered':
      return ` Delivered to ${address}${when}${others}.`
    case 'delayed':
      return ` Delayed on its way to ${address}${when}${detail === undefined ? '' : `: "${detail}"`}${others}.`
    case 'bounced':
      return ` Bounced from ${address}${when}: ${permanent === true ? 'permanent' : 'temporary'}, ${BOUNCE_REASONS[category ?? 'other']}${detail === undefined ? '' : ` ("${detail}")`}${others}.`
    case 'complained':
      return ` ${address} complained about it${when}${others}.`
    case 'unsubscribed':
      return ` ${address} unsubscribed${when}${others}.`
  }
}

const STATES: readonly DeliveryState[] = DELIVERY_STATES

const BOUNCE_REASONS: Readonly<Record<BounceCategory, string>> = {
  mailbox: 'the mailbox does not exist or is disabled',
  domain: 'the domain or its server cannot be reached',
  full: 'the mailbox is full',
  size: 'the message is too large',
  content: 'the content was refused',
  reputation: 'the reputation of the sender was refused',
  policy: 'a rule of the receiver refused it',
  other: 'the receiver did not say why',
}

function failed(message: Message, last: MessageAttempt | undefined): string {
  if (last?.code === 'POISON')
    return `Given up: ${reason(last)}; check its template and data before you retry it.`
  if (last?.code === 'SUPPRESSED') return `Not sent: ${refusal(message, last)}.`
  if (last?.outcome === 'rejected') return `Permanently rejected: ${refusal(message, last)}.`
  return `Given up after ${attempts(message)}: ${reason(last)}${doubt(message)}.`
}

function expired(message: Message, last: MessageAttempt | undefined): string {
  const why =
    last === undefined
      ? 'it was never attempted'
      : last.outcome === 'sent'
        ? `after ${attempts(message)}; ${delay(message, last)}`
        : `after ${attempts(message)}; the last one failed: ${reason(last)}${alreadySent(message)}`
  return `Expired at ${moment(message.expiresAt)}: ${why}${doubt(message)}.`
}

/** The reason why the message wasn't done with its last attempt: it may have been accepted for some of its recipients. */
function delay(message: Message, last: MessageAttempt | undefined): string {
  if (last?.outcome !== 'sent') return reason(last)
  const { recipients } = message
  const accepted = recipients.filter(({ status }) => status === 'sent').length
  const left = recipients.find(({ status, reply }) => status !== 'sent' && isRefused(reply))
  const answer =
    left?.reply === undefined ? 'not for the others' : `answered "${replyOf(left.reply)}" for ${left.address}`
  return `the server accepted it for ${accepted} of ${recipients.length} recipients, and ${answer}`
}

/** The recipients to whom a message went that ended before it went to the others. */
function alreadySent(message: Message): string {
  return message.recipients.some(({ status }) => status === 'sent')
    ? `; it was sent to ${list(message, 'sent')}`
    : ''
}

/** The result of the last attempt, without a period. */
function reason(last: MessageAttempt | undefined): string {
  if (last === undefined) return 'it has not been attempted yet'
  // The sentence of the attempt names the option to set.
  if (complainsAboutEhlo(last.reply)) return sentence(last.message)
  if (last.reply !== undefined) return `the server answered "${replyOf(last.reply)}"`
  return sentence(last.message)
}

/** The server's reply about a recipient that it rejected, or the reason why it was not asked, or else about the message. */
function refusal(message: Message, last: MessageAttempt | undefined): string {
  const unsupported = message.recipients.some(
    ({ status, code }) => status === 'failed' && code === 'SMTPUTF8_UNSUPPORTED',
  )
  if (unsupported) return 'the server does not support non-ASCII characters before the @ (SMTPUTF8)'
  const suppressed = message.recipients.find(({ code }) => code === 'SUPPRESSED')
  if (suppressed?.suppressed !== undefined) {
    const { reason: why, since } = suppressed.suppressed
    return `${suppressed.address} has been suppressed since ${moment(since)} (${why})`
  }
  const refused = message.recipients.find(({ status, reply }) => status === 'failed' && reply !== undefined)
  if (complainsAboutEhlo(refused?.reply)) return sentence(last?.message ?? '')
  return refused?.reply === undefined ? reason(last) : `the server answered "${replyOf(refused.reply)}"`
}

function replyOf({ code, enhanced, text }: NonNullable<MessageAttempt['reply']>): string {
  // A server writes its enhanced code at the beginning of the text (RFC 2034 section 4).
  const shown = enhanced !== undefined && text.startsWith(enhanced) ? undefined : enhanced
  return [code, shown, text].filter((part) => part !== undefined && part !== '').join(' ')
}

function sentence(text: string): string {
  const line = text.split('\n')[0] ?? ''
  const bare = line.replace(/\.$/, '')
  return /^(The|An?|It|No|There)\b/.test(bare) ? bare.charAt(0).toLowerCase() + bare.slice(1) : bare
}

function doubt({ uncertain }: Message): string {
  return uncertain ? '; an earlier attempt received no reply, so it may have arrived' : ''
}

function list({ recipients }: Message, wanted: 'sent' | 'failed'): string {
  const addresses = recipients.filter(({ status }) => status === wanted).map(({ address }) => address)
  const [first = 'nobody', ...more] = addresses
  return more.length === 0 ? first : `${first} and ${more.length} more`
}

function attempts({ attempts: { length } }: Message): string {
  return length === 1 ? '1 attempt' : `${length} attempts`
}

function at(word: string, time: string | undefined): string {
  return time === undefined ? '' : `${word} ${moment(time)}`
}

function moment(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`
}

function ordinal(n: number): string {
  const tens = n % 100
  const suffix = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')
  return `${n}${suffix}`
}

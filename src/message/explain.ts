import type { Message, MessageAttempt } from './messageView.js'

/**
 * Where a message stands and why, in one plain sentence: for people who never read SMTP. Pure; times are in UTC.
 */
export function explain(message: Message): string {
  const last = message.attempts.at(-1)
  switch (message.status) {
    case 'queued':
      return queued(message)
    case 'sending':
      return `Being sent now, ${ordinal(message.attempts.length + 1)} attempt.`
    case 'deferred':
      return `Waiting for its next attempt${at(' at', message.nextAttemptAt)}: ${reason(last)}${doubt(message)}.`
    case 'held':
      return held(message, last)
    case 'sent':
      return sent(message, last)
    case 'partial':
      return `Sent to ${list(message, 'sent')}, but not to ${list(message, 'failed')}: ${refusal(message, last)}.`
    case 'failed':
      return failed(message, last)
    case 'expired':
      return expired(message, last)
    case 'cancelled':
      return `Cancelled${at(' at', message.settledAt)}${message.attempts.length === 0 ? ' before it was tried' : `, after ${attempts(message)}`}${doubt(message)}.`
  }
}

function queued({ sendAt, nextAttemptAt, attempts: tried }: Message): string {
  if (nextAttemptAt !== undefined && nextAttemptAt === sendAt)
    return `Waiting for its time,${at('', sendAt)}.`
  return tried.length === 0 ? 'Waiting in line to be sent.' : 'Back in line to be sent again.'
}

function held(message: Message, last: MessageAttempt | undefined): string {
  const { heldReason = 'uncertain' } = message
  switch (heldReason) {
    case 'paused':
      return 'Held because the queue is paused; it goes on when the queue is resumed.'
    case 'breaker':
      return `Held because its transport is not working: ${reason(last)}; it goes on by itself once the transport does.`
    case 'setup': {
      const why = last?.code === 'SETUP_FAILED' ? `: ${reason(last)}` : ''
      return `Held because the threads that deliver mail end again and again, which is no message's fault${why}; it goes out by itself once a thread lives.`
    }
    case 'budget':
      return `Waiting for its turn${at(' at about', message.nextAttemptAt)}: its transport may send only so many at a time.`
    case 'uncertain':
      return `Held${at(' since', last?.end)} because it may have been sent already: ${reason(last)}; decide with retry, cancel or markSent.`
  }
}

function sent(message: Message, last: MessageAttempt | undefined): string {
  const after = message.attempts.length > 1 ? `, at the ${ordinal(message.attempts.length)} attempt` : ''
  if (last?.outcome !== 'sent') return `Marked as sent by hand${at(' at', message.settledAt)}.`
  const twice = message.uncertain ? '; it may have arrived twice, since an earlier attempt had no reply' : ''
  return `Accepted by the next mail server${at(' at', message.settledAt)}${after}${twice}.`
}

function failed(message: Message, last: MessageAttempt | undefined): string {
  if (last?.code === 'POISON')
    return `Given up: ${reason(last)}; look at its template and data before you retry it.`
  if (last?.outcome === 'rejected') return `Refused for good: ${refusal(message, last)}.`
  return `Given up after ${attempts(message)}: ${reason(last)}${doubt(message)}.`
}

function expired(message: Message, last: MessageAttempt | undefined): string {
  const why =
    last === undefined
      ? 'it was never tried'
      : `after ${attempts(message)}, of which the last said: ${reason(last)}`
  return `Too late since ${moment(message.expiresAt)}, ${why}${doubt(message)}.`
}

/** What the last attempt came to, without its full stop. */
function reason(last: MessageAttempt | undefined): string {
  if (last === undefined) return 'it has not been tried yet'
  if (last.reply !== undefined) return `the server answered "${replyOf(last.reply)}"`
  return sentence(last.message)
}

/** What the server said of the recipients it refused, or else of the message. */
function refusal(message: Message, last: MessageAttempt | undefined): string {
  const refused = message.recipients.find(({ status, reply }) => status === 'failed' && reply !== undefined)
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
  return uncertain ? '; an earlier attempt had no reply, so it may have arrived' : ''
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
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`
}

function ordinal(n: number): string {
  const tens = n % 100
  const suffix = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')
  return `${n}${suffix}`
}

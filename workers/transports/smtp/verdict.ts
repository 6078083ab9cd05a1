import type { RecipientOutcome, SmtpReply, UnsupportedCode, WithdrawnCode } from '../../../src/outcome.js'
import type { Delivered } from '../transport.js'

/** How a connection ended before the reply that was waited for. */
export type Ending = 'closed' | 'timeout' | 'invalid'

/** The transaction ran its course: each recipient has an answer of its own, or shares the last one. */
export function answered(
  to: readonly string[],
  mail: SmtpReply | undefined,
  replies: readonly SmtpReply[],
  last: SmtpReply,
): Delivered {
  const refusedAtMail = mail !== undefined && mail.code >= 300 ? mail : undefined
  const recipients = to.map((address, index) => {
    const own = replies[index]
    const reply = refusedAtMail ?? (own !== undefined && own.code >= 300 ? own : last)
    return outcomeOf(address, reply)
  })
  const taken = recipients.filter(({ result }) => result === 'accepted').length
  if (taken > 0)
    return {
      verdict: { result: 'sent', code: 'OK' },
      message:
        taken === to.length
          ? 'The server accepted the message.'
          : `The server accepted it for ${taken} of ${to.length} recipients.`,
      recipients,
      reply: last,
    }
  return refused(recipients, last)
}

/** The server closed down with a 421: what it had not refused for good can be tried again. */
export function interrupted(
  to: readonly string[],
  replies: readonly SmtpReply[],
  last: SmtpReply,
): Delivered {
  const recipients = to.map((address, index) => {
    const own = replies[index]
    return outcomeOf(address, own !== undefined && own.code >= 300 ? own : last)
  })
  return refused(recipients, last)
}

/**
 * No reply came, or none that makes sense. Before the final dot nothing was sent; after it nobody knows.
 * Who was refused already stays refused.
 */
export function lost(
  ending: Ending,
  handedOver: boolean,
  to: readonly string[],
  replies: readonly SmtpReply[],
): Delivered {
  const open = handedOver ? 'uncertain' : 'deferred'
  const recipients = to.map((address, index): RecipientOutcome => {
    const own = replies[index]
    return own !== undefined && own.code >= 300 ? outcomeOf(address, own) : { address, result: open }
  })
  return handedOver
    ? {
        verdict: { result: 'uncertain', code: UNCERTAIN[ending].code },
        message: UNCERTAIN[ending].message,
        recipients,
      }
    : {
        verdict: { result: 'deferred', code: CERTAIN[ending].code },
        message: CERTAIN[ending].message,
        recipients,
      }
}

export function withdrawn(code: WithdrawnCode): Delivered {
  const why = code === 'CANCELLED' ? 'was cancelled' : 'expired'
  return {
    verdict: { result: 'withdrawn', code },
    message: `The message ${why} before it was sent.`,
    recipients: [],
  }
}

export function unsupported(code: 'INVALID_MESSAGE' | UnsupportedCode, message: string): Delivered {
  return { verdict: { result: 'rejected', code }, message, recipients: [] }
}

const CERTAIN = {
  closed: { code: 'CONNECTION_CLOSED', message: 'The connection closed before the message was sent.' },
  timeout: { code: 'TIMEOUT', message: 'The server did not answer in time; nothing was sent.' },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The server gave a reply that makes no sense; nothing was sent.',
  },
} as const

const UNCERTAIN = {
  closed: {
    code: 'REPLY_LOST',
    message: 'The message was handed over, but the connection closed before a reply; it may have been sent.',
  },
  timeout: {
    code: 'REPLY_TIMEOUT',
    message: 'The message was handed over, but no reply came in time; it may have been sent.',
  },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The message was handed over, but the reply makes no sense; it may have been sent.',
  },
} as const

function refused(recipients: RecipientOutcome[], last: SmtpReply): Delivered {
  const open = recipients.find(({ result }) => result === 'deferred')
  const reply = open?.reply ?? recipients[0]?.reply ?? last
  return {
    verdict:
      open === undefined
        ? { result: 'rejected', code: 'SMTP_REJECTED' }
        : { result: 'deferred', code: 'SMTP_DEFERRED' },
    message: `The server ${open === undefined ? 'refused' : 'put off'} the message: ${reply.code} ${reply.text}`,
    recipients,
    reply,
  }
}

function outcomeOf(address: string, reply: SmtpReply): RecipientOutcome {
  const result = reply.code < 300 ? 'accepted' : reply.code < 500 ? 'deferred' : 'rejected'
  return { address, result, reply }
}

import type { SourceLocation } from '../errors.js'

/**
 * How far a delivery has got, in order. `body` begins before the write that carries the final dot:
 * from there on only the server's reply tells whether it took the message.
 */
export const PHASES = [
  'waiting',
  'rendering',
  'composing',
  'connecting',
  'envelope',
  'body',
  'replied',
] as const
export type Phase = (typeof PHASES)[number]

/** A server's reply (RFC 5321 section 4.2), its text joined to one line and cut to 512 characters. */
export interface SmtpReply {
  code: number
  /** Enhanced status code (RFC 3463), such as `5.1.1`. */
  enhanced?: string
  text: string
}

/** What became of one recipient in one attempt. */
export interface RecipientOutcome {
  address: string
  result: 'accepted' | 'rejected' | 'deferred' | 'uncertain'
  reply?: SmtpReply
}

/** Milliseconds spent on each step of an attempt. */
export interface Timings {
  /** From acceptance, or from when it became due, to being taken. */
  queue?: number
  /** Crossing to the thread. */
  clone?: number
  compile?: number
  render?: number
  compose?: number
  connect?: number
  transaction?: number
}

interface OutcomeFacts {
  /** One sentence for people. */
  message: string
  /** The phase reached. */
  phase: Phase
  /** The reply that decided, if the server gave one. */
  reply?: SmtpReply
  /** One entry for each recipient of the attempt. Empty when no server was asked. */
  recipients: RecipientOutcome[]
  timings: Timings
  /** Id of the thread that did it; 0 is the main thread. */
  thread: number
  /** When the thread knew it, on `sharedClock()`: for the budgets, which need no more than that. Never stored. */
  endedAt?: number
}

/* .ci/reference.mjs writes the table of outcomes in src/README.md from these docstrings. */

/** The message needs what this server does not offer. */
export type UnsupportedCode =
  /**
   * An address has letters beyond ASCII before its @, and the server does not offer SMTPUTF8 (RFC 6531).
   * @remedy Send it over a server that does.
   */
  | 'SMTPUTF8_UNSUPPORTED'
  /**
   * The message has 8-bit content, and the server does not offer 8BITMIME (RFC 6152).
   * @remedy Send it over a server that does.
   */
  | '8BITMIME_UNSUPPORTED'
  /**
   * The message is larger than the server takes (RFC 1870).
   * @remedy Make it smaller: link to files in place of attaching them.
   */
  | 'SIZE_EXCEEDED'

/** Certainly not sent, and trying again won't help. */
export type RejectedCode =
  /**
   * The server, or a service, refused the message or each of its recipients for good (5xx); its reply is kept.
   * @remedy Read the reply: mostly the address does not exist, or the sender may not send.
   */
  | 'SMTP_REJECTED'
  | UnsupportedCode
  /**
   * The template does not render with this data.
   * @remedy Mend it, then `retry(id)`.
   */
  | 'TEMPLATE_ERROR'
  /**
   * Data was missing where it could not be told at `send()`.
   * @remedy Mend the template or the data.
   */
  | 'MISSING_DATA'
  /**
   * The process that delivers has no such template.
   * @remedy Deploy the template there, then `retry(id)`.
   */
  | 'UNKNOWN_TEMPLATE'
  /**
   * The process that delivers has no transport of that name, or an address is none after all.
   * @remedy Mend the mail, or name the transport there.
   */
  | 'INVALID_MESSAGE'
  /**
   * Three threads died of it, alone or while rendering it.
   * @remedy Look at its template and data, then `retry(id)`.
   */
  | 'POISON'

/** Certainly not sent, and it says something of the message or its recipients: an attempt is counted. */
export type DeferredCode =
  /**
   * The server put it off (4xx), or a service did (429, 5xx).
   * @remedy Nothing: it is tried again.
   */
  | 'SMTP_DEFERRED'
  /**
   * The connection closed before the message was handed over.
   * @remedy Nothing: it is tried again.
   */
  | 'CONNECTION_CLOSED'
  /**
   * The server did not answer in time; nothing was handed over.
   * @remedy Nothing: it is tried again. If it stays so, look at `timeouts`.
   */
  | 'TIMEOUT'
  /**
   * What the server answered is no SMTP.
   * @remedy Nothing: it is tried again. Is it a mail server?
   */
  | 'REPLY_INVALID'
  /**
   * A defect of threadpost or of a plugin.
   * @remedy Report it, with the message of the attempt.
   */
  | 'INTERNAL_ERROR'

/** These say something of the transport, whichever message met it: no attempt is counted. */
export type UnreachableCode =
  /**
   * The server could not be reached.
   * @remedy `threadpost doctor` says why; mail is held and goes out by itself.
   */
  | 'CONNECTION_FAILED'
  /**
   * The server refused the password, or the key.
   * @remedy Correct it: `reload({ transport })`, or a restart.
   */
  | 'AUTH_FAILED'
  /**
   * No safe connection: no STARTTLS, or a certificate that is not valid.
   * @remedy Correct the host or the certificate (`tls`); `requireTLS: false` only where the line is safe.
   */
  | 'TLS_FAILED'

/** No thread can take mail, and no message is to blame: no attempt is counted. */
export type SetupFailedCode =
  /**
   * Threads die again and again of something that no message caused: the setup module, or a connection it opened.
   * @remedy Correct what the log names; mail is held and goes out by itself once threads live again.
   */
  'SETUP_FAILED'

/** The mailer was closed first: no attempt is counted. */
export type ReleasedCode =
  /**
   * The mailer was closed before it was handed over.
   * @remedy Nothing: a durable queue sends it after the next start.
   */
  'RELEASED'

/** Handed over, and no reply: it may have been sent. */
export type UncertainCode =
  /**
   * The connection closed after the message was handed over, before the reply.
   * @remedy Nothing, or decide by hand with `onUncertain: 'hold'`: `retry(id)` or `markSent(id)`.
   */
  | 'REPLY_LOST'
  /**
   * The reply did not come in time.
   * @remedy As above.
   */
  | 'REPLY_TIMEOUT'
  /**
   * The reply is no SMTP.
   * @remedy As above.
   */
  | 'REPLY_INVALID'
  /**
   * The thread died after the message was handed over.
   * @remedy As above.
   */
  | 'THREAD_DIED'
  /**
   * The process, or its machine, died after the message may have been handed over.
   * @remedy As above.
   */
  | 'PROCESS_DIED'
  /**
   * A defect showed after the message was handed over.
   * @remedy As above; and report it.
   */
  | 'INTERNAL_ERROR'

/** It was not sent, for it was taken back or its time was over, before its envelope was sent. */
export type WithdrawnCode =
  /**
   * `cancel(id)` came in time.
   * @remedy Nothing.
   */
  | 'CANCELLED'
  /**
   * `expiresAt` or `maxAge` was over.
   * @remedy Nothing.
   */
  | 'EXPIRED'

/**
 * What one attempt came to. A value, never a throw: Piscina keeps only the message of a thrown error.
 *
 * - `sent`: the server took the body for at least one recipient.
 * - `rejected`: certainly not sent, and trying again won't help.
 * - `deferred`: certainly not sent, and trying again may help.
 * - `uncertain`: the body was handed over and no reply came; it may have been sent.
 * - `withdrawn`: certainly not sent, because it was cancelled or expired while it was on its way to the server.
 */
export type Outcome = OutcomeFacts &
  (
    | { result: 'sent'; code: 'OK' }
    | { result: 'rejected'; code: RejectedCode; location?: SourceLocation; missing?: string[] }
    | {
        result: 'deferred'
        code: DeferredCode | UnreachableCode | SetupFailedCode | ReleasedCode
        /** Milliseconds for which the server asked not to be tried again. */
        retryAfter?: number
      }
    | { result: 'uncertain'; code: UncertainCode }
    | { result: 'withdrawn'; code: WithdrawnCode }
  )

/** Whether the outcome is the transport's fault, so that it must not burn one of the message's attempts. */
export function isUnreachable(outcome: Outcome): boolean {
  return (
    outcome.code === 'CONNECTION_FAILED' || outcome.code === 'AUTH_FAILED' || outcome.code === 'TLS_FAILED'
  )
}

/** Whether no thread could take the message, for a reason that is not the message's. */
export function isSetupFailure(outcome: Outcome): boolean {
  return outcome.code === 'SETUP_FAILED'
}

/** Whether an outcome uses up one of the message's attempts. */
export function countsAsAttempt(outcome: Outcome): boolean {
  return (
    !isUnreachable(outcome) &&
    !isSetupFailure(outcome) &&
    outcome.result !== 'withdrawn' &&
    outcome.code !== 'RELEASED'
  )
}

/** What happens to a message after an attempt; see `decideRetry()` in src/delivery/retry.ts. */
export type RetryDecision =
  | { status: 'sent' | 'partial' | 'failed' | 'cancelled' | 'expired' }
  /** @property nextAttemptAt milliseconds since the epoch, here and below */
  | { status: 'deferred'; nextAttemptAt: number }
  /** Until an operator calls `retry()` or `markSent()`. */
  | { status: 'held'; reason: 'uncertain' }
  /** Until the transport or the threads are tried again, or the budget has room. The message is then due by itself. */
  | { status: 'held'; reason: 'breaker' | 'setup' | 'budget'; nextAttemptAt: number }

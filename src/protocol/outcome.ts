import type { SourceLocation } from '../errors.js'
import type { Phase, Timings } from './progress.js'

export { type Phase, PHASES, type Timings } from './progress.js'

/** A server's reply (RFC 5321 section 4.2). Its text is joined into one line and cut to 512 characters. */
export interface SmtpReply {
  code: number
  /** Enhanced status code (RFC 3463), such as `5.1.1`. */
  enhanced?: string
  text: string
}

/** The result of one recipient in one attempt. */
export interface RecipientOutcome {
  address: string
  result: 'accepted' | 'rejected' | 'deferred' | 'uncertain'
  reply?: SmtpReply
  /** The reason, if the server was not asked about this recipient, while it was about others. */
  code?: UnsupportedCode | 'SUPPRESSED'
}

export interface OutcomeFacts {
  /** One sentence for users. */
  message: string
  /** The phase that the attempt reached. */
  phase: Phase
  /** The reply that decided the outcome, if the server sent one. */
  reply?: SmtpReply
  /** One entry for each recipient of the attempt. Empty when no server was asked. */
  recipients: RecipientOutcome[]
  timings: Timings
  /** Id of the thread that worked on it; 0 is the main thread. */
  thread: number
  /** The subject that the template gave this message, unless the mail has its own. It is stored with the message, not with the attempt. */
  subject?: string
  /** When the thread knew the outcome, on `sharedClock()`. Only the budgets use it; it is never stored. */
  endedAt?: number
}

/* .ci/reference.mjs writes the table of outcomes in src/README.md from these docstrings. */

/** The message needs an extension, or a size, that the server does not offer. */
export type UnsupportedCode =
  /**
   * The local part of an address has non-ASCII letters, and the server does not offer SMTPUTF8 (RFC 6531).
   * @remedy Send it through a server that offers it.
   */
  | 'SMTPUTF8_UNSUPPORTED'
  /**
   * The message has 8-bit content, and the server does not offer 8BITMIME (RFC 6152).
   * @remedy Send it through a server that offers it.
   */
  | '8BITMIME_UNSUPPORTED'
  /**
   * The message is larger than the server accepts (RFC 1870).
   * @remedy Make it smaller: link to files instead of attaching them.
   */
  | 'SIZE_EXCEEDED'

/** Certainly not sent, and another attempt won't help. */
export type RejectedCode =
  /**
   * The server, or a service, permanently refused the message or all of its recipients (5xx); its reply is kept.
   * @remedy Read the reply: usually the address does not exist, or the sender is not allowed to send.
   */
  | 'SMTP_REJECTED'
  | UnsupportedCode
  /**
   * The template does not render with this data.
   * @remedy Fix the template, then call `retry(id)`.
   */
  | 'TEMPLATE_ERROR'
  /**
   * The template's `load` function returned something other than the documented fields, or threw an error with `permanent: true`.
   * @remedy Fix the function or the data, then call `retry(id)`.
   */
  | 'LOAD_FAILED'
  /**
   * Data was missing that `send()` could not check.
   * @remedy Fix the template or the data.
   */
  | 'MISSING_DATA'
  /**
   * The process that delivers has no such template.
   * @remedy Deploy the template there, then call `retry(id)`.
   */
  | 'UNKNOWN_TEMPLATE'
  /**
   * An address is not valid after all, or the transport can't send a mail of this kind.
   * @remedy Fix the mail, or send it over another transport.
   */
  | 'INVALID_MESSAGE'
  /**
   * All recipients are on the list of addresses that get no more mail: see `mailer.suppressions`.
   * @remedy Nothing, usually. If an address works again, remove it with `suppressions.remove()`, then call `retry(id)`.
   */
  | 'SUPPRESSED'
  /**
   * Three threads died because of it, in isolation or while rendering it.
   * @remedy Look at its template and data, then call `retry(id)`.
   */
  | 'POISON'

/** Certainly not sent, for a reason that concerns the message or its recipients: an attempt is counted. */
export type DeferredCode =
  /**
   * The template's `load` function threw an error, or took longer than `limits.load`.
   * @remedy Read the message; it is tried again.
   */
  | 'LOAD_FAILED'
  /**
   * The server deferred it (4xx), or a service did (429, 5xx).
   * @remedy Nothing: it is tried again.
   */
  | 'SMTP_DEFERRED'
  /**
   * The connection closed before the message was handed over.
   * @remedy Nothing: it is tried again.
   */
  | 'CONNECTION_CLOSED'
  /**
   * The server did not answer in time; the message was not handed over.
   * @remedy Nothing: it is tried again. If it persists, look at `timeouts`.
   */
  | 'TIMEOUT'
  /**
   * The server's answer is not SMTP.
   * @remedy Nothing: it is tried again. Check that it is a mail server.
   */
  | 'REPLY_INVALID'
  /**
   * A defect of threadpost or of a plugin.
   * @remedy Report it, with the stack from the log.
   */
  | 'INTERNAL_ERROR'

/** The transport failed, and any other message would have failed too: no attempt is counted. */
export type UnreachableCode =
  /**
   * The server could not be reached.
   * @remedy Run `threadpost doctor` to see why; mail is held and goes out by itself.
   */
  | 'CONNECTION_FAILED'
  /**
   * The server refused the password or the key, or takes no mail without a login.
   * @remedy Correct it: `reload({ transport })`, or a restart.
   */
  | 'AUTH_FAILED'
  /**
   * No secure connection: no STARTTLS, or an invalid certificate.
   * @remedy Correct the host or the certificate (`tls`); `requireTLS: false` only where the network is safe.
   */
  | 'TLS_FAILED'

/** No thread can take mail, and no message is the cause: no attempt is counted. */
export type SetupFailedCode =
  /**
   * Threads die again and again for a reason that no message caused: the setup module, or a connection it opened. Or `intercept`
   * fails for mail that was submitted in SQL: that mail is deferred.
   * @remedy Fix the cause that the log names; mail waits, and goes out by itself once threads stay alive.
   */
  'SETUP_FAILED'

/** The process that delivers has no such transport at the moment: no attempt is counted. */
export type UnavailableCode =
  /**
   * The process that delivers has no transport of that name: it was removed or not added yet, or `resolveTransport` failed.
   * @remedy Add the transport: its mail is held and goes out by itself then.
   */
  'TRANSPORT_UNAVAILABLE'

/** The mailer was closed first: no attempt is counted. */
export type ReleasedCode =
  /**
   * The mailer was closed before the message was handed over.
   * @remedy Nothing: a durable queue sends it after the next start.
   */
  'RELEASED'

/** Handed over without a reply: it may have been sent. */
export type UncertainCode =
  /**
   * The connection closed after the message was handed over, before the reply, or a gateway responded instead of the mail service (HTTP 502, 504).
   * @remedy Nothing, or with `onUncertain: 'hold'` call `retry(id)` or `markSent(id)`.
   */
  | 'REPLY_LOST'
  /**
   * The reply did not arrive in time.
   * @remedy As above.
   */
  | 'REPLY_TIMEOUT'
  /**
   * The reply is not SMTP.
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
   * The SQLite file is an older copy of itself, restored from a backup, and the message waits in it.
   * @remedy As above.
   */
  | 'QUEUE_RESTORED'
  /**
   * An internal error occurred after the message was handed over.
   * @remedy As above; and report it, with the stack from the log.
   */
  | 'INTERNAL_ERROR'

/** Not sent: it was cancelled or expired before its envelope was sent. */
export type WithdrawnCode =
  /**
   * `cancel(id)` was called in time.
   * @remedy Nothing.
   */
  | 'CANCELLED'
  /**
   * `expiresAt` or `maxAge` had passed.
   * @remedy Nothing.
   */
  | 'EXPIRED'

/** Not sent, because the template's `load` function said so. */
export type SkippedCode =
  /**
   * The template's `load` function returned `skip`, or a mail from SQL has the idempotency key of another message; the attempt's message is the reason.
   * @remedy Nothing.
   */
  'SKIPPED'

/**
 * The outcome of one attempt. A value, never a throw: Piscina keeps only the message of a thrown error.
 *
 * - `sent`: the server accepted the body for at least one recipient.
 * - `rejected`: certainly not sent, and another attempt won't help.
 * - `deferred`: certainly not sent, and another attempt may help.
 * - `uncertain`: the body was handed over and no reply arrived; it may have been sent.
 * - `withdrawn`: certainly not sent, because it was cancelled or expired before its envelope was sent, or skipped.
 */
export type Outcome = OutcomeFacts &
  (
    | { result: 'sent'; code: 'OK' }
    | { result: 'rejected'; code: RejectedCode; location?: SourceLocation; missing?: string[] }
    | {
        result: 'deferred'
        code: DeferredCode | UnreachableCode | SetupFailedCode | UnavailableCode | ReleasedCode
        /** Milliseconds that the server asked to wait before the next attempt. */
        retryAfter?: number
      }
    | { result: 'uncertain'; code: UncertainCode }
    | { result: 'withdrawn'; code: WithdrawnCode | SkippedCode }
  )

/** Whether the transport caused the outcome, so that it must not use up one of the message's attempts. */
export function isUnreachable(outcome: Outcome): boolean {
  return (
    outcome.code === 'CONNECTION_FAILED' || outcome.code === 'AUTH_FAILED' || outcome.code === 'TLS_FAILED'
  )
}

/** Whether no thread could take the message, for a reason outside the message. */
export const isSetupFailure = (outcome: Outcome): boolean => outcome.code === 'SETUP_FAILED'

/** Whether the process had no such transport at the moment. */
export const isTransportUnavailable = (outcome: Outcome): boolean => outcome.code === 'TRANSPORT_UNAVAILABLE'

/** Whether nothing could be tried, for a reason outside the message. */
export function isOutage(outcome: Outcome): boolean {
  return isUnreachable(outcome) || isSetupFailure(outcome) || isTransportUnavailable(outcome)
}

/** Whether the outcome uses up one of the message's attempts. */
export function countsAsAttempt(outcome: Outcome): boolean {
  return !isOutage(outcome) && outcome.result !== 'withdrawn' && outcome.code !== 'RELEASED'
}

/** The next status of a message after an attempt; see `decideRetry()` in src/delivery/retry.ts. */
export type RetryDecision =
  | { status: 'sent' | 'partial' | 'failed' | 'cancelled' | 'expired' }
  /** @property nextAttemptAt milliseconds since the epoch, here and below */
  | { status: 'deferred'; nextAttemptAt: number }
  /** Until an operator calls `retry()` or `markSent()`. */
  | { status: 'held'; reason: 'uncertain' }
  /** Until the transport or the threads are tried again, or the budget has room. The message is then due by itself. */
  | { status: 'held'; reason: 'breaker' | 'setup' | 'budget' | 'paused'; nextAttemptAt: number }

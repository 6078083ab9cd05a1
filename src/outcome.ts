import type { SourceLocation } from './errors.js'

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

/** The message needs what this server does not offer: SMTPUTF8 (RFC 6531), 8BITMIME (RFC 6152), or more room (RFC 1870). */
export type UnsupportedCode = 'SMTPUTF8_UNSUPPORTED' | '8BITMIME_UNSUPPORTED' | 'SIZE_EXCEEDED'
export type RejectedCode =
  | 'SMTP_REJECTED'
  | UnsupportedCode
  | 'TEMPLATE_ERROR'
  | 'MISSING_DATA'
  | 'UNKNOWN_TEMPLATE'
  | 'INVALID_MESSAGE'
  | 'POISON'
/** These say something of the message or its recipients. */
export type DeferredCode =
  'SMTP_DEFERRED' | 'CONNECTION_CLOSED' | 'TIMEOUT' | 'REPLY_INVALID' | 'INTERNAL_ERROR'
/** These say something of the transport, whichever message met it: no attempt is counted. */
export type UnreachableCode = 'CONNECTION_FAILED' | 'AUTH_FAILED' | 'TLS_FAILED'
/** The mailer was closed first: no attempt is counted. */
export type ReleasedCode = 'RELEASED'
export type UncertainCode =
  'REPLY_LOST' | 'REPLY_TIMEOUT' | 'REPLY_INVALID' | 'THREAD_DIED' | 'PROCESS_DIED' | 'INTERNAL_ERROR'
/** Somebody took the message back, or its time was over, before its envelope was sent. */
export type WithdrawnCode = 'CANCELLED' | 'EXPIRED'

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
        code: DeferredCode | UnreachableCode | ReleasedCode
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

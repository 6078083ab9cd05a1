import type { Outcome, RetryDecision } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'

export interface RetryOptions {
  /** Attempts before a message fails. Attempts that never reached a server don't count. @default 10 */
  attempts?: number
  /** Milliseconds before the second attempt. @default 5_000 */
  baseDelay?: number
  /** Factor by which each further delay grows. @default 4 */
  factor?: number
  /** Longest delay between two attempts, in milliseconds. @default 21_600_000 (6 hours) */
  maxDelay?: number
  /** `'full'`: a random time between zero and the delay, so that a thousand messages don't retry at once; `'none'`: exactly the delay. @default 'full' */
  jitter?: 'full' | 'none'
}

export type RetryPolicy = Required<RetryOptions>

/** The facts about a message that {@link decideRetry} needs after an attempt. */
export interface RetryContext {
  policy: RetryPolicy
  onUncertain: 'retry' | 'hold'
  /** Attempts that count, including this one if it does. */
  counted: number
  /** Attempts since the message was queued or last redriven, including this one. */
  tries: number
  /** Recipients accepted over all attempts. */
  sent: number
  /** Recipients refused permanently over all attempts. */
  failed: number
  /** Recipients without a final result. */
  open: number
}

export function resolveRetry(check: Validator, value: unknown): RetryPolicy {
  const retry = check.object(value, 'retry', ['attempts', 'baseDelay', 'factor', 'maxDelay', 'jitter'])
  return {
    attempts: check.integer(retry['attempts'] ?? 10, 'retry.attempts', 1),
    baseDelay: check.duration(retry['baseDelay'] ?? 5_000, 'retry.baseDelay'),
    factor: check.number(retry['factor'] ?? 4, 'retry.factor', 1, 1_000),
    maxDelay: check.duration(retry['maxDelay'] ?? 6 * 60 * 60 * 1000, 'retry.maxDelay'),
    jitter: check.oneOf(retry['jitter'] ?? 'full', 'retry.jitter', ['full', 'none']),
  }
}

/**
 * Decides whether a message is tried again, and when. No other code decides that. Pure: equal arguments give equal
 * decisions.
 *
 * A message whose recipients all have a final result is `sent`, `partial`, or `failed`. Open recipients wait for another
 * attempt, unless the attempts are used up (they then count as failed), or the outcome is uncertain and the message
 * is to be held. Expiry isn't decided here: the queue expires a message on time, no matter what it waits for, and the thread
 * checks it once more immediately before it sends the envelope.
 *
 * The delay after each attempt with the default policy; with full jitter, a random time from zero up to it:
 *
 *     after attempt   delay                     time since the first attempt
 *     1               5 s                        5 s
 *     2               20 s                       25 s
 *     3               1 min 20 s                 1 min 45 s
 *     4               5 min 20 s                 7 min 5 s
 *     5               21 min 20 s                28 min 25 s
 *     6               1 h 25 min 20 s            1 h 53 min 45 s
 *     7               5 h 41 min 20 s            7 h 35 min 5 s
 *     8               6 h (`maxDelay`)           13 h 35 min 5 s
 *     9               6 h                        19 h 35 min 5 s
 *     10              none: the message fails
 *
 * A server that names a delay (`Retry-After`) gets at least that, up to `maxDelay`.
 *
 * @param now milliseconds since the epoch
 * @param random a number from 0 up to, but not including, 1
 */
export function decideRetry(
  outcome: Outcome,
  context: RetryContext,
  now: number,
  random: number,
): RetryDecision {
  const { policy, sent, open } = context
  if (outcome.result === 'withdrawn') return { status: outcome.code === 'EXPIRED' ? 'expired' : 'cancelled' }
  if (open > 0 && outcome.result === 'uncertain' && context.onUncertain === 'hold')
    return { status: 'held', reason: 'uncertain' }
  if (open > 0 && outcome.result !== 'rejected' && context.counted < policy.attempts)
    return { status: 'deferred', nextAttemptAt: now + retryDelay(outcome, context, random) }
  const failed = context.failed + open
  return { status: failed === 0 ? 'sent' : sent === 0 ? 'failed' : 'partial' }
}

/** The longer of the backoff and the delay that the server asked for (RFC 9110 section 10.2.3), the latter cut to `maxDelay`. */
function retryDelay(outcome: Outcome, { policy, tries }: RetryContext, random: number): number {
  const requested = 'retryAfter' in outcome ? (outcome.retryAfter ?? 0) : 0
  return Math.max(Math.min(requested, policy.maxDelay), backoff(policy, tries, random))
}

/** Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", 2015). */
function backoff(policy: RetryPolicy, tries: number, random: number): number {
  const delay = Math.min(policy.maxDelay, policy.baseDelay * policy.factor ** (tries - 1))
  return Math.round(policy.jitter === 'full' ? delay * random : delay)
}

import type { Outcome, RetryDecision } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'

export interface RetryOptions {
  /** Attempts before a message is given up. Attempts that never reached a server don't count. @default 10 */
  attempts?: number
  /** Milliseconds before the second attempt. @default 5_000 */
  baseDelay?: number
  /** By how much each further delay is longer. @default 4 */
  factor?: number
  /** Milliseconds between two attempts at most. @default 21_600_000 (6 hours) */
  maxDelay?: number
  /** `'full'`: anywhere between nothing and the delay, so that a thousand messages don't come back at once; `'none'`: exactly the delay. @default 'full' */
  jitter?: 'full' | 'none'
}

export type RetryPolicy = Required<RetryOptions>

/** Where a message stands after an attempt. */
export interface RetryContext {
  policy: RetryPolicy
  onUncertain: 'retry' | 'hold'
  /** Attempts that count, this one included if it does. */
  counted: number
  /** Attempts since it was queued or last redriven, this one included. */
  tries: number
  /** Recipients over all attempts: accepted for good, refused for good, and still open. */
  sent: number
  failed: number
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
 * The one place that decides whether a message is tried again, and when. Pure: the same arguments give the same
 * verdict.
 *
 * A message whose recipients are all settled is `sent`, `partial` or `failed`. Open recipients wait for another
 * attempt, unless the attempts are used up (then they count as failed) or the outcome is uncertain and the message
 * is to be held. Expiry isn't decided here: the queue ends a message at its time, whatever it waits for, and the thread
 * does at the moment it would send it.
 *
 * @param now milliseconds since the epoch
 * @param random a number from 0 up to, but not including, 1
 */
export function decideRetry(
  outcome: Outcome,
  standing: RetryContext,
  now: number,
  random: number,
): RetryDecision {
  const { policy, sent, open } = standing
  if (outcome.result === 'withdrawn') return { status: outcome.code === 'EXPIRED' ? 'expired' : 'cancelled' }
  if (open > 0 && outcome.result === 'uncertain' && standing.onUncertain === 'hold')
    return { status: 'held', reason: 'uncertain' }
  if (open > 0 && outcome.result !== 'rejected' && standing.counted < policy.attempts)
    return { status: 'deferred', nextAttemptAt: now + delayOf(outcome, standing, random) }
  const failed = standing.failed + open
  return { status: failed === 0 ? 'sent' : sent === 0 ? 'failed' : 'partial' }
}

/** As long as the server asked for (RFC 9110 section 10.2.3), within the policy's limit; else, or if that is longer, the backoff. */
function delayOf(outcome: Outcome, { policy, tries }: RetryContext, random: number): number {
  const asked = 'retryAfter' in outcome ? (outcome.retryAfter ?? 0) : 0
  return Math.max(Math.min(asked, policy.maxDelay), backoff(policy, tries, random))
}

/** Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", 2015). */
function backoff(policy: RetryPolicy, tries: number, random: number): number {
  const delay = Math.min(policy.maxDelay, policy.baseDelay * policy.factor ** (tries - 1))
  return Math.round(policy.jitter === 'full' ? delay * random : delay)
}

import { ThreadpostError } from '../errors.js'
import type { Mailer } from '../mailer.js'
import { testHooksOf } from '../testHooks.js'
import { Validator } from '../validation.js'

const check: Validator = new Validator('INVALID_OPTIONS')

/**
 * Advances the clock of a mailer's queue. Deliveries in progress finish; each message that becomes due is delivered
 * at its time, with all retries of its policy, or expires; and breakers test their transports. Resolves when no
 * delivery is in progress. Timeouts and rate limits use the real clock.
 * @param ms milliseconds, at most ten years
 * @throws ThreadpostError `UNSUPPORTED` unless the queue is `'memory'`, because other processes may read the times of
 * others
 */
export async function advance(mailer: Mailer, ms: number): Promise<void> {
  const duration = check.duration(ms, 'ms')
  const moveClock = testHooksOf(mailer)?.advance
  if (moveClock === undefined)
    throw new ThreadpostError(
      'UNSUPPORTED',
      "queue: advance() requires queue: 'memory'; with other queues, use retry: { baseDelay: 0 } or mailer.retry(id)",
      { path: 'queue' },
    )
  await moveClock(duration)
}

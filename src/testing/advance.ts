import { ThreadpostError } from '../errors.js'
import type { Mailer } from '../mailer.js'
import { testHooksOf } from '../testHooks.js'
import { Validator } from '../validation.js'

const check: Validator = new Validator('INVALID_OPTIONS')

/**
 * Lets time pass for a mailer's messages without waiting for it: what is under way ends, each message that becomes due is
 * delivered at its time, again and again where its policy says so, or expires; a breaker tries its transport again.
 * Resolves when nothing is under way any more. Limits of time and budgets go by the real clock.
 * @param ms milliseconds, at most ten years
 * @throws ThreadpostError `UNSUPPORTED` where the queue isn't `'memory'`: another process may read its times
 */
export async function advance(mailer: Mailer, ms: number): Promise<void> {
  const passed = check.duration(ms, 'ms')
  const go = testHooksOf(mailer)?.advance
  if (go === undefined)
    throw new ThreadpostError(
      'UNSUPPORTED',
      "queue: time can be moved ahead with queue 'memory' only; with others use retry: { baseDelay: 0 }, or mailer.retry(id)",
      { path: 'queue' },
    )
  await go(passed)
}

import { MAX_CRASHES, outcomeAfterThreadDeath, poison } from './lost.js'
import type { Outcome } from '../wire/outcome.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'

/**
 * One attempt, and what it came to; never rejects. A thread that dies is no outcome: the message goes again at once, as
 * long as it certainly was not sent, in a thread of its own if it may have brought the first one down.
 */
export async function attempt(runner: Runner, order: DeliveryOrder): Promise<Outcome> {
  try {
    let alone = false
    for (let crashes = 0; crashes < MAX_CRASHES;) {
      const run = await runner.deliver(order, alone)
      if (!run.died) return run.outcome
      const known = outcomeAfterThreadDeath(run.evidence, order.recipients)
      if (known !== undefined) return known
      if (run.blame === 'closed')
        return notSent('RELEASED', 'The mailer was closed before the message was sent.')
      if (run.blame === 'guilty') crashes++
      alone ||= run.blame !== 'innocent'
    }
    return poison(`${MAX_CRASHES} threads ended while they worked on this message alone.`, 'rendering')
  } catch (error) {
    return notSent(
      'INTERNAL_ERROR',
      `An internal error: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** The message never reached a thread, for a reason that is ours. */
function notSent(code: 'RELEASED' | 'INTERNAL_ERROR', message: string): Outcome {
  return { result: 'deferred', code, message, phase: 'waiting', recipients: [], timings: {}, thread: 0 }
}

import type { Outcome } from '../protocol/outcome.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'
import { MAX_CRASHES, outcomeAfterThreadDeath, poison } from './crashRecovery.js'

/** Isolated threads that may die around a message before it is held; they are not counted against it. */
const MAX_DEATHS_OF_OTHERS = 3

/**
 * One attempt, and what it came to; never rejects. A thread that dies is no outcome: the message goes again at once, as
 * long as it certainly was not sent, in a thread of its own if it may have brought the first one down.
 */
export async function attempt(runner: Runner, order: DeliveryOrder): Promise<Outcome> {
  try {
    let alone = false
    let crashes = 0
    let deathsOfOthers = 0
    while (crashes < MAX_CRASHES) {
      if (deathsOfOthers >= MAX_DEATHS_OF_OTHERS)
        return notSent(
          'SETUP_FAILED',
          'Each thread it was given ended, for a reason that is not in the message.',
        )
      const run = await runner.deliver(order, alone)
      if (!run.died) return run.outcome
      const known = outcomeAfterThreadDeath(run.evidence, order.recipients)
      if (known !== undefined) return known
      if (run.blame === 'closed')
        return notSent('RELEASED', 'The mailer was closed before the message was sent.')
      if (run.blame === 'culprit') crashes++
      if (run.blame === 'bystander' && alone) deathsOfOthers++
      alone ||= run.blame !== 'bystander'
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
function notSent(code: 'RELEASED' | 'SETUP_FAILED' | 'INTERNAL_ERROR', message: string): Outcome {
  return { result: 'deferred', code, message, phase: 'waiting', recipients: [], timings: {}, thread: 0 }
}

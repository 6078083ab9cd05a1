import type { Evidence } from '../protocol/evidence.js'
import type { Outcome, RecipientOutcome, SmtpReply } from '../protocol/outcome.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'

/** Process deaths a message may be in before it is delivered with nothing beside it. */
export const MAX_SHARED_CRASHES = 2

/** After so many threads, or processes, lost to one message alone it is given up as `POISON`. */
const MAX_CRASHES = 3

/** What the board proves about a message whose thread died; undefined when it certainly was not sent. */
function outcomeAfterThreadDeath(evidence: Evidence, addresses: string[]): Outcome | undefined {
  return outcomeAfterDeath(evidence, addresses, 'THREAD_DIED', 'thread')
}

/**
 * What is known of a message whose process died; undefined when it certainly was not sent. After a few deaths in
 * company a message is delivered with nothing beside it; if the process dies then as well, time and again, it is
 * given up.
 * @param losses process deaths in a row, this one included
 */
export function outcomeAfterProcessDeath(
  evidence: Evidence | undefined,
  addresses: string[],
  losses: number,
): Outcome | undefined {
  const known = outcomeAfterDeath(
    evidence ?? { phase: 'body', thread: 0, reply: 0, recipients: [] },
    addresses,
    'PROCESS_DIED',
    'process',
  )
  if (known !== undefined || losses < MAX_SHARED_CRASHES + MAX_CRASHES) return known
  return poison(`The process ended ${MAX_CRASHES} times while it worked on this message alone.`, 'waiting')
}

function poison(message: string, phase: Outcome['phase']): Outcome {
  return { result: 'rejected', code: 'POISON', message, phase, recipients: [], timings: {}, thread: 0 }
}

function outcomeAfterDeath(
  { phase, thread, reply, recipients }: Evidence,
  addresses: string[],
  code: 'THREAD_DIED' | 'PROCESS_DIED',
  who: string,
): Outcome | undefined {
  const facts = { phase, thread, timings: {} }
  if (phase === 'body')
    return {
      ...facts,
      result: 'uncertain',
      code,
      message: `The message was handed over, but its ${who} ended before the reply; it may have been sent.`,
      recipients: [],
    }
  if (phase !== 'replied') return undefined
  const smtpReply: SmtpReply = { code: reply, text: `(the ${who} ended before it could pass on the text)` }
  const results = addresses.map((address, index): RecipientOutcome => ({
    address,
    result: recipients[index] ?? 'uncertain',
    reply: smtpReply,
  }))
  const message = `The server answered ${reply}; then the ${who} ended.`
  const common = { ...facts, message, reply: smtpReply, recipients: results }
  if (reply < 400) return { ...common, result: 'sent', code: 'OK' }
  if (reply < 500) return { ...common, result: 'deferred', code: 'SMTP_DEFERRED' }
  return { ...common, result: 'rejected', code: 'SMTP_REJECTED' }
}

/** Isolated threads that may die around a message before it is held; they are not counted against it. */
const MAX_DEATHS_OF_OTHERS = 3

/**
 * One attempt, and what it came to; never rejects. A thread that dies is no outcome: the message goes again at once, as
 * long as it certainly was not sent, in a thread of its own if it may have brought the first one down.
 */
export async function deliverUntilSettled(runner: Runner, order: DeliveryOrder): Promise<Outcome> {
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

import type { Logger } from '../logging/logger.js'
import type { SafeMode } from '../message/safeMode.js'
import type { Evidence } from '../protocol/evidence.js'
import { INTERNAL_ERROR_LOGGED, INTERNAL_ERROR_MESSAGE } from '../protocol/internalError.js'
import { type Outcome, type RecipientOutcome, type SmtpReply } from '../protocol/outcome.js'
import type { LoadReply } from '../protocol/tasks.js'
import { emptyFacts, setupFailure } from '../protocol/unsentOutcome.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'

/** Process crashes after which a message is delivered while no other is in progress. */
export const MAX_SHARED_CRASHES = 2

/** Crashes of threads, or of processes, caused by one message alone after which it fails as `POISON`. */
const MAX_CRASHES = 3

/** Isolated threads that may die around a message, for reasons outside it, before the message is held. */
const MAX_DEATHS_OF_OTHERS = 3

/**
 * Puts what a template's `load` function returned into the order, which is then delivered again.
 * @returns the outcome if the value can't be used
 */
export type LoadAcceptor = (order: DeliveryOrder, loaded: LoadReply) => Promise<Outcome | undefined>

/**
 * Delivers a message once, in as many threads as it takes; never rejects. The death of a thread is not an outcome: as
 * long as the message was certainly not sent, it is delivered again at once, in an isolated thread if it may have caused the crash.
 * @param accept called when the template's `load` function has run
 * @param logger receives the stack of an internal error; the outcome has one sentence for users
 */
export async function deliverUntilSettled(
  runner: Runner,
  order: DeliveryOrder,
  logger: Logger,
  accept: LoadAcceptor,
): Promise<Outcome> {
  try {
    let isolated = false
    let crashes = 0
    let deathsOfOthers = 0
    while (crashes < MAX_CRASHES) {
      const run = await runner.deliver(order, isolated)
      if (!run.died) {
        if ('outcome' in run) return run.outcome
        const refused = await accept(order, run.loaded)
        if (refused !== undefined) return refused
        continue
      }
      const known = outcomeAfterThreadDeath(run.evidence, order.recipients)
      if (known !== undefined) return known
      if (run.role === 'closed')
        return notSent('RELEASED', 'The mailer was closed before the message was sent.')
      if (run.role === 'culprit') crashes++
      if (run.role === 'bystander' && isolated) deathsOfOthers++
      if (deathsOfOthers >= MAX_DEATHS_OF_OTHERS) return setupFailure(run.reason)
      isolated ||= run.role !== 'bystander'
    }
    return poison(`${MAX_CRASHES} threads died while they worked on this message alone.`, 'rendering')
  } catch (error) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    logger.error({ id: order.payload.id, attempt: order.attempt, stack }, INTERNAL_ERROR_LOGGED)
    return notSent('INTERNAL_ERROR', INTERNAL_ERROR_MESSAGE)
  }
}

/** The message reached no thread, or was never sent by one. */
function notSent(code: 'RELEASED' | 'INTERNAL_ERROR', message: string): Outcome {
  return { result: 'deferred', code, message, ...emptyFacts() }
}

/** Returns what the phase board proves about a message whose thread died; undefined if it was certainly not sent. */
function outcomeAfterThreadDeath(evidence: Evidence, addresses: string[]): Outcome | undefined {
  return outcomeAfterDeath(evidence, addresses, 'THREAD_DIED', 'thread')
}

/**
 * Returns what is known about a message whose process died; undefined if it was certainly not sent. After
 * {@link MAX_SHARED_CRASHES} the message is delivered while no other is in progress. If the process still dies, three times in a
 * row, the message fails as `POISON`.
 * @param evidence the delivery journal's; without any the message may have been sent
 * @param crashes process deaths in a row, including this one
 */
export function outcomeAfterProcessDeath(
  evidence: Evidence | undefined,
  addresses: string[],
  crashes: number,
): Outcome | undefined {
  const known = outcomeAfterDeath(
    evidence ?? { phase: 'body', thread: 0, reply: 0, recipients: [] },
    addresses,
    'PROCESS_DIED',
    'process',
  )
  if (known !== undefined || crashes < MAX_SHARED_CRASHES + MAX_CRASHES) return known
  return poison(`The process died ${MAX_CRASHES} times while it worked on this message alone.`, 'waiting')
}

/** As {@link outcomeAfterProcessDeath}, for the recipients that the message has in safe mode. @param evidence `'restored'`: the queue is an older copy */
export function outcomeAfterLoss(
  open: string[],
  evidence: Evidence | 'restored' | undefined,
  crashes: number,
  safe: SafeMode | undefined,
): Outcome | undefined {
  const outcome =
    evidence === 'restored'
      ? outcomeAfterRestore()
      : outcomeAfterProcessDeath(evidence, safe?.envelope(open) ?? open, crashes)
  return outcome && (safe?.translate(outcome, open) ?? outcome)
}

/** The outcome of a message that waits in a restored copy of the queue: the queue itself may have sent it since. */
function outcomeAfterRestore(): Outcome {
  return {
    result: 'uncertain',
    code: 'QUEUE_RESTORED',
    message:
      'The queue is an older copy that was restored; the message may have been sent since the copy was made.',
    ...emptyFacts(),
  }
}

function poison(message: string, phase: Outcome['phase']): Outcome {
  return { result: 'rejected', code: 'POISON', message, ...emptyFacts(), phase }
}

function outcomeAfterDeath(
  { phase, thread, reply, recipients }: Evidence,
  addresses: string[],
  code: 'THREAD_DIED' | 'PROCESS_DIED',
  victim: 'thread' | 'process',
): Outcome | undefined {
  if (phase !== 'body' && phase !== 'replied') return undefined
  const facts = { phase, thread, timings: {} }
  const smtpReply: SmtpReply = { code: reply, text: `(the ${victim} died before it could pass on the text)` }
  const results = addresses.map((address, index): RecipientOutcome => {
    const result = recipients[index]
    if (result === undefined && phase === 'body') return { address, result: 'uncertain' }
    return { address, result: result ?? 'uncertain', reply: smtpReply }
  })
  // An earlier transaction of the message may have been answered: its recipients keep their results.
  if (phase === 'body')
    return {
      ...facts,
      result: 'uncertain',
      code,
      message: `The message was handed over, but its ${victim} died before the reply; it may have been sent.`,
      recipients: recipients.some((result) => result !== undefined) ? results : [],
    }
  const message = `The server answered ${reply}; then the ${victim} died.`
  const common = { ...facts, message, reply: smtpReply, recipients: results }
  if (reply < 400) return { ...common, result: 'sent', code: 'OK' }
  if (reply < 500) return { ...common, result: 'deferred', code: 'SMTP_DEFERRED' }
  return { ...common, result: 'rejected', code: 'SMTP_REJECTED' }
}

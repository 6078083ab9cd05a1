import type { Outcome, RecipientOutcome, SmtpReply } from '../protocol/outcome.js'
import type { Evidence } from '../protocol/phaseBoard.js'

/** Process deaths a message may be in before it is delivered with nothing beside it. */
export const MAX_LOSSES_BEFORE_ISOLATION = 2

/** After so many threads, or processes, lost to one message alone it is given up as `POISON`. */
export const MAX_CRASHES = 3

/** What the board proves about a message whose thread died; undefined when it certainly was not sent. */
export function outcomeAfterThreadDeath(evidence: Evidence, addresses: string[]): Outcome | undefined {
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
  if (known !== undefined || losses < MAX_LOSSES_BEFORE_ISOLATION + MAX_CRASHES) return known
  return poison(`The process ended ${MAX_CRASHES} times while it worked on this message alone.`, 'waiting')
}

export function poison(message: string, phase: Outcome['phase']): Outcome {
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

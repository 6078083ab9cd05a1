import { type Level, type Logger, SILENT } from './logger.js'
import type { QueuedMessage } from '../queue/driver.js'
import { type Attempt, isSettled, type Status } from '../message/record.js'
import type { Verdict } from '../delivery/retry.js'

const LEVEL_OF_END: Partial<Record<Status, Level>> = { partial: 'warn', failed: 'warn', expired: 'warn' }

/**
 * One line for each step of a message: `debug` for routine, `info` when it is settled, `warn` for trouble. A line that
 * the logger would not write costs nothing.
 */
export class StepLog {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  changed({ job, state }: QueuedMessage): void {
    if (this.#logger === SILENT) return
    const { status, attempts } = state
    if (isSettled(status)) {
      const last = attempts.at(-1)?.outcome
      this.#write(LEVEL_OF_END[status] ?? 'info', `The message is ${status}`, job, () => ({
        step: 'settled',
        attempt: attempts.length,
        status,
        ...(last === undefined ? {} : { outcome: last.result, code: last.code }),
        to: state.recipients.map(({ address }) => address),
        ms: (state.settledAt ?? Date.now()) - job.acceptedAt,
      }))
    } else if (status === 'queued') {
      const again = attempts.length > 0
      this.#write('debug', again ? 'The message is back in line' : 'The message is accepted', job, () => ({
        step: again ? 'redriven' : 'accepted',
        attempt: attempts.length,
        status,
        to: state.recipients.map(({ address }) => address),
      }))
    }
  }

  attempted(
    { job, state }: QueuedMessage,
    { start, end, thread, transport, outcome }: Attempt,
    verdict: Verdict,
  ): void {
    if (this.#logger === SILENT) return
    const routine = outcome.result === 'sent' || outcome.result === 'withdrawn' || outcome.code === 'RELEASED'
    this.#write(routine ? 'debug' : 'warn', outcome.message, job, () => ({
      step: 'attempt',
      attempt: state.attempts.length + 1,
      status: verdict.status,
      outcome: outcome.result,
      code: outcome.code,
      phase: outcome.phase,
      ...(outcome.reply === undefined ? {} : { reply: outcome.reply.code }),
      ...('nextAttemptAt' in verdict ? { nextAttemptAt: new Date(verdict.nextAttemptAt).toISOString() } : {}),
      thread,
      transport,
      ms: end - start,
    }))
  }

  #write(level: Level, message: string, job: QueuedMessage['job'], facts: () => object): void {
    const logger = this.#logger
    if (logger.isLevelEnabled?.(level) === false) return
    const { id, messageId, transport, content, context } = job
    const template = content.kind === 'template' ? { template: content.name } : {}
    const ids = { id, messageId, transport, ...template, ...(context === undefined ? {} : { context }) }
    logger[level]({ ...ids, ...facts() }, message)
  }
}

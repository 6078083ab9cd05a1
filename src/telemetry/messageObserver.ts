import { channel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { inContextOf } from '../context.js'
import { type Level, type Logger, SILENT } from '../logging/logger.js'
import type { Redaction } from '../logging/redaction.js'
import { hideSecrets } from '../logging/secrets.js'
import { type Attempt, isSettled, type Status } from '../message/messageState.js'
import { toMessage } from '../message/messageView.js'
import type { RetryDecision } from '../protocol/outcome.js'
import type { ChangeListener, QueuedMessage } from '../queue/driver.js'
import { type Events, type MessageEvent, messageEvent } from './events.js'
import type { Metrics } from './metrics.js'
import type { Tracing } from './tracing.js'
import type { Waiters } from './waiters.js'

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
    verdict: RetryDecision,
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

/** What the channel `threadpost:attempt` publishes. */
export interface AttemptReport {
  /** The message as it was before: `attempt` counts those that ended earlier. */
  message: MessageEvent
  attempt: Attempt
  verdict: RetryDecision
}

const messages = channel('threadpost:message')
const attempts = channel('threadpost:attempt')

/**
 * Tells of each step of a message whoever instruments this process: its log, its traces, and the subscribers of the
 * diagnostics channels `threadpost:message` (each change, as a {@link MessageEvent}) and `threadpost:attempt`.
 */
export class MessageObserver {
  readonly #log: StepLog
  readonly #tracing: Tracing
  readonly #redaction: Redaction

  constructor(log: StepLog, tracing: Tracing, redaction: Redaction) {
    this.#log = log
    this.#tracing = tracing
    this.#redaction = redaction
  }

  /** Runs something in the context of a message and as a part of its trace, whoever calls. */
  inside({ job }: QueuedMessage, run: () => void): void {
    inContextOf(job.context, () => this.#tracing.within(job, run))
  }

  changed(message: QueuedMessage): void {
    this.#log.changed(message)
    if (messages.hasSubscribers) messages.publish(this.#redaction.event(messageEvent(message)))
  }

  /** Never throws: what tells of an attempt must not change what came of it. */
  attempted(message: QueuedMessage, attempt: Attempt, verdict: RetryDecision): void {
    try {
      this.inside(message, () => this.#attempted(message, attempt, verdict))
    } catch (error) {
      process.emitWarning(
        `threadpost could not tell of an attempt: ${hideSecrets(inspect(error))}`,
        'ThreadpostWarning',
      )
    }
  }

  #attempted(message: QueuedMessage, attempt: Attempt, verdict: RetryDecision): void {
    this.#log.attempted(message, attempt, verdict)
    this.#tracing.attempted(message, attempt, verdict)
    if (!attempts.hasSubscribers) return
    const report: AttemptReport = {
      message: this.#redaction.event(messageEvent(message)),
      attempt: this.#redaction.attempt(attempt),
      verdict,
    }
    attempts.publish(report)
  }
}

/** Who is told of changes, and what of them is hidden. */
interface Audience {
  events: Events
  waiters: Waiters
  measures: Metrics
  redaction: Redaction
  steps: MessageObserver
}

/** Counts each change and tells log, listeners and waiters of it, once the queue has it. */
export function announceTo({ events, waiters, measures, redaction, steps }: Audience): ChangeListener {
  const tell = (message: QueuedMessage): void => {
    const { job, state } = message
    measures.changed(message)
    steps.changed(message)
    events.emit(state.status, () => redaction.event(messageEvent(message)))
    if (isSettled(state.status) && waiters.has(job.id))
      waiters.settled(redaction.message(toMessage(job, state)))
  }
  return (message) => steps.inside(message, () => tell(message))
}

import { channel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { inContextOf } from '../context.js'
import { type MessageEvent, messageEvent } from './events.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { Attempt } from '../message/record.js'
import type { Redaction } from './redaction.js'
import type { Verdict } from '../delivery/retry.js'
import { hideSecrets } from './secrets.js'
import type { StepLog } from './stepLog.js'
import type { Tracing } from './tracing.js'

/** What the channel `threadpost:attempt` publishes. */
export interface AttemptReport {
  /** The message as it was before: `attempt` counts those that ended earlier. */
  message: MessageEvent
  attempt: Attempt
  verdict: Verdict
}

const messages = channel('threadpost:message')
const attempts = channel('threadpost:attempt')

/**
 * Tells of each step of a message whoever instruments this process: its log, its traces, and the subscribers of the
 * diagnostics channels `threadpost:message` (each change, as a {@link MessageEvent}) and `threadpost:attempt`.
 */
export class Steps {
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
  attempted(message: QueuedMessage, attempt: Attempt, verdict: Verdict): void {
    try {
      this.inside(message, () => this.#attempted(message, attempt, verdict))
    } catch (error) {
      process.emitWarning(
        `threadpost could not tell of an attempt: ${hideSecrets(inspect(error))}`,
        'ThreadpostWarning',
      )
    }
  }

  #attempted(message: QueuedMessage, attempt: Attempt, verdict: Verdict): void {
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

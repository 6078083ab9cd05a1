import { channel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { inContextOf } from '../context.js'
import type { DeliveryChange, DeliveryState } from '../feedback/deliveryStates.js'
import { type Level, type Logger, SILENT } from '../logging/logger.js'
import type { Redaction } from '../logging/redaction.js'
import { hideSecrets } from '../logging/secrets.js'
import {
  type Attempt,
  isSettled,
  type RecipientState,
  type Status,
  type SuppressedRecipient,
} from '../message/messageState.js'
import { toMessage } from '../message/messageView.js'
import type { RetryDecision } from '../protocol/outcome.js'
import type { ChangeListener, QueuedMessage } from '../queue/driver.js'
import { attemptLine } from './attemptLine.js'
import { type Events, type MessageEvent, messageEvent } from './events.js'
import type { FigureCollector } from './figures.js'
import type { Instruments } from './instruments.js'
import type { Metrics, SettledStatus } from './metrics.js'
import type { Tracing } from './tracing.js'
import type { Waiters } from './waiters.js'

/** The message that the diagnostics channel `threadpost:attempt` publishes after each attempt. */
export interface AttemptReport {
  /** The message before the attempt: its `attempt` counts only the earlier ones. */
  message: MessageEvent
  attempt: Attempt
  /** The status that the attempt leads to, and when the next attempt is due if there is one. */
  verdict: RetryDecision
}

const messageChannel = channel('threadpost:message')
const attemptChannel = channel('threadpost:attempt')

interface Line {
  level: Level
  text: string
}

/** The log line of each status. `sending`, `deferred` and `held` have none: the line of the attempt covers them. */
const LINES: Readonly<Record<SettledStatus, Line>> & Partial<Record<Status, Line>> = {
  sent: { level: 'info', text: 'The message was sent' },
  partial: { level: 'warn', text: 'The message was sent to some of its recipients only' },
  failed: { level: 'warn', text: 'The message failed' },
  expired: { level: 'warn', text: 'The message expired' },
  cancelled: { level: 'info', text: 'The message was cancelled' },
}

interface MessageObserverOptions {
  logger: Logger
  tracing: Tracing
  instruments: Instruments
  redaction: Redaction
  metrics: Metrics
  figures: FigureCollector
  events: Events
  waiters: Waiters
}

/**
 * Reports each step of a message to everything that observes it:
 *
 * | observer                                    | a change of status  | an attempt |
 * | ------------------------------------------- | ------------------- | ---------- |
 * | metrics                                     | settlements         |            |
 * | figures, which the processes share          | settlements         | yes        |
 * | log (`debug` for routine, `warn` on trouble) | queued, settled     | yes        |
 * | traces                                      |                     | yes        |
 * | OpenTelemetry metrics                       | accepted, settled   | yes        |
 * | diagnostics channels (`threadpost:…`)       | `message`           | `attempt`  |
 * | the mailer's events                         | yes                 |            |
 * | callers of `wait()`                         | settlements         |            |
 *
 * Observers run in the caller's context (see `context`) and as part of the message's trace. A log line that the logger
 * would drop, and an event or report without a listener, is never built.
 */
export class MessageObserver {
  readonly #logger: Logger
  readonly #tracing: Tracing
  readonly #instruments: Instruments
  readonly #redaction: Redaction
  readonly #metrics: Metrics
  readonly #figures: FigureCollector
  readonly #events: Events
  readonly #waiters: Waiters

  constructor(options: MessageObserverOptions) {
    const { logger, tracing, instruments, redaction, metrics, figures, events, waiters } = options
    this.#logger = logger
    this.#tracing = tracing
    this.#instruments = instruments
    this.#redaction = redaction
    this.#metrics = metrics
    this.#figures = figures
    this.#events = events
    this.#waiters = waiters
  }

  /** The queue calls this after it has stored a change of status. */
  readonly changed: ChangeListener = (message) => this.#inContext(message, () => this.#changed(message))

  /** The dispatcher calls this after an attempt. Never throws: a report must not change the result of the attempt. */
  attempted(
    message: QueuedMessage,
    attempt: Attempt,
    decision: RetryDecision,
    recipients: readonly RecipientState[],
  ): void {
    try {
      this.#inContext(message, () => this.#attempted(message, attempt, decision, recipients))
    } catch (error) {
      warnOf('an attempt', error)
    }
  }

  /** The dispatcher calls this when it takes suppressed recipients out of a message. Never throws. */
  suppressed(message: QueuedMessage, recipients: readonly SuppressedRecipient[]): void {
    try {
      this.#inContext(message, () => this.#suppressed(message, recipients))
    } catch (error) {
      warnOf('a suppressed recipient', error)
    }
  }

  #suppressed(message: QueuedMessage, recipients: readonly SuppressedRecipient[]): void {
    for (const { address: recipient, ...suppression } of recipients) {
      if (this.#logger !== SILENT)
        this.#log('info', 'A recipient is suppressed: nothing is sent to it', message.job, () => ({
          step: 'suppressed',
          to: [recipient],
          ...suppression,
        }))
      this.#events.emit('suppressed', () =>
        this.#redaction.event({ ...messageEvent(message), recipient, suppression }),
      )
    }
  }

  #inContext({ job }: QueuedMessage, run: () => void): void {
    inContextOf(job.context, () => this.#tracing.within(job, run))
  }

  #changed(message: QueuedMessage): void {
    const { job, state, reported, elsewhere } = message
    if (reported !== undefined) this.#reported(message, reported.changes)
    // A follower hears of a settled message again when it was reported on.
    const again = elsewhere === true && state.recipients.some(({ delivery }) => delivery !== undefined)
    if (again || reported?.settled === false) {
      if (this.#waiters.has(job.id)) this.#waiters.changed(this.#redaction.message(toMessage(job, state)))
      return
    }
    this.#metrics.changed(message)
    this.#instruments.changed(message)
    this.#figures.changed(message)
    this.#logChange(message)
    if (messageChannel.hasSubscribers) messageChannel.publish(this.#redaction.event(messageEvent(message)))
    this.#events.emit(state.status, () => this.#redaction.event(messageEvent(message)))
    if (state.status === 'queued' && state.attempts.length === 0 && job.suppressed !== undefined)
      this.#suppressed(message, job.suppressed)
    if (isSettled(state.status) && this.#waiters.has(job.id))
      this.#waiters.changed(this.#redaction.message(toMessage(job, state)))
  }

  #reported(message: QueuedMessage, changes: readonly DeliveryChange[]): void {
    for (const { recipient, delivery } of changes) {
      const { state } = delivery
      this.#metrics.reported(message, state)
      this.#instruments.reported(message, state)
      this.#figures.reported(message, recipient, state)
      this.#tracing.reported(message, delivery)
      if (this.#logger !== SILENT)
        this.#log(
          TROUBLE.has(state) ? 'warn' : 'debug',
          `A recipient was reported as ${state}`,
          message.job,
          () => ({
            step: 'reported',
            to: [recipient],
            delivery,
          }),
        )
      this.#events.emit(state, () => this.#redaction.event({ ...messageEvent(message), recipient, delivery }))
    }
  }

  #attempted(
    message: QueuedMessage,
    attempt: Attempt,
    decision: RetryDecision,
    recipients: readonly RecipientState[],
  ): void {
    this.#figures.attempted(message, attempt, recipients)
    this.#logAttempt(message, attempt, decision)
    this.#tracing.attempted(message, attempt, decision)
    this.#instruments.attempted(message, attempt)
    if (!attemptChannel.hasSubscribers) return
    const report: AttemptReport = {
      message: this.#redaction.event(messageEvent(message)),
      attempt: this.#redaction.attempt(attempt),
      verdict: decision,
    }
    attemptChannel.publish(report)
  }

  #logChange({ job, state }: QueuedMessage): void {
    if (this.#logger === SILENT) return
    const { status, attempts, recipients } = state
    const line = LINES[status]
    if (line !== undefined) {
      const last = attempts.at(-1)?.outcome
      this.#log(line.level, line.text, job, () => ({
        step: 'settled',
        attempt: attempts.length,
        status,
        ...(last === undefined ? {} : { outcome: last.result, code: last.code }),
        to: recipients.map(({ address }) => address),
        ms: (state.settledAt ?? Date.now()) - job.acceptedAt,
      }))
    } else if (status === 'queued') {
      const again = attempts.length > 0
      this.#log('debug', again ? 'The message was requeued' : 'The message was accepted', job, () => ({
        step: again ? 'redriven' : 'accepted',
        attempt: attempts.length,
        status,
        to: recipients.map(({ address }) => address),
      }))
    }
  }

  #logAttempt(
    { job, state }: QueuedMessage,
    { start, end, thread, transport, outcome }: Attempt,
    decision: RetryDecision,
  ): void {
    if (this.#logger === SILENT) return
    const { result, code, phase, reply, message } = outcome
    const line = attemptLine(
      {
        ...{ outcome: result, code, phase, message, thread, transport, ms: end - start },
        ...(reply === undefined ? {} : { reply }),
      },
      state.attempts.length + 1,
      {
        status: decision.status,
        ...('nextAttemptAt' in decision
          ? { nextAttemptAt: new Date(decision.nextAttemptAt).toISOString() }
          : {}),
      },
    )
    this.#log(line.level, line.text, job, () => line.fields)
  }

  #log(level: Level, text: string, job: QueuedMessage['job'], fields: () => object): void {
    if (this.#logger.isLevelEnabled?.(level) === false) return
    const { id, messageId, transport, content, context } = job
    const template = content.kind === 'template' ? { template: content.name } : {}
    const ids = { id, messageId, transport, ...template, ...(context === undefined ? {} : { context }) }
    this.#logger[level]({ ...ids, ...fields() }, text)
  }
}

/** The states that are logged as warnings. */
const TROUBLE: ReadonlySet<DeliveryState> = new Set(['bounced', 'complained'])

function warnOf(what: string, error: unknown): void {
  process.emitWarning(
    `threadpost could not report ${what}: ${hideSecrets(inspect(error))}`,
    'ThreadpostWarning',
  )
}

import type { Clock } from '../clock.js'
import type { ProviderIndex } from '../feedback/providerIndex.js'
import type { Logger } from '../logging/logger.js'
import {
  type Attempt,
  type MailJob,
  mergeRecipients,
  type RecipientState,
  type Settlement,
} from '../message/messageState.js'
import {
  countsAsAttempt,
  isSetupFailure,
  isTransportUnavailable,
  isUnreachable,
  type Outcome,
  type RetryDecision,
} from '../protocol/outcome.js'
import { setupFailure, transportUnavailable } from '../protocol/unsentOutcome.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { MessageObserver } from '../telemetry/messageObserver.js'
import type { TransportRouter } from '../transports/transportRouter.js'
import { decideRetry, type RetryPolicy } from './retry.js'

export interface OutcomeHandlerOptions {
  clock: Clock
  policy: RetryPolicy
  router: TransportRouter
  logger: Logger
  observer: MessageObserver
  /** Milliseconds to hold a message that no thread could take. */
  setupDelay: () => number
  /** Notes the ids that providers give messages. @default none are noted */
  providerIndex?: ProviderIndex
  /** The version of a template in this process. */
  templateVersion?: ((template: string) => string | undefined) | undefined
}

/** Milliseconds after which a message is tried again whose thread did not have its transport. */
const UNAVAILABLE_DELAY = 2_000

/** Turns the outcome of an attempt into the settlement of its message. */
export class OutcomeHandler {
  readonly #options: OutcomeHandlerOptions
  /** Template versions that mails named and this process doesn't have; each is logged once. */
  readonly #otherVersions = new Set<string>()

  constructor(options: OutcomeHandlerOptions) {
    this.#options = options
  }

  /** @param start when the attempt began, in ms since the epoch */
  settle(
    message: QueuedMessage,
    outcome: Outcome,
    start: number,
    transport = message.job.transport,
  ): Settlement {
    const { job, state } = message
    // Its process died while sending it: what was stored of it stays, until a person decides.
    if (state.sealed !== undefined)
      return { decision: { status: 'held', reason: 'uncertain' }, recipients: [] }
    const { clock, router, observer, setupDelay } = this.#options
    const counted = countsAsAttempt(outcome)
    const end = clock.now()
    const recipients = mergeRecipients(state.recipients, outcome)
    const decision: RetryDecision = isTransportUnavailable(outcome)
      ? holdUntil('paused', end + UNAVAILABLE_DELAY)
      : isUnreachable(outcome)
        ? holdUntil('breaker', end + router.delay(job.transport))
        : isSetupFailure(outcome)
          ? holdUntil('setup', end + setupDelay())
          : this.#decide(message, outcome, recipients, end)
    this.#logOtherVersion(job, outcome)
    const { subject } = outcome
    delete outcome.subject
    const attempt: Attempt = { start, end, thread: outcome.thread, transport, counted, outcome }
    observer.attempted(message, attempt, decision, recipients)
    this.#options.providerIndex?.attempted(job, outcome)
    return { attempt, decision, recipients, ...(subject === undefined ? {} : { subject }) }
  }

  /**
   * Holds a message that no thread can take at the moment. The attempt keeps the reason for users; nobody else hears of it,
   * because the log, the alert and the statistics report the outage itself.
   */
  holdForSetup({ job, state }: QueuedMessage, reason: string): Settlement {
    const { clock, setupDelay } = this.#options
    const outcome = setupFailure(reason)
    const now = clock.now()
    const attempt: Attempt = {
      start: now,
      end: now,
      thread: outcome.thread,
      transport: job.transport,
      counted: false,
      outcome,
    }
    return { attempt, decision: holdUntil('setup', now + setupDelay()), recipients: state.recipients }
  }

  /**
   * Holds a message whose transport is not there at the moment. The attempt keeps the reason for users; nothing was tried.
   * @param delay milliseconds until it is due again, unless the transport is added before
   */
  holdWithoutTransport({ job, state }: QueuedMessage, reason: string, delay: number): Settlement {
    const now = this.#options.clock.now()
    const outcome = transportUnavailable(reason)
    const { thread } = outcome
    const attempt = { start: now, end: now, thread, transport: job.transport, counted: false, outcome }
    return { attempt, decision: holdUntil('paused', now + delay), recipients: state.recipients }
  }

  #decide(
    { job, state }: QueuedMessage,
    outcome: Outcome,
    recipients: RecipientState[],
    now: number,
  ): RetryDecision {
    const context = {
      policy: this.#options.policy,
      onUncertain: job.onUncertain,
      counted: state.counted + (countsAsAttempt(outcome) ? 1 : 0),
      tries: state.counted + 1,
      sent: 0,
      failed: 0,
      open: 0,
    }
    for (const { status } of recipients) {
      if (status === 'sent') context.sent++
      else if (status === 'failed') context.failed++
      else context.open++
    }
    return decideRetry(outcome, context, now, Math.random())
  }

  /** Mail is rendered with this process's template. A different version named by the sender is logged once. */
  #logOtherVersion({ id, content, templateVersion: meant }: MailJob, { result }: Outcome): void {
    if (meant === undefined || content.kind !== 'template' || result === 'withdrawn') return
    const here = this.#options.templateVersion?.(content.name)
    if (here === undefined || here === meant || this.#otherVersions.has(meant)) return
    this.#otherVersions.add(meant)
    this.#options.logger.warn(
      { id, template: content.name, meant, here },
      'A mail was rendered with another version of its template than the one that the sender knew',
    )
  }
}

/** The settlement of a message that was not tried. @param until when it is due again, in ms since the epoch */
export function held(
  { state: { recipients } }: QueuedMessage,
  reason: 'breaker' | 'budget' | 'paused',
  until: number,
): Settlement {
  return { decision: holdUntil(reason, until), recipients }
}

/** Nothing was tried, or no server was reached: the message is due again by itself at `until`, in ms since the epoch. */
function holdUntil(reason: 'breaker' | 'setup' | 'budget' | 'paused', until: number): RetryDecision {
  return { status: 'held', reason, nextAttemptAt: Math.ceil(until) }
}

import type { Dispatcher } from './delivery/dispatcher.js'
import type { Inbox } from './inbox/inbox.js'
import type { Redaction } from './logging/redaction.js'
import type { Intake } from './message/intake.js'
import type { ValidationContext } from './message/toJob.js'
import type { QueueDriver, QueueStats } from './queue/driver.js'
import type { AlertMonitor } from './telemetry/alertMonitor.js'
import type { Events } from './telemetry/events.js'
import type { EventLoopDelay } from './telemetry/loopDelay.js'
import type { MessageMeasures, Metrics } from './telemetry/metrics.js'
import type { Waiters } from './telemetry/waiters.js'
import type { TemplateManager } from './templates/templateCatalog.js'
import type { Outage } from './threads/crashLoop.js'
import type { PhaseCounts, Runner, ThreadStatus } from './threads/runner.js'
import type { TransportStatus } from './transports/breaker.js'
import type { TransportManager } from './transports/transportManager.js'

/** Why mail is held with the reason `setup`: threads die again and again, and no message is to blame. */
export interface SetupStatus {
  /** ISO 8601. */
  since: string
  /** What the last thread died of, for people. */
  message: string
  /** Threads that died in a row. */
  deaths: number
  /** When threads are started again: ISO 8601. The delay doubles each time, up to a minute. */
  retryAt: string
}

/** How a mailer fares: its queue at this moment, its threads, and what this process has counted. */
export interface MailerStats extends QueueStats, MessageMeasures {
  threads: ThreadStatus[]
  /** How far all deliveries and renders under way have got; those that no thread has taken up are `waiting`. */
  phases: PhaseCounts
  transports: TransportStatus[]
  /** Absent while threads live. */
  setup?: SetupStatus
  /** Whether mail goes to those allowed only, and else to where it is redirected. */
  safeMode: boolean
  /** Of the main thread, in the last 5 to 10 s; watched from the first call of `stats()` on. */
  eventLoop: EventLoopDelay
}

/**
 * What {@link createMailer} put together.
 * @internal
 */
export interface MailerParts {
  validation: ValidationContext
  intake: Intake
  templates: TemplateManager
  events: Events
  metrics: Metrics
  redaction: Redaction
  waiters: Waiters
  runner: Runner
  queue: QueueDriver
  /** Whether mail is taken in. */
  accepts: boolean
  dispatcher: Dispatcher
  transports: TransportManager
  alertMonitor?: AlertMonitor
  inbox?: Inbox
}

/** How the mailer fares at this moment. */
export async function statsOf(
  { queue, runner, dispatcher, metrics, validation }: MailerParts,
  eventLoop: EventLoopDelay,
): Promise<MailerStats> {
  return {
    ...(await queue.stats()),
    ...metrics.snapshot(),
    threads: runner.threads(),
    phases: runner.phases(),
    transports: dispatcher.transports(),
    ...(runner.outage === undefined ? {} : { setup: setupStatus(runner.outage) }),
    safeMode: validation.options.safeMode !== undefined,
    eventLoop,
  }
}

function setupStatus({ since, reason, deaths, retryAt }: Outage): SetupStatus {
  return {
    since: new Date(since).toISOString(),
    message: reason,
    deaths,
    retryAt: new Date(retryAt).toISOString(),
  }
}

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

/** Why mail is held with the reason `setup`: worker threads crash repeatedly, and no message causes it. */
export interface SetupStatus {
  /** When the outage began: ISO 8601. */
  since: string
  /** Why the last thread crashed, as one sentence. */
  message: string
  /** Number of consecutive crashes. */
  deaths: number
  /** When the next thread is started: ISO 8601. The delay doubles each time, up to a minute. */
  retryAt: string
}

/** Statistics of a mailer: the current state of its queue and threads, and the counts of this process. */
export interface MailerStats extends QueueStats, MessageMeasures {
  threads: ThreadStatus[]
  /** Number of deliveries and renders in each phase; those that no thread has started are `waiting`. */
  phases: PhaseCounts
  transports: TransportStatus[]
  /** Absent unless worker threads crash repeatedly. */
  setup?: SetupStatus
  /** Whether safe mode is on: mail to recipients that are not allowed is redirected. */
  safeMode: boolean
  /** Event loop delay of the main thread in the last 5 to 10 s, measured from the first call of `stats()`. */
  eventLoop: EventLoopDelay
}

/**
 * The parts of a mailer, assembled by {@link createMailer}.
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
  /** Whether the mailer accepts mail. */
  accepts: boolean
  dispatcher: Dispatcher
  transports: TransportManager
  alertMonitor?: AlertMonitor
  inbox?: Inbox
}

/**
 * Collects the statistics.
 * @internal
 */
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

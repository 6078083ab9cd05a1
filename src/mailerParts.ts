import { hostname } from 'node:os'
import type { Archive } from './delivery/archive.js'
import type { Dispatcher } from './delivery/dispatcher.js'
import { ThreadpostError } from './errors.js'
import type { Feedback } from './feedback/feedback.js'
import type { Inbox } from './inbox/inbox.js'
import type { Redaction } from './logging/redaction.js'
import type { Acceptance } from './message/acceptance.js'
import type { ValidationContext } from './message/toJob.js'
import type { ArchiveStatus } from './protocol/archiveCell.js'
import type { QueueDriver, QueueStats } from './queue/driver.js'
import type { Scheduler } from './schedules/scheduler.js'
import { settleAll } from './settleAll.js'
import type { SuppressionLookup } from './suppressions/suppressionLookup.js'
import type { Suppressions } from './suppressions/suppressions.js'
import type { ProcessStatus, SetupStatus } from './telemetry/activity.js'
import type { ActivityReporter } from './telemetry/activityReporter.js'
import type { AlertMonitor } from './telemetry/alertMonitor.js'
import type { Events } from './telemetry/events.js'
import type { Instruments } from './telemetry/instruments.js'
import type { EventLoopDelay, LoopDelay } from './telemetry/loopDelay.js'
import type { MessageMeasures, Metrics } from './telemetry/metrics.js'
import type { Waiters } from './telemetry/waiters.js'
import type { TemplateManager } from './templates/templateCatalog.js'
import type { Outage } from './threads/crashLoop.js'
import type { PhaseCounts, Runner, ThreadStatus } from './threads/runner.js'
import type { TransportStatus } from './transports/breaker.js'
import type { ReloadOptions, TransportManager } from './transports/transportManager.js'
import type { TransportSettings } from './transports/transportSettings.js'
import { MAX_TIMER, Validator } from './validation.js'
import { ownVersion } from './version.js'
import type { WebhookMeasures } from './webhooks/webhookStatus.js'
import type { Webhooks } from './webhooks/webhooks.js'

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
  /** The webhooks. */
  webhooks: WebhookMeasures[]
  /** Absent without the option `archive`. */
  archive?: ArchiveStatus
  /** Event loop delay of the main thread in the last 5 to 10 s, measured from the first call of `stats()`. */
  eventLoop: EventLoopDelay
}

/**
 * The parts of a mailer, assembled by {@link createMailer}.
 * @internal
 */
export interface MailerParts {
  validation: ValidationContext
  acceptance: Acceptance
  templates: TemplateManager
  events: Events
  metrics: Metrics
  instruments: Instruments
  activity: ActivityReporter
  loopDelay: LoopDelay
  redaction: Redaction
  waiters: Waiters
  runner: Runner
  queue: QueueDriver
  /** Whether the mailer accepts mail. */
  accepts: boolean
  dispatcher: Dispatcher
  transports: TransportManager
  settings: TransportSettings
  suppressions: Suppressions
  /** Takes in delivery reports; loaded with the first one. */
  feedback: () => Promise<Feedback>
  suppressionLookup: SuppressionLookup
  scheduler: Scheduler
  alertMonitor?: AlertMonitor
  webhooks: Webhooks | undefined
  /** Present if the mailer delivers and has the option. */
  archive: Archive | undefined
  /** The folder of the option `archive`. */
  archiveDir: string | undefined
  inbox?: Inbox
}

/**
 * Collects the statistics.
 * @internal
 */
export async function statsOf({
  queue,
  runner,
  dispatcher,
  metrics,
  validation,
  loopDelay,
  webhooks,
  archive,
}: MailerParts): Promise<MailerStats> {
  return {
    ...(await queue.stats()),
    ...metrics.snapshot(),
    threads: runner.threads(),
    phases: runner.phases(),
    transports: dispatcher.transports.statuses(),
    ...(runner.outage === undefined ? {} : { setup: setupStatus(runner.outage) }),
    safeMode: validation.options.safeMode !== undefined,
    webhooks: webhooks?.measures() ?? [],
    ...(archive === undefined ? {} : { archive: archive.status() }),
    eventLoop: loopDelay.read(),
  }
}

/**
 * Describes this process to the others on the queue.
 * @internal
 */
export function processStatus(
  {
    runner,
    dispatcher,
    metrics,
    validation,
    alertMonitor,
  }: Pick<MailerParts, 'runner' | 'dispatcher' | 'metrics' | 'validation'> & {
    alertMonitor: AlertMonitor | undefined
  },
  id: string,
  role: ProcessStatus['role'],
): ProcessStatus {
  return {
    id,
    host: hostname(),
    pid: process.pid,
    version: ownVersion(),
    node: process.version,
    role,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    threads: runner.threads(),
    phases: runner.phases(),
    transports: dispatcher.transports.statuses(),
    threadRestarts: metrics.threadRestarts,
    safeMode: validation.options.safeMode !== undefined,
    ...(runner.outage === undefined ? {} : { setup: setupStatus(runner.outage) }),
    alerts: alertMonitor?.raised ?? [],
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

const check: Validator = new Validator('INVALID_OPTIONS')

/** Options of `pause()` and `resume()`. */
export interface PauseOptions {
  /** Name of a transport: only its messages are held. @default the whole queue */
  transport?: string
  /** Name of the operator, for the audit log. @default none */
  by?: string
}

/**
 * Pauses or resumes the queue, or a transport, and records that in the audit log.
 * @internal
 */
export async function setPaused(
  { queue, settings }: MailerParts,
  paused: boolean,
  options: PauseOptions,
): Promise<void> {
  // A misspelled name of the transport must not pause the whole queue.
  check.object(options, '', ['transport', 'by'])
  const { transport, by } = options
  if (transport !== undefined) return settings.pause(transport, paused, by)
  await (paused ? queue.pause() : queue.resume())
  // The pause is what matters: the log must not undo it.
  await settings.auditLog
    .add({ by, action: paused ? 'paused the queue' : 'resumed the queue' })
    .catch(() => undefined)
}

/**
 * @throws ThreadpostError `UNSUPPORTED` if the mailer accepts no mail
 * @internal
 */
export function acceptanceOf({ accepts, acceptance }: MailerParts): Acceptance {
  if (accepts) return acceptance
  throw new ThreadpostError('UNSUPPORTED', "A mailer with role 'deliver' accepts no mail; use another one")
}

/**
 * Reloads transports or templates.
 * @internal
 */
export function reloadParts(parts: MailerParts, options: ReloadOptions): Promise<void> {
  const { templates, ...others } = options
  if (templates === undefined) return parts.transports.reload(options)
  if (Object.keys(others).length > 0)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'templates: reload transports and templates in separate calls',
      { path: 'templates' },
    )
  return parts.templates.reload(templates)
}

/** @throws ThreadpostError `INVALID_OPTIONS` */
export function checkDeadline(deadline: unknown): void {
  check.number(deadline, 'deadline', 0)
}

/**
 * Ends everything in order: the queue hands out no more messages, deliveries end, and what remains is stored.
 * @param deadline ms for deliveries in progress
 * @internal
 */
export function closeParts(parts: MailerParts, deadline: number): Promise<void> {
  const { activity, alertMonitor, dispatcher, inbox, loopDelay, queue, runner, settings, waiters } = parts
  settings.close()
  parts.suppressionLookup.close()
  loopDelay.close()
  parts.instruments.close()
  return settleAll([
    () => alertMonitor?.close(),
    () => parts.scheduler.close(),
    () => queue.drain(Math.min(deadline, MAX_TIMER)),
    () => dispatcher.close(),
    () => runner.close(),
    () => parts.archive?.close(),
    () => activity.close(),
    () => parts.webhooks?.close(deadline),
    () => queue.close(),
    () => waiters.close(),
    () => inbox?.close(),
  ])
}

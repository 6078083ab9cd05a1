import type { Logger } from '../logging/logger.js'
import type { ArchiveStatus } from '../protocol/archiveCell.js'
import type { QueueStats } from '../queue/driver.js'
import type { TransportStatus } from '../transports/breaker.js'
import { AlertEvaluator } from './alertEvaluator.js'
import { AlertWebhook } from './alertWebhook.js'
import type {
  Alert,
  AlertPlan,
  AlertReading,
  ClearedAlert,
  ReportedShare,
  SetupReading,
  WebhookReading,
} from './alerts.js'
import type { MessageMeasures, SettledStatus } from './metrics.js'

/** The statuses that the rule `failures` counts as failed; a cancelled message does not count at all. */
const NOT_FULLY_SENT: ReadonlySet<SettledStatus> = new Set(['partial', 'failed', 'expired'] as const)
const SETTLED_BY_SENDING: ReadonlySet<SettledStatus> = new Set(['sent', ...NOT_FULLY_SENT] as const)

/** Milliseconds between two readings of what was reported, which are of 24 hours. */
const REPORTS_EVERY = 60_000

/** The parts of a mailer that the rules read. */
export interface AlertMonitorSources {
  queue: { stats(): Promise<QueueStats> }
  metrics: { snapshot(): MessageMeasures }
  transports: () => TransportStatus[]
  /** Returns why no worker thread accepts mail, if that is so. */
  setup: () => SetupReading | undefined
  /** Reads what was sent and reported within the last 24 hours. Called once a minute at most. */
  reported: () => Promise<ReportedShare[]>
  /** The webhooks that don't get their events. @default none */
  webhooks?: (() => WebhookReading[]) | undefined
  /** The state of the archive. @default there is none */
  archive?: (() => ArchiveStatus) | undefined
  /** Maximum number of messages that are not settled (`limits.queue`). */
  capacity: number
}

export interface AlertMonitorListener {
  raised(alert: Alert): void
  cleared(alert: ClearedAlert): void
}

/** Evaluates the alert rules at a fixed interval. Logs, emits and posts each alert when it is raised and when it is cleared. */
export class AlertMonitor {
  readonly #sources: AlertMonitorSources
  readonly #listener: AlertMonitorListener
  readonly #logger: Logger
  readonly #evaluator: AlertEvaluator
  readonly #webhook: AlertWebhook | undefined
  readonly #timer: NodeJS.Timeout
  readonly #readsReports: boolean
  #reported: readonly ReportedShare[] = []
  #reportedAt = -Infinity
  #evaluating = false
  #closed = false

  constructor(plan: AlertPlan, sources: AlertMonitorSources, listener: AlertMonitorListener, logger: Logger) {
    this.#sources = sources
    this.#listener = listener
    this.#logger = logger
    this.#evaluator = new AlertEvaluator(plan)
    this.#readsReports = plan.bounces !== undefined || plan.complaints !== undefined
    if (plan.webhook !== undefined) this.#webhook = new AlertWebhook(plan.webhook, logger)
    this.#timer = setInterval(() => void this.#evaluate(), plan.interval).unref()
    void this.#evaluate()
  }

  /** The alerts that are raised at present. */
  get raised(): Alert[] {
    return this.#evaluator.raised
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#webhook?.close()
  }

  async #evaluate(): Promise<void> {
    if (this.#evaluating) return
    this.#evaluating = true
    const reading = await this.#read().catch(() => undefined)
    this.#evaluating = false
    // The queue reports its own failures. An evaluation that was in progress when the monitor closed has no effect.
    if (reading === undefined || this.#closed) return
    const { raised, cleared } = this.#evaluator.evaluate(reading)
    for (const alert of raised) {
      this.#logger.warn({ ...alert }, `Alert: ${alert.message}`)
      this.#listener.raised(alert)
      this.#webhook?.send('threadpost.alert', alert)
    }
    for (const alert of cleared) {
      this.#logger.info({ ...alert }, `Alert cleared: ${alert.rule}`)
      this.#listener.cleared(alert)
      this.#webhook?.send('threadpost.alert-cleared', alert)
    }
  }

  async #read(): Promise<AlertReading> {
    const { queue, metrics, transports, setup: outageOf, capacity, webhooks, archive } = this.#sources
    const setup = outageOf()
    const archived = archive?.()
    const { queued, sending, deferred, held, oldest } = await queue.stats()
    const { settled, threadRestarts } = metrics.snapshot()
    const count = (counts: ReadonlySet<SettledStatus>): number =>
      settled.reduce((sum, entry) => (counts.has(entry.status) ? sum + entry.count : sum), 0)
    return {
      at: Date.now(),
      settled: count(SETTLED_BY_SENDING),
      failed: count(NOT_FULLY_SENT),
      threadDeaths: threadRestarts,
      oldest,
      waiting: queued + sending + deferred + held,
      capacity,
      reported: await this.#readReported(),
      webhooks: webhooks?.() ?? [],
      ...(setup === undefined ? {} : { setup: { since: setup.since, reason: setup.reason } }),
      ...(archived?.failingSince === undefined
        ? {}
        : { archive: { since: Date.parse(archived.failingSince), failed: archived.failed } }),
      open: transports().flatMap(({ transport, breaker, since }) =>
        breaker === 'open' && since !== undefined ? [{ transport, since: Date.parse(since) }] : [],
      ),
    }
  }

  async #readReported(): Promise<readonly ReportedShare[]> {
    const now = performance.now()
    if (this.#readsReports && now - this.#reportedAt >= REPORTS_EVERY) {
      this.#reported = await this.#sources.reported()
      this.#reportedAt = now
    }
    return this.#reported
  }
}

import type { Logger } from '../logging/logger.js'
import type { QueueStats } from '../queue/driver.js'
import type { TransportStatus } from '../transports/breaker.js'
import {
  AlertEvaluator,
  type Alert,
  type AlertPlan,
  type ClearedAlert,
  type AlertReading,
  type SetupReading,
} from './alerts.js'
import type { MessageMeasures } from './metrics.js'
import { Webhook } from './webhook.js'

/** What is looked at. */
export interface AlertMonitorSources {
  queue: { stats(): Promise<QueueStats> }
  metrics: { snapshot(): MessageMeasures }
  transports: () => TransportStatus[]
  /** Why no thread takes mail, if none does. */
  setup: () => SetupReading | undefined
  /** Messages not settled, at most. */
  capacity: number
}

export interface AlertMonitorListener {
  raised(alert: Alert): void
  cleared(alert: ClearedAlert): void
}

/** Looks at a mailer every few seconds and tells when something is wrong, and when it is over. */
export class AlertMonitor {
  readonly #sources: AlertMonitorSources
  readonly #listener: AlertMonitorListener
  readonly #logger: Logger
  readonly #alarms: AlertEvaluator
  readonly #webhook: Webhook | undefined
  readonly #timer: NodeJS.Timeout
  #looking = false
  #closed = false

  constructor(plan: AlertPlan, sources: AlertMonitorSources, listener: AlertMonitorListener, logger: Logger) {
    this.#sources = sources
    this.#listener = listener
    this.#logger = logger
    this.#alarms = new AlertEvaluator(plan)
    if (plan.webhook !== undefined) this.#webhook = new Webhook(plan.webhook, logger)
    this.#timer = setInterval(() => void this.#look(), plan.interval).unref()
    void this.#look()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#webhook?.close()
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const reading = await this.#read().catch(() => undefined)
    this.#looking = false
    // A queue that can't be asked just now says so itself. A look that was under way at the close tells nobody.
    if (reading === undefined || this.#closed) return
    const { raised, cleared } = this.#alarms.evaluate(reading)
    for (const alert of raised) {
      this.#logger.warn({ ...alert }, `Alert: ${alert.message}`)
      this.#listener.raised(alert)
      this.#webhook?.send('threadpost.alert', alert)
    }
    for (const alert of cleared) {
      this.#logger.info({ ...alert }, `The alert is over: ${alert.rule}`)
      this.#listener.cleared(alert)
      this.#webhook?.send('threadpost.alert-cleared', alert)
    }
  }

  async #read(): Promise<AlertReading> {
    const { queue, metrics, transports, setup: outage, capacity } = this.#sources
    const setup = outage()
    const { queued, sending, deferred, held, oldest } = await queue.stats()
    const { settled, threadRestarts } = metrics.snapshot()
    const count = (statuses: readonly string[]): number =>
      settled.filter(({ status }) => statuses.includes(status)).reduce((sum, one) => sum + one.count, 0)
    return {
      at: Date.now(),
      settled: count(['sent', 'partial', 'failed', 'expired']),
      failed: count(['partial', 'failed', 'expired']),
      threadDeaths: threadRestarts,
      oldest,
      waiting: queued + sending + deferred + held,
      capacity,
      ...(setup === undefined ? {} : { setup: { since: setup.since, reason: setup.reason } }),
      open: transports().flatMap(({ transport, breaker, since }) =>
        breaker === 'open' && since !== undefined ? [{ transport, since: Date.parse(since) }] : [],
      ),
    }
  }
}

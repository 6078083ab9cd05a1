import type { MailerParts } from '../mailerParts.js'
import type { QueueDriver } from '../queue/driver.js'
import {
  type Activity,
  type GroupFigures,
  type HistoryPoint,
  readActivity,
  readGroups,
  readHistory,
} from './activity.js'
import type { ActivityReporter } from './activityReporter.js'
import type { AuditEntry, AuditLog } from './auditLog.js'
import type { LoopDelay } from './loopDelay.js'

/**
 * The figures of a queue and of all processes on it, whichever of them did the work. They are kept for 24 hours, in the queue:
 * a durable queue keeps them over a restart. Reached as `mailer.monitoring`.
 */
export class Monitoring {
  readonly #queue: QueueDriver
  readonly #reporter: ActivityReporter
  readonly #loopDelay: LoopDelay
  readonly #auditLog: AuditLog
  readonly #assertOpen: () => void

  /** @internal */
  constructor(
    {
      queue,
      activity,
      loopDelay,
      settings,
    }: Pick<MailerParts, 'queue' | 'activity' | 'loopDelay' | 'settings'>,
    assertOpen: () => void,
  ) {
    this.#queue = queue
    this.#reporter = activity
    this.#loopDelay = loopDelay
    this.#auditLog = settings.auditLog
    this.#assertOpen = assertOpen
  }

  /**
   * Returns the present state of the queue and of all processes on it, with the figures of the last minutes and the last day.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async activity(): Promise<Activity> {
    this.#assertOpen()
    this.#loopDelay.read()
    await this.#reporter.report()
    return readActivity(this.#queue, Date.now())
  }

  /**
   * Returns the figures of the last 24 hours for each template or transport, ordered by name.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async figures(by: 'template' | 'transport'): Promise<GroupFigures[]> {
    this.#assertOpen()
    await this.#reporter.report()
    return readGroups(this.#queue, Date.now(), by)
  }

  /**
   * Returns the operators' actions that changed how mail is sent, newest first. They are kept for 90 days.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  auditLog(): Promise<AuditEntry[]> {
    this.#assertOpen()
    return this.#auditLog.list()
  }

  /**
   * Returns the history, oldest first: a point for each 10 s of the last hour, and for each minute before. A period in which no
   * process reported has no point.
   * @param options.since start, in ms since the epoch @default 24 hours ago
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async history({ since = 0 }: { since?: number } = {}): Promise<HistoryPoint[]> {
    this.#assertOpen()
    this.#loopDelay.read()
    await this.#reporter.report()
    return readHistory(this.#queue, Date.now(), since)
  }
}

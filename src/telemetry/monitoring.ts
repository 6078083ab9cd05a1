import type { MailerParts } from '../mailerParts.js'
import {
  type Activity,
  type GroupFigures,
  type HistoryPoint,
  readActivity,
  readGroups,
  readHistory,
} from './activity.js'
import type { AuditEntry } from './auditLog.js'
import type { FigureGroup } from './figures.js'

type MonitoredParts = Pick<MailerParts, 'queue' | 'activity' | 'loopDelay' | 'settings'>

/**
 * The figures of a queue and of all processes on it, whichever of them did the work. They are kept for 24 hours, in the queue:
 * a durable queue keeps them over a restart. Reached as `mailer.monitoring`.
 */
export class Monitoring {
  readonly #open: () => MonitoredParts

  /**
   * @param open returns the parts while the mailer is open
   * @internal
   */
  constructor(open: () => MonitoredParts) {
    this.#open = open
  }

  /**
   * Returns the present state of the queue and of all processes on it, with the figures of the last minutes and the last day.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async activity(): Promise<Activity> {
    const { activity, loopDelay, queue } = this.#open()
    loopDelay.read()
    await activity.report()
    return readActivity(queue, Date.now())
  }

  /**
   * Returns the figures of the last 24 hours for each template, transport, or domain of recipients, ordered by name.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async figures(by: FigureGroup): Promise<GroupFigures[]> {
    const { activity, queue } = this.#open()
    await activity.report()
    return readGroups(queue, Date.now(), by)
  }

  /**
   * Returns the operators' actions that changed how mail is sent, newest first. They are kept for 90 days.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  auditLog(): Promise<AuditEntry[]> {
    return this.#open().settings.auditLog.list()
  }

  /**
   * Returns the history, oldest first: a point for each 10 s of the last hour, and for each minute before. A period in which no
   * process reported has no point.
   * @param options.since start, in ms since the epoch @default 24 hours ago
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async history({ since = 0 }: { since?: number } = {}): Promise<HistoryPoint[]> {
    const { activity, loopDelay, queue } = this.#open()
    loopDelay.read()
    await activity.report()
    return readHistory(queue, Date.now(), since)
  }
}

import type { Mailer, MailerStats, Status } from '../index.js'
import type { RecentCounts } from './viewModels.js'

/** Milliseconds that count as recent. */
const WINDOW = 5 * 60_000
/** Milliseconds between two queries of the queue. In between, the growth of the counts is added. */
const QUERY_INTERVAL = 5_000
/** Messages of each status that are queried: the last accepted ones. */
const MAX_MESSAGES = 50

const FAILED = ['failed', 'partial', 'expired'] as const satisfies readonly Status[]

/**
 * Counts the messages that settled in the last minutes, whichever process sent them. The queue is queried, so that the counts
 * are correct from the start.
 */
export class RecentOutcomes {
  readonly #mailer: Mailer
  #last: { at: number; recent: RecentCounts; totals: RecentCounts } | undefined

  constructor(mailer: Mailer) {
    this.#mailer = mailer
  }

  /** @param stats the current stats */
  async recent(stats: MailerStats): Promise<RecentCounts> {
    const totals = totalsOf(stats)
    const now = Date.now()
    if (this.#last === undefined || now - this.#last.at >= QUERY_INTERVAL || now < this.#last.at) {
      const [sent, ...failed] = await Promise.all(
        ['sent' as const, ...FAILED].map((status) => this.#count(status, now)),
      )
      const recent = { sent: sent ?? 0, failed: failed.reduce((sum, count) => sum + count, 0) }
      this.#last = { at: now, recent, totals }
    }
    const { recent, totals: before } = this.#last
    return {
      sent: recent.sent + Math.max(0, totals.sent - before.sent),
      failed: recent.failed + Math.max(0, totals.failed - before.failed),
    }
  }

  async #count(status: Status, now: number): Promise<number> {
    const { messages } = await this.#mailer.list({ status, limit: MAX_MESSAGES })
    return messages.filter(({ settledAt }) => settledAt !== undefined && now - Date.parse(settledAt) < WINDOW)
      .length
  }
}

/** The messages that the queue keeps, or that this process counted, whichever is more: a queue may keep no settled messages. */
function totalsOf(stats: MailerStats): RecentCounts {
  const counted = (statuses: readonly Status[]) =>
    stats.settled.filter(({ status }) => statuses.includes(status)).reduce((sum, { count }) => sum + count, 0)
  return {
    sent: Math.max(stats.sent, counted(['sent'])),
    failed: Math.max(stats.failed + stats.partial + stats.expired, counted(FAILED)),
  }
}

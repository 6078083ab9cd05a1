import type { Mailer, MailerStats, Status } from '../index.js'
import type { RecentCounts } from './viewModels.js'

/** Milliseconds that count as recent. */
const RECENT = 5 * 60_000
/** Milliseconds between two looks at the queue; in between, counts that rise are added. */
const LOOK = 5_000
/** Messages of each status that are looked at, the last accepted ones. */
const MOST = 50

const FAILED = ['failed', 'partial', 'expired'] as const satisfies readonly Status[]

/**
 * How messages ended in the last minutes, whichever process sent them: asked of the queue, so that it is right from the first
 * look on.
 */
export class RecentOutcomes {
  readonly #mailer: Mailer
  #found: { at: number; recent: RecentCounts; totals: RecentCounts } | undefined

  constructor(mailer: Mailer) {
    this.#mailer = mailer
  }

  /** @param stats of this moment */
  async recent(stats: MailerStats): Promise<RecentCounts> {
    const totals = totalsOf(stats)
    const now = Date.now()
    if (this.#found === undefined || now - this.#found.at >= LOOK || now < this.#found.at) {
      const [sent, ...failed] = await Promise.all(
        ['sent' as const, ...FAILED].map((status) => this.#count(status, now)),
      )
      const recent = { sent: sent ?? 0, failed: failed.reduce((sum, count) => sum + count, 0) }
      this.#found = { at: now, recent, totals }
    }
    const { recent, totals: then } = this.#found
    return {
      sent: recent.sent + Math.max(0, totals.sent - then.sent),
      failed: recent.failed + Math.max(0, totals.failed - then.failed),
    }
  }

  async #count(status: Status, now: number): Promise<number> {
    const { messages } = await this.#mailer.list({ status, limit: MOST })
    return messages.filter(({ settledAt }) => settledAt !== undefined && now - Date.parse(settledAt) < RECENT)
      .length
  }
}

/** What the queue keeps, or what this process has counted, where that is more: a queue may keep nothing that is settled. */
function totalsOf(stats: MailerStats): RecentCounts {
  const counted = (statuses: readonly Status[]) =>
    stats.settled.filter(({ status }) => statuses.includes(status)).reduce((sum, { count }) => sum + count, 0)
  return {
    sent: Math.max(stats.sent, counted(['sent'])),
    failed: Math.max(stats.failed + stats.partial + stats.expired, counted(FAILED)),
  }
}

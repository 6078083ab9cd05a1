import type { HistogramSnapshot, MailerStats } from '../../index.js'
import type { Tick } from '../viewModels.js'

/** Seconds that the charts show. */
export const SPAN = 180
/** Seconds over which shares and percentiles are taken: shorter ones jump about. */
const WINDOW = 10

/** One second of the charts; null where there is nothing to say. */
export interface Point {
  /** Seconds since the epoch. */
  at: number
  /** A second. */
  accepted: number | null
  settled: number | null
  /** Percent of those settled that were sent. */
  success: number | null
  /** Milliseconds from acceptance to settlement. */
  p50: number | null
  p95: number | null
  p99: number | null
  /** Messages that are not settled. */
  depth: number
  /** Milliseconds. */
  loop: number
}

/** The last minutes, one point a tick. */
export class Series {
  #ticks: Tick[] = []
  points: Point[] = []

  add(tick: Tick): void {
    const last = this.#ticks.at(-1)
    // Another process, or another start of it: its counts begin anew.
    if (last !== undefined && tick.stats.accepted < last.stats.accepted) this.#ticks = []
    const before = this.#ticks.findLast(({ at }) => tick.at - at >= WINDOW * 1000) ?? this.#ticks[0]
    this.points = [
      ...this.points.filter(({ at }) => at > tick.at / 1000 - SPAN),
      pointOf(tick, this.#ticks.at(-1), before),
    ]
    this.#ticks = [...this.#ticks.filter(({ at }) => tick.at - at <= 2 * WINDOW * 1000), tick]
  }
}

function pointOf({ at, stats }: Tick, last: Tick | undefined, before: Tick | undefined): Point {
  const { queued, sending, deferred, held } = stats
  const seconds = last === undefined ? 0 : (at - last.at) / 1000
  const rate = (now: number, then: number) => (seconds > 0 ? Math.max(0, now - then) / seconds : null)
  const settled = endsOf(stats)
  const then = before === undefined ? settled : endsOf(before.stats)
  const ended = settled.all - then.all
  const quantile = (q: number) =>
    before === undefined ? null : quantileOf(stats.latency, before.stats.latency, q)
  return {
    at: at / 1000,
    accepted: last === undefined ? null : rate(stats.accepted, last.stats.accepted),
    settled: last === undefined ? null : rate(settled.all, endsOf(last.stats).all),
    success: ended > 0 ? (100 * (settled.sent - then.sent)) / ended : null,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    depth: queued + sending + deferred + held,
    loop: stats.eventLoop.p99,
  }
}

/** How many ended, and how many of them well; what somebody cancelled counts for neither. */
function endsOf({ settled }: MailerStats): { all: number; sent: number } {
  let all = 0
  let sent = 0
  for (const { status, count } of settled) {
    if (status === 'cancelled') continue
    all += count
    if (status === 'sent') sent += count
  }
  return { all, sent }
}

/** A quantile of what was observed between two snapshots, by even spread within its bucket. */
function quantileOf(now: HistogramSnapshot, then: HistogramSnapshot, q: number): number | null {
  const counts = now.counts.map((count, index) => count - (then.counts[index] ?? 0))
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total <= 0) return null
  let rank = q * total
  for (const [index, count] of counts.entries()) {
    if (count > 0 && rank <= count) {
      const low = now.bounds[index - 1] ?? 0
      const high = now.bounds[index] ?? low
      return low + ((high - low) * rank) / count
    }
    rank -= count
  }
  return now.bounds.at(-1) ?? null
}

import { useEffect, useState } from 'preact/hooks'
import type { HistogramSnapshot, MailerStats } from '../../index.js'
import type { Tick } from '../viewModels.js'
import { urlOf } from './request.js'

/** The span of the charts, in seconds. */
export const CHART_SECONDS = 180
/** Seconds over which shares and percentiles are computed: they fluctuate over shorter windows. */
const WINDOW = 10

/** One second of the charts. A value is null if nothing was measured. */
export interface Point {
  /** Seconds since the epoch. */
  at: number
  /** Messages per second. */
  accepted: number | null
  settled: number | null
  /** Percentage of the settled messages that were sent. */
  success: number | null
  /** Milliseconds from acceptance to settlement. */
  p50: number | null
  p95: number | null
  p99: number | null
  /** Messages that are not settled. */
  depth: number
  /** Event loop delay at p99, in milliseconds. */
  loop: number
}

/** The last minutes, with one point per tick. */
class ChartHistory {
  #ticks: Tick[] = []
  points: Point[] = []

  add(tick: Tick): void {
    const last = this.#ticks.at(-1)
    // Another process, or the same one after a restart: its counts start at 0.
    if (last !== undefined && tick.stats.accepted < last.stats.accepted) this.#ticks = []
    const before = this.#ticks.findLast(({ at }) => tick.at - at >= WINDOW * 1000) ?? this.#ticks[0]
    this.points = [
      ...this.points.filter(({ at }) => at > tick.at / 1000 - CHART_SECONDS),
      pointOf(tick, this.#ticks.at(-1), before),
    ]
    this.#ticks = [...this.#ticks.filter(({ at }) => tick.at - at <= 2 * WINDOW * 1000), tick]
  }
}

function pointOf({ at, stats }: Tick, last: Tick | undefined, before: Tick | undefined): Point {
  const { queued, sending, deferred, held } = stats
  const seconds = last === undefined ? 0 : (at - last.at) / 1000
  const rate = (now: number, then: number) => (seconds > 0 ? Math.max(0, now - then) / seconds : null)
  const settled = settledCounts(stats)
  const then = before === undefined ? settled : settledCounts(before.stats)
  const newlySettled = settled.all - then.all
  const quantile = (q: number) =>
    before === undefined ? null : quantileOf(stats.latency, before.stats.latency, q)
  return {
    at: at / 1000,
    accepted: last === undefined ? null : rate(stats.accepted, last.stats.accepted),
    settled: last === undefined ? null : rate(settled.all, settledCounts(last.stats).all),
    success: newlySettled > 0 ? (100 * (settled.sent - then.sent)) / newlySettled : null,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    depth: queued + sending + deferred + held,
    loop: stats.eventLoop.p99,
  }
}

/** The number of settled messages, and of those that were sent. Cancelled messages count as neither. */
function settledCounts({ settled }: MailerStats): { all: number; sent: number } {
  let all = 0
  let sent = 0
  for (const { status, count } of settled) {
    if (status === 'cancelled') continue
    all += count
    if (status === 'sent') sent += count
  }
  return { all, sent }
}

/** A quantile of the observations between two snapshots, interpolated linearly within its bucket. */
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

/** Milliseconds after which a hidden page disconnects. */
const HIDDEN_TIMEOUT = 60_000

export interface Live {
  /** Absent until the first tick arrives. */
  tick?: Tick
  points: readonly Point[]
  connected: boolean
  /** Why the server can't report its state. */
  problem?: string
}

const series = new ChartHistory()
let live: Live = { points: [], connected: true }
const listeners = new Set<(live: Live) => void>()
const templateListeners = new Set<() => void>()
let source: EventSource | undefined

function update(change: Partial<Live>): void {
  live = { ...live, ...change }
  for (const listener of listeners) listener(live)
}

/**
 * Receives events as long as the page is visible.
 * @param watch whether to receive changes of templates, too
 */
export function connect({ watch }: { watch: boolean }): void {
  const open = () => {
    source = new EventSource(urlOf(`events${watch ? '?watch=templates' : ''}`))
    source.addEventListener('tick', ({ data }: MessageEvent<string>) => {
      const tick = JSON.parse(data) as Tick
      series.add(tick)
      const { problem: _, ...rest } = live
      live = rest
      update({ tick, points: series.points, connected: true })
    })
    source.addEventListener('trouble', ({ data }: MessageEvent<string>) => {
      update({ problem: (JSON.parse(data) as { message: string }).message })
    })
    source.addEventListener('templates', () => {
      for (const listener of templateListeners) listener()
    })
    source.onerror = () => {
      update({ connected: false })
      // A browser doesn't retry after an error response, such as the one for an expired session.
      if (source?.readyState === EventSource.CLOSED) setTimeout(reopen, 5_000)
    }
  }
  const close = () => {
    source?.close()
    source = undefined
  }
  const reopen = () => {
    if (source !== undefined && source.readyState !== EventSource.CLOSED) return
    close()
    if (!document.hidden) open()
  }
  let timer: ReturnType<typeof setTimeout> | undefined
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(close, HIDDEN_TIMEOUT)
    else reopen()
  })
  open()
}

export function useLive(): Live {
  const [state, setState] = useState(live)
  useEffect(() => {
    listeners.add(setState)
    setState(live)
    return () => void listeners.delete(setState)
  }, [])
  return state
}

export function onTemplates(listener: () => void): () => void {
  templateListeners.add(listener)
  return () => void templateListeners.delete(listener)
}

/** A key that changes whenever a message is accepted or changes its status. */
export function changeKeyOf({ tick }: Live): string {
  if (tick === undefined) return ''
  const { accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired } = tick.stats
  return [accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired].join()
}

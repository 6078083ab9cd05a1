import type { QueueDriver } from '../queue/driver.js'
import type { RecordChange } from '../queue/records.js'
import {
  groupPrefix,
  HEARTBEAT,
  PERIODS,
  periodKey,
  PROCESS_PREFIX,
  type ProcessStatus,
  startOf,
} from './activity.js'
import { type CountedFigures, FIGURE_GROUPS, type FigureCollector, type FigureNumbers } from './figures.js'

/** Milliseconds between two reports while something happens. */
const INTERVAL = 1_000
/** Milliseconds after which a report that has nothing to add is made again. */
const FRESH = 500
/** Milliseconds for which a process that died is listed. */
const KEEP_PROCESS = 60 * 60_000

interface ActivityReporterOptions {
  queue: QueueDriver
  collector: FigureCollector
  /** Describes this process. */
  status: () => ProcessStatus
  /** Returns the event loop delay at p99, in ms; undefined while nothing measures it. */
  loopDelay: () => number | undefined
}

/**
 * Reports to the queue what this process has counted, and that it is alive: every second while something happens, else every
 * ten seconds. Figures that can't be stored are reported later.
 */
export class ActivityReporter {
  readonly #options: ActivityReporterOptions
  readonly #timer: NodeJS.Timeout
  #last = -Infinity
  #reporting: Promise<void> | undefined
  #closed = false

  constructor(options: ActivityReporterOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), INTERVAL).unref()
    this.#tick()
  }

  /** Reports now. Never rejects: figures that can't be stored stay for the next report. */
  async report(): Promise<void> {
    // A report that is under way may lack what was counted since it began.
    await this.#reporting
    const { collector } = this.#options
    if (collector.empty && !this.#closed && performance.now() - this.#last < FRESH) return
    this.#reporting ??= this.#report().finally(() => (this.#reporting = undefined))
    await this.#reporting
  }

  /** Reports the rest, and that this process has ended. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    await this.report()
  }

  #tick(): void {
    if (this.#reporting !== undefined) return
    if (this.#options.collector.empty && performance.now() - this.#last < HEARTBEAT - INTERVAL) return
    void this.report()
  }

  async #report(): Promise<void> {
    const { queue, collector, loopDelay } = this.#options
    this.#last = performance.now()
    const counted = collector.take()
    try {
      const { queued, sending, deferred, held } = await queue.stats()
      const loop = loopDelay()
      const gauges = { depth: queued + sending + deferred + held, ...(loop === undefined ? {} : { loop }) }
      await queue.records.write([...figureChanges(counted, gauges, Date.now()), this.#processChange()])
    } catch {
      // The queue reports its own failures.
      collector.giveBack(counted)
    }
  }

  #processChange(): RecordChange {
    const status = this.#options.status()
    const key = `${PROCESS_PREFIX}${status.id}`
    if (this.#closed) return { key, keepUntil: 0, remove: true }
    return { key, keepUntil: Date.now() + KEEP_PROCESS, document: JSON.stringify(status) }
  }
}

function figureChanges({ all, groups }: CountedFigures, gauges: FigureNumbers, now: number): RecordChange[] {
  const { fine, coarse, hour } = PERIODS
  const changes = [fine, coarse, hour].map((period): RecordChange => {
    const start = startOf(period, now)
    const keepUntil = start + period.length + period.keep
    return { key: periodKey(period, start), keepUntil, add: all, raise: gauges }
  })
  const start = startOf(hour, now)
  const keepUntil = start + hour.length + hour.keep
  for (const by of FIGURE_GROUPS)
    for (const [name, numbers] of groups[by])
      changes.push({ key: periodKey({ prefix: groupPrefix(by, name) }, start), keepUntil, add: numbers })
  return changes
}

import type { DeliveryState } from '../feedback/deliveryStates.js'
import { isSettled, type MessageState, type Status } from '../message/messageState.js'
import type { Outcome, Timings } from '../protocol/outcome.js'
import { TIMING_STEPS } from '../protocol/progress.js'
import type { QueuedMessage } from '../queue/driver.js'
import { Histogram, type HistogramSnapshot } from '../structures/histogram.js'

export type SettledStatus = Extract<Status, 'sent' | 'partial' | 'failed' | 'expired' | 'cancelled'>

/** The number of messages settled with one status and reason. */
export interface SettledCount {
  status: SettledStatus
  /** Code of the last attempt's outcome; `NONE` without an attempt. */
  reason: Outcome['code'] | 'NONE'
  count: number
}

export type TimingStep = keyof Timings

/** The figures of this process since the mailer was created. */
export interface MessageMeasures {
  /** Settled messages by status and reason. Both come from fixed sets, so the number of labels is bounded. */
  settled: SettledCount[]
  /** Milliseconds from acceptance, or from the time a message was due, to its settlement. */
  latency: HistogramSnapshot
  /** Milliseconds of each step of the attempt that settled a message. */
  timings: Record<TimingStep, HistogramSnapshot>
  /** Worker threads that died and were replaced. */
  threadRestarts: number
  /** Recipients by what was reported of them after the next server accepted the message, by transport and template. */
  recipients: ReportedCount[]
  /** Delivery reports about no message that is kept. */
  unmatchedReports: number
}

/** The number of recipients of whom a state was reported. */
export interface ReportedCount {
  state: DeliveryState
  transport: string
  /** Absent for mail without a template. */
  template?: string
  count: number
}

/** Combinations of state, transport and template that are counted apart. */
const MAX_COMBINATIONS = 5_000

/** Upper bounds of the latency's buckets, in ms. */
export const LATENCY_BOUNDS: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000,
]
const TIMING_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000]

/** Counts settled messages and measures their latency. Each settlement costs a few additions. */
export class Metrics {
  readonly #settled = new Map<Status, Map<SettledCount['reason'], number>>()
  readonly #latency = new Histogram(LATENCY_BOUNDS)
  readonly #timings = Object.fromEntries(
    TIMING_STEPS.map((step) => [step, new Histogram(TIMING_BOUNDS)]),
  ) as Record<TimingStep, Histogram>
  readonly #reported = new Map<string, ReportedCount>()
  #unmatchedReports = 0
  #threadRestarts = 0

  /** Must be called after each change of status; ignores all but settlements. */
  changed(message: QueuedMessage): void {
    const { state, elsewhere } = message
    // Another process that settles the message counts it, also if this one waits for it.
    if (!isSettled(state.status) || elsewhere === true) return
    const outcome = state.attempts.at(-1)?.outcome
    this.#count(state.status, outcome?.code ?? 'NONE')
    this.#latency.observe(waitOf(message))
    if (outcome !== undefined && wasSettledByAttempt(state, outcome)) this.#observeTimings(outcome.timings)
  }

  /** Must be called for each recipient of whom a new state was reported. */
  reported({ job, state }: QueuedMessage, reported: DeliveryState): void {
    const transport = state.attempts.at(-1)?.transport ?? job.transport
    const template = job.content.kind === 'template' ? job.content.name : undefined
    const key = JSON.stringify([reported, transport, template])
    const counted = this.#reported.get(key)
    if (counted !== undefined) counted.count++
    else if (this.#reported.size < MAX_COMBINATIONS)
      this.#reported.set(key, {
        state: reported,
        transport,
        ...(template === undefined ? {} : { template }),
        count: 1,
      })
  }

  /** Must be called for reports that are about no message that is kept. */
  reportsUnmatched(count: number): void {
    this.#unmatchedReports += count
  }

  threadRestarted(): void {
    this.#threadRestarts++
  }

  /** Worker threads that died and were replaced. */
  get threadRestarts(): number {
    return this.#threadRestarts
  }

  snapshot(): MessageMeasures {
    return {
      settled: [...this.#settled].flatMap(([status, reasons]) =>
        [...reasons].map(([reason, count]) => ({ status: status as SettledStatus, reason, count })),
      ),
      latency: this.#latency.snapshot(),
      timings: Object.fromEntries(
        TIMING_STEPS.map((step) => [step, this.#timings[step].snapshot()]),
      ) as MessageMeasures['timings'],
      threadRestarts: this.#threadRestarts,
      recipients: [...this.#reported.values()].map((counted) => ({ ...counted })),
      unmatchedReports: this.#unmatchedReports,
    }
  }

  #count(status: Status, reason: SettledCount['reason']): void {
    let reasons = this.#settled.get(status)
    if (reasons === undefined)
      this.#settled.set(status, (reasons = new Map<SettledCount['reason'], number>()))
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }

  #observeTimings(timings: Timings): void {
    for (const step of TIMING_STEPS) {
      const ms = timings[step]
      if (ms !== undefined) this.#timings[step].observe(ms)
    }
  }
}

/** Returns the milliseconds from acceptance, or from the time a message was due, to its settlement. */
export function waitOf({ job, state }: QueuedMessage): number {
  const from = Math.max(job.notBefore ?? 0, job.acceptedAt)
  return Math.max(0, (state.settledAt ?? from) - from)
}

/** Whether the last attempt settled the message, and not an operator's action or its expiry while it waited. */
function wasSettledByAttempt({ status }: Readonly<MessageState>, outcome: Outcome): boolean {
  switch (status) {
    case 'sent':
    case 'partial':
      return outcome.result === 'sent'
    case 'failed':
      return true
    default:
      return false
  }
}

import { isSettled, type MessageState, type Status } from '../message/messageState.js'
import type { Outcome, Timings } from '../protocol/outcome.js'
import type { QueuedMessage } from '../queue/driver.js'
import { Histogram, type HistogramSnapshot } from '../structures/histogram.js'

export type SettledStatus = Extract<Status, 'sent' | 'partial' | 'failed' | 'expired' | 'cancelled'>

/** How many messages ended so. */
export interface SettledCount {
  status: SettledStatus
  /** Code of the last attempt's outcome; `NONE` where nothing was tried. */
  reason: Outcome['code'] | 'NONE'
  count: number
}

export type TimingStep = keyof Timings

/** What this process has seen since the mailer was made. */
export interface MessageMeasures {
  /** Settled messages by status and reason. The labels are bounded: both are from fixed sets. */
  settled: SettledCount[]
  /** Milliseconds from acceptance, or from when a message was due, to its settlement. */
  latency: HistogramSnapshot
  /** Milliseconds of each step of the attempt that settled a message. */
  timings: Record<TimingStep, HistogramSnapshot>
  /** Threads that died and were replaced. */
  threadRestarts: number
}

const TIMING_STEPS = [
  'queue',
  'clone',
  'compile',
  'render',
  'compose',
  'connect',
  'transaction',
] as const satisfies readonly TimingStep[]

const LATENCY_BOUNDS = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000,
]
const TIMING_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000]

/** Counts what becomes of messages. It is told of each change, and counts only settlements: a few additions each. */
export class Metrics {
  readonly #settled = new Map<Status, Map<SettledCount['reason'], number>>()
  readonly #latency = new Histogram(LATENCY_BOUNDS)
  readonly #timings = Object.fromEntries(
    TIMING_STEPS.map((step) => [step, new Histogram(TIMING_BOUNDS)]),
  ) as Record<TimingStep, Histogram>
  #threadRestarts = 0

  changed({ job, state }: QueuedMessage): void {
    if (!isSettled(state.status)) return
    const outcome = state.attempts.at(-1)?.outcome
    this.#count(state.status, outcome?.code ?? 'NONE')
    const from = Math.max(job.notBefore ?? 0, job.acceptedAt)
    this.#latency.observe(Math.max(0, (state.settledAt ?? from) - from))
    if (outcome !== undefined && isByAttempt(state, outcome)) this.#time(outcome.timings)
  }

  threadRestarted(): void {
    this.#threadRestarts++
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
    }
  }

  #count(status: Status, reason: SettledCount['reason']): void {
    let reasons = this.#settled.get(status)
    if (reasons === undefined)
      this.#settled.set(status, (reasons = new Map<SettledCount['reason'], number>()))
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }

  #time(timings: Timings): void {
    for (const step of TIMING_STEPS) {
      const took = timings[step]
      if (took !== undefined) this.#timings[step].observe(took)
    }
  }
}

/** Whether the attempt itself settled the message: not a person, and not its expiry while it waited. */
function isByAttempt({ status }: Readonly<MessageState>, outcome: Outcome): boolean {
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

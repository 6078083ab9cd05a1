import type { Measurement } from './childProtocol.js'
import { type Distribution, median } from './distribution.js'
import type { Mode } from './modes.js'
import type { Noise } from './noise.js'
import { cpuPerMessage, type ModeRates, overheadPerSecond } from './rates.js'
import type { Scaling } from './scaling.js'
import type { Target } from './targets.js'

/** One figure over all rounds. */
export interface Figure {
  median: number
  lowest: number
  highest: number
}

export interface FigureKind {
  title: string
  unit: string
  digits: number
  /** Returns the value for one run; undefined where the mode or the operating system doesn't provide it. */
  of(run: Measurement): number | undefined
}

function figure(title: string, unit: string, digits: number, of: FigureKind['of']): FigureKind {
  return { title, unit, digits, of }
}

/** The figures reported for each mode. */
export const FIGURES = {
  rate: figure('messages/s', '/s', 0, ({ mail }) => mail.rate),
  coldRate: figure('messages/s, the first 1,000', '/s', 0, ({ cold }) => cold.rate),
  cpuMain: figure('main-thread CPU per message', 'µs', 0, ({ mail, overhead }) =>
    cpuPerMessage(mail, overhead, 'main'),
  ),
  cpuAll: figure('process CPU per message', 'µs', 0, ({ mail, overhead }) =>
    cpuPerMessage(mail, overhead, 'all'),
  ),
  cores: figure('busy cores', '', 2, ({ mail }) => mail.cpu.all / mail.seconds),
  overhead: figure('main-thread CPU of the measurement, subtracted, per second', 'ms', 1, ({ overhead }) =>
    overheadPerSecond(overhead),
  ),
  loopIdle: figure('event loop p99, idle', 'ms', 1, ({ idle }) => idle.loop.p99),
  loopP50: figure('event loop p50', 'ms', 1, ({ mail }) => mail.loop.p50),
  loopP99: figure('event loop p99', 'ms', 1, ({ mail }) => mail.loop.p99),
  loopMax: figure('event loop max', 'ms', 0, ({ mail }) => mail.loop.max),
  block: figure('event loop p99, one message at a time', 'ms', 1, ({ alone }) => alone.loop.p99),
  utilisation: figure('event loop utilization', '%', 0, ({ mail }) => mail.utilisation * 100),
  httpIdleP50: figure('HTTP p50, no mail', 'ms', 1, ({ idle }) => idle.http?.p50),
  httpIdleP99: figure('HTTP p99, no mail', 'ms', 1, ({ idle }) => idle.http?.p99),
  httpP50: figure('HTTP p50 under mail', 'ms', 1, ({ both }) => both?.http.p50),
  httpP99: figure('HTTP p99 under mail', 'ms', 1, ({ both }) => both?.http.p99),
  httpExtra: figure('HTTP p99, increase under mail', 'ms', 1, ({ both, idle }) =>
    both === undefined || idle.http === undefined ? undefined : both.http.p99 - idle.http.p99,
  ),
  rateUnderHttp: figure('messages/s under HTTP', '/s', 0, ({ both }) => both?.rate),
  sendP50: figure('send() p50, one at a time', 'ms', 2, ({ alone }) => alone.send.p50),
  sendP99: figure('send() p99, one at a time', 'ms', 2, ({ alone }) => alone.send.p99),
  aloneP50: figure('delivery p50, one at a time', 'ms', 1, ({ alone }) => alone.delivery.p50),
  aloneP99: figure('delivery p99, one at a time', 'ms', 1, ({ alone }) => alone.delivery.p99),
  deliveryP50: figure('delivery p50', 'ms', 0, ({ mail }) => mail.delivery.p50),
  deliveryP99: figure('delivery p99', 'ms', 0, ({ mail }) => mail.delivery.p99),
  unfinished: figure('not delivered in time', '', 0, ({ mail }) => mail.unfinished),
  rss: figure('memory (RSS)', 'MB', 0, ({ rss }) => rss / 2 ** 20),
  start: figure('start to first message', 's', 2, ({ start }) => start / 1000),
} satisfies Record<string, FigureKind>

export type FigureName = keyof typeof FIGURES
export type Figures = Partial<Record<FigureName, Figure>>

/** Returns the median, lowest, and highest value of each figure over the rounds. */
export function figuresOf(runs: readonly Measurement[]): Figures {
  const figures: Figures = {}
  for (const name of Object.keys(FIGURES) as FigureName[]) {
    const values = runs.map((run) => FIGURES[name].of(run)).filter((value) => value !== undefined)
    if (values.length > 0) figures[name] = overRounds(values)
  }
  return figures
}

export function overRounds(values: readonly number[]): Figure {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) }
}

const SHORT = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })

/** Formats a value with its unit's digits and separated thousands; undefined becomes a dash. */
export function format(name: FigureName, value: number | undefined): string {
  if (value === undefined) return '–'
  const { digits } = FIGURES[name]
  return digits === 0 ? SHORT.format(value) : value.toFixed(digits)
}

/** Result of a benchmark. Plain data: `--json` prints it. */
export interface BenchReport {
  conditions: Conditions
  modes: ModeResult[]
  /** Modes that could not be measured, and why. */
  left: { mode: string; reason: string }[]
  /** Summary in sentences; if the figures can't be trusted, the reasons instead. */
  verdict: string[]
  noise: Noise
  /** Whether the machine was quiet and the rounds agree. */
  trusted: boolean
  /** Costs at the rates at which applications send. */
  rates?: ModeRates[]
  targets?: Target[]
  scaling?: Scaling[]
}

export interface Conditions {
  node: string
  cpu: string
  cpus: number
  platform: string
  date: string
  sink: string
  redis?: string
  workload: string
  /** Size of one message as the server receives it. */
  bytes: number
  /** Rounds that the figures are medians of. */
  rounds: number
  /** Further rounds that were run because rounds disagreed; the ones farthest from the median don't count. */
  repeats?: number
  /** Length of each measured phase. */
  seconds: number
  messages?: number
  connections: number
  /** Messages per second. @default as fast as possible */
  rate?: number
  /** HTTP requests per second. */
  http: number
  /** Added latency of a round trip, in milliseconds. */
  latency: number
  /** Messages per call. */
  batch: number
}

export interface ModeResult {
  mode: Mode
  meaning: string
  figures: Figures
  /** Curves of the round with the median rate. */
  curves?: {
    alone: Distribution
    send: Distribution
    delivery: Distribution
    httpIdle?: Distribution
    http?: Distribution
    /** Maximum event loop delay in each tenth of a second under mail, in milliseconds. */
    loopOverTime: number[]
  }
}

/** Returns `value / base`; undefined if either is missing or the base is zero. */
export function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value === undefined || base === undefined || base === 0 ? undefined : value / base
}

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

/** The figures reported for each mode. */
export const FIGURES = {
  rate: { title: 'messages/s', unit: '/s', digits: 0, of: ({ mail }) => mail.rate },
  coldRate: {
    title: 'messages/s, the first 1,000',
    unit: '/s',
    digits: 0,
    of: ({ cold }) => cold.rate,
  },
  cpuMain: {
    title: 'main-thread CPU per message',
    unit: 'µs',
    digits: 0,
    of: ({ mail, overhead }) => cpuPerMessage(mail, overhead, 'main'),
  },
  cpuAll: {
    title: 'process CPU per message',
    unit: 'µs',
    digits: 0,
    of: ({ mail, overhead }) => cpuPerMessage(mail, overhead, 'all'),
  },
  cores: { title: 'busy cores', unit: '', digits: 2, of: ({ mail }) => mail.cpu.all / mail.seconds },
  overhead: {
    title: 'main-thread CPU of the measurement, subtracted, per second',
    unit: 'ms',
    digits: 1,
    of: ({ overhead }) => overheadPerSecond(overhead),
  },
  loopIdle: { title: 'event loop p99, idle', unit: 'ms', digits: 1, of: ({ idle }) => idle.loop.p99 },
  loopP50: { title: 'event loop p50', unit: 'ms', digits: 1, of: ({ mail }) => mail.loop.p50 },
  loopP99: { title: 'event loop p99', unit: 'ms', digits: 1, of: ({ mail }) => mail.loop.p99 },
  loopMax: { title: 'event loop max', unit: 'ms', digits: 0, of: ({ mail }) => mail.loop.max },
  block: {
    title: 'event loop p99, one message at a time',
    unit: 'ms',
    digits: 1,
    of: ({ alone }) => alone.loop.p99,
  },
  utilisation: {
    title: 'event loop utilization',
    unit: '%',
    digits: 0,
    of: ({ mail }) => mail.utilisation * 100,
  },
  httpIdleP50: { title: 'HTTP p50, no mail', unit: 'ms', digits: 1, of: ({ idle }) => idle.http?.p50 },
  httpIdleP99: { title: 'HTTP p99, no mail', unit: 'ms', digits: 1, of: ({ idle }) => idle.http?.p99 },
  httpP50: { title: 'HTTP p50 under mail', unit: 'ms', digits: 1, of: ({ both }) => both?.http.p50 },
  httpP99: { title: 'HTTP p99 under mail', unit: 'ms', digits: 1, of: ({ both }) => both?.http.p99 },
  httpExtra: {
    title: 'HTTP p99, increase under mail',
    unit: 'ms',
    digits: 1,
    of: ({ both, idle }) =>
      both === undefined || idle.http === undefined ? undefined : both.http.p99 - idle.http.p99,
  },
  rateUnderHttp: { title: 'messages/s under HTTP', unit: '/s', digits: 0, of: ({ both }) => both?.rate },
  sendP50: { title: 'send() p50, one at a time', unit: 'ms', digits: 2, of: ({ alone }) => alone.send.p50 },
  sendP99: { title: 'send() p99, one at a time', unit: 'ms', digits: 2, of: ({ alone }) => alone.send.p99 },
  aloneP50: {
    title: 'delivery p50, one at a time',
    unit: 'ms',
    digits: 1,
    of: ({ alone }) => alone.delivery.p50,
  },
  aloneP99: {
    title: 'delivery p99, one at a time',
    unit: 'ms',
    digits: 1,
    of: ({ alone }) => alone.delivery.p99,
  },
  deliveryP50: { title: 'delivery p50', unit: 'ms', digits: 0, of: ({ mail }) => mail.delivery.p50 },
  deliveryP99: { title: 'delivery p99', unit: 'ms', digits: 0, of: ({ mail }) => mail.delivery.p99 },
  unfinished: { title: 'not delivered in time', unit: '', digits: 0, of: ({ mail }) => mail.unfinished },
  rss: { title: 'memory (RSS)', unit: 'MB', digits: 0, of: ({ rss }) => rss / 2 ** 20 },
  start: { title: 'start to first message', unit: 's', digits: 2, of: ({ start }) => start / 1000 },
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

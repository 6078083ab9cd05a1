import { median } from './distribution.js'
import type { Measurement } from './order.js'

/** A figure over all rounds. */
export interface Figure {
  median: number
  lowest: number
  highest: number
}

export interface FigureKind {
  title: string
  unit: string
  digits: number
  /** From one run; undefined where the mode or the system doesn't tell. */
  of(run: Measurement): number | undefined
}

const MILLION = 1e6

/** Everything that is reported of a mode. Bytes are in MB, times in ms unless the unit says otherwise. */
export const FIGURES = {
  rate: { title: 'messages/s', unit: '/s', digits: 0, of: ({ mail }) => mail.rate },
  cpuMain: {
    title: 'CPU of the main thread a message',
    unit: 'µs',
    digits: 0,
    of: ({ mail }) => (mail.cpu.main === undefined ? undefined : (mail.cpu.main * MILLION) / mail.messages),
  },
  cpuAll: {
    title: 'CPU of the process a message',
    unit: 'µs',
    digits: 0,
    of: ({ mail }) => (mail.cpu.all * MILLION) / mail.messages,
  },
  cores: { title: 'cores kept busy', unit: '', digits: 2, of: ({ mail }) => mail.cpu.all / mail.seconds },
  loopIdle: { title: 'event loop p99, idle', unit: 'ms', digits: 1, of: ({ idle }) => idle.loop.p99 },
  loopP50: { title: 'event loop p50', unit: 'ms', digits: 1, of: ({ mail }) => mail.loop.p50 },
  loopP99: { title: 'event loop p99', unit: 'ms', digits: 1, of: ({ mail }) => mail.loop.p99 },
  loopMax: { title: 'event loop max', unit: 'ms', digits: 0, of: ({ mail }) => mail.loop.max },
  block: {
    title: 'one mail blocks the loop for (p99)',
    unit: 'ms',
    digits: 1,
    of: ({ alone }) => alone.loop.p99,
  },
  utilisation: {
    title: 'event loop utilisation',
    unit: '%',
    digits: 0,
    of: ({ mail }) => mail.utilisation * 100,
  },
  httpIdleP50: { title: 'HTTP p50, no mail', unit: 'ms', digits: 1, of: ({ idle }) => idle.http?.p50 },
  httpIdleP99: { title: 'HTTP p99, no mail', unit: 'ms', digits: 1, of: ({ idle }) => idle.http?.p99 },
  httpP50: { title: 'HTTP p50 under mail', unit: 'ms', digits: 1, of: ({ both }) => both?.http.p50 },
  httpP99: { title: 'HTTP p99 under mail', unit: 'ms', digits: 1, of: ({ both }) => both?.http.p99 },
  httpExtra: {
    title: 'HTTP p99 above that without mail',
    unit: 'ms',
    digits: 1,
    of: ({ both, idle }) =>
      both === undefined || idle.http === undefined ? undefined : both.http.p99 - idle.http.p99,
  },
  rateUnderHttp: { title: 'messages/s under HTTP', unit: '/s', digits: 0, of: ({ both }) => both?.rate },
  sendP50: { title: 'send() p50, one alone', unit: 'ms', digits: 2, of: ({ alone }) => alone.send.p50 },
  sendP99: { title: 'send() p99, one alone', unit: 'ms', digits: 2, of: ({ alone }) => alone.send.p99 },
  aloneP50: { title: 'arrival p50, one alone', unit: 'ms', digits: 1, of: ({ alone }) => alone.delivery.p50 },
  aloneP99: { title: 'arrival p99, one alone', unit: 'ms', digits: 1, of: ({ alone }) => alone.delivery.p99 },
  deliveryP50: { title: 'arrival p50', unit: 'ms', digits: 0, of: ({ mail }) => mail.delivery.p50 },
  deliveryP99: { title: 'arrival p99', unit: 'ms', digits: 0, of: ({ mail }) => mail.delivery.p99 },
  unfinished: { title: 'not arrived in time', unit: '', digits: 0, of: ({ mail }) => mail.unfinished },
  rss: { title: 'memory (RSS)', unit: 'MB', digits: 0, of: ({ rss }) => rss / 2 ** 20 },
  start: { title: 'start to first mail', unit: 's', digits: 2, of: ({ start }) => start / 1000 },
} satisfies Record<string, FigureKind>

export type FigureName = keyof typeof FIGURES
export type Figures = Partial<Record<FigureName, Figure>>

/** The median of each figure over the rounds, with the lowest and the highest. */
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

/** With thousands separated, and the digits that the figure deserves; a dash where there is none. */
export function format(name: FigureName, value: number | undefined): string {
  if (value === undefined) return '–'
  const { digits } = FIGURES[name]
  return digits === 0 ? SHORT.format(value) : value.toFixed(digits)
}

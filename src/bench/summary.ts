import { distrust, judgeNoise, type MachineState } from './noise.js'
import type { BenchReport, ModeResult } from './report.js'
import type { RoundsResult } from './rounds.js'

/** Inline sending is fine up to this share of the main thread. */
const FINE = 0.01
/** Inline sending is a burden from this share on. */
const BURDEN = 0.1
/** Messages of a burst. */
const BURST = 100
/** Microseconds. */
const MINUTE = 60e6

/** Returns the report with a summary, or with the reasons why the figures can't be trusted. */
export function judge(result: RoundsResult, before: MachineState, after: MachineState): BenchReport {
  const reasons = judgeNoise(before, after, result.modes)
  return {
    ...result,
    verdict: reasons.length === 0 ? summarize(result.modes) : [distrust(reasons)],
    noise: { before, after, reasons },
    trusted: reasons.length === 0,
  }
}

/** Explains in sentences what the figures mean for the choice between threads and inline sending. */
export function summarize(modes: readonly ModeResult[]): string[] {
  const naive = find(modes, 'naive')
  const precompiled = find(modes, 'precompiled')
  const threaded = bestThreaded(modes)
  return [
    ...[naive, precompiled].flatMap((mode) => (mode === undefined ? [] : describeInline(mode))),
    ...(threaded === undefined ? [] : describeThreaded(threaded, precompiled ?? naive)),
    ...describeLatency(modes, precompiled ?? naive, threaded),
  ]
}

function find(modes: readonly ModeResult[], family: string): ModeResult | undefined {
  return modes.find(({ mode }) => mode.family === family)
}

/** Returns threadpost's threaded mode with the highest rate, of the memory queue if that was measured. */
function bestThreaded(modes: readonly ModeResult[]): ModeResult | undefined {
  const threaded = modes.filter(({ mode }) => mode.threads > 0)
  const inMemory = threaded.filter(({ mode }) => mode.family === 'memory')
  return (inMemory.length > 0 ? inMemory : threaded).toSorted(
    (a, b) => (b.figures.rate?.median ?? 0) - (a.figures.rate?.median ?? 0),
  )[0]
}

function describeInline({ mode, figures }: ModeResult): string[] {
  const cost = costOf(figures)
  if (cost === undefined) return []
  const name = mode.family === 'naive' ? 'Inline with MJML for each message' : 'Inline with compiled HTML'
  return [
    `${name}, a message takes ${ms(cost / 1000)} of main-thread CPU. Up to ${count((FINE * MINUTE) / cost)} messages per minute, ` +
      `that is under 1% of the thread, and inline sending is fine. From ${count((BURDEN * MINUTE) / cost)} per minute, it is 10% or more, which is a burden. ` +
      `A burst of ${BURST} keeps the process busy for ${ms((cost * BURST) / 1000)}.` +
      httpSentence(figures),
  ]
}

function describeThreaded({ mode, figures }: ModeResult, inline: ModeResult | undefined): string[] {
  const cost = costOf(figures)
  if (cost === undefined) return []
  const times = inline === undefined ? undefined : (costOf(inline.figures) ?? 0) / cost
  const savings =
    times === undefined || times < 1.05
      ? ''
      : ` (${times.toFixed(times < 10 ? 1 : 0)} times less than ${inline?.mode.name ?? 'inline'})`
  return [
    `With threadpost (${mode.name}), a message takes ${ms(cost / 1000)} of main-thread CPU${savings}, so ` +
      `${count((FINE * MINUTE) / cost)} messages per minute take 1% of the thread. A burst of ${BURST} keeps the process busy for ` +
      `${ms((cost * BURST) / 1000)}.${httpSentence(figures)}`,
  ]
}

/** Describes the HTTP latency while mail is sent as fast as possible, which is the worst case. */
function httpSentence({ httpP99, httpIdleP99 }: ModeResult['figures']): string {
  if (httpP99 === undefined || httpIdleP99 === undefined) return ''
  return (
    ` While mail is sent as fast as possible, one HTTP request in a hundred takes ${ms(httpP99.median)} or longer ` +
    `(without mail: ${ms(httpIdleP99.median)}).`
  )
}

/**
 * Compares the same pipeline with and without threads where both were measured; nodemailer's pipeline is a different
 * one.
 */
function describeLatency(
  modes: readonly ModeResult[],
  baseline: ModeResult | undefined,
  threaded: ModeResult | undefined,
): string[] {
  const inline = find(modes, 'inline')
  const direct = (inline ?? baseline)?.figures.aloneP50
  const queued = threaded?.figures
  if (threaded === undefined || direct === undefined || queued?.aloneP50 === undefined) return []
  const pipeline =
    inline === undefined ? `inline (${baseline?.mode.name ?? ''})` : 'in the same pipeline without threads'
  const waiting =
    baseline?.figures.sendP50 === undefined || queued.sendP50 === undefined
      ? ''
      : ` They shorten the time that your code waits for send(): ${ms(baseline.figures.sendP50.median)} inline (${baseline.mode.name}), ` +
        `${ms(queued.sendP50.median)} for the receipt of ${threaded.mode.name}.`
  return [
    `Threads don't deliver a single message sooner: it takes ${ms(direct.median)} ${pipeline}, and ` +
      `${ms(queued.aloneP50.median)} with ${threaded.mode.name}.${waiting}`,
  ]
}

/**
 * Returns the main-thread CPU per message in microseconds. Where it wasn't measured, estimates it from the event
 * loop's utilization.
 */
function costOf({ cpuMain, utilisation, rate }: ModeResult['figures']): number | undefined {
  if (cpuMain !== undefined) return cpuMain.median
  if (utilisation === undefined || rate === undefined) return undefined
  return (utilisation.median / 100 / rate.median) * 1e6
}

function ms(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`
  if (value >= 100) return `${value.toFixed(0)} ms`
  return `${Number(value.toPrecision(2))} ms`
}

/** Formats a number with two significant digits. */
function count(value: number): string {
  return new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 2 }).format(value)
}

import type { ModeResult } from './report.js'

/** Inline sending is called fine while it takes no more of the main thread than this. */
const FINE = 0.01
/** And a burden from here on. */
const BURDEN = 0.1
const BURST = 100
const MINUTE = 60e6

/** What the figures mean for somebody who must decide, in plain sentences derived from nothing else. */
export function verdictOf(modes: readonly ModeResult[]): string[] {
  const naive = find(modes, 'naive')
  const careful = find(modes, 'precompiled')
  const threaded = bestThreaded(modes)
  return [
    ...[naive, careful].flatMap((mode) => (mode === undefined ? [] : inlineVerdict(mode))),
    ...(threaded === undefined ? [] : threadedVerdict(threaded, careful ?? naive)),
    ...soonerVerdict(modes, careful ?? naive, threaded),
  ]
}

function find(modes: readonly ModeResult[], family: string): ModeResult | undefined {
  return modes.find(({ mode }) => mode.family === family)
}

/** threadpost with threads, in memory if that was measured, with the highest rate. */
function bestThreaded(modes: readonly ModeResult[]): ModeResult | undefined {
  const threaded = modes.filter(({ mode }) => mode.threads > 0)
  const inMemory = threaded.filter(({ mode }) => mode.family === 'memory')
  return (inMemory.length > 0 ? inMemory : threaded).toSorted(
    (a, b) => (b.figures.rate?.median ?? 0) - (a.figures.rate?.median ?? 0),
  )[0]
}

function inlineVerdict({ mode, figures }: ModeResult): string[] {
  const cost = costOf(figures)
  if (cost === undefined) return []
  const name = mode.family === 'naive' ? 'Inline with MJML for each mail' : 'Inline with compiled HTML'
  return [
    `${name}, a mail takes ${ms(cost / 1000)} of the main thread. Up to ${count((FINE * MINUTE) / cost)} mails a minute ` +
      `that is under 1 % of it, and inline is fine; from ${count((BURDEN * MINUTE) / cost)} a minute on it is 10 %, and it isn't. ` +
      `A burst of ${BURST} keeps the process busy for ${ms((cost * BURST) / 1000)}.` +
      httpSentence(figures),
  ]
}

function threadedVerdict({ mode, figures }: ModeResult, inline: ModeResult | undefined): string[] {
  const cost = costOf(figures)
  if (cost === undefined) return []
  const times = inline === undefined ? undefined : (costOf(inline.figures) ?? 0) / cost
  const less = times === undefined || times < 1.05 ? '' : `, ${times.toFixed(times < 10 ? 1 : 0)} times less`
  return [
    `With threadpost (${mode.name}) a mail takes ${ms(cost / 1000)} of the main thread${less}: 1 % of it is ` +
      `${count((FINE * MINUTE) / cost)} mails a minute. A burst of ${BURST} keeps the process busy for ` +
      `${ms((cost * BURST) / 1000)}.${httpSentence(figures)}`,
  ]
}

/** Requests wait while mail goes out as fast as it can: the worst case. */
function httpSentence({ httpP99, httpIdleP99 }: ModeResult['figures']): string {
  if (httpP99 === undefined || httpIdleP99 === undefined) return ''
  return (
    ` While as much mail goes out as possible, one request in a hundred waits ${ms(httpP99.median)} or longer ` +
    `(without mail ${ms(httpIdleP99.median)}).`
  )
}

/** The same pipeline with and without threads is what can be compared; nodemailer's is another one. */
function soonerVerdict(
  modes: readonly ModeResult[],
  rival: ModeResult | undefined,
  threaded: ModeResult | undefined,
): string[] {
  const inline = find(modes, 'inline')
  const direct = (inline ?? rival)?.figures.aloneP50
  const queued = threaded?.figures
  if (threaded === undefined || direct === undefined || queued?.aloneP50 === undefined) return []
  const pipeline =
    inline === undefined ? `inline (${rival?.mode.name ?? ''})` : 'from the same pipeline inline'
  const waits =
    rival?.figures.sendP50 === undefined || queued.sendP50 === undefined
      ? ''
      : ` What changes is for how long your code waits: ${ms(rival.figures.sendP50.median)} inline (${rival.mode.name}), ` +
        `${ms(queued.sendP50.median)} for the receipt of ${threaded.mode.name}.`
  return [
    `Threads don't make one mail arrive sooner: alone it arrives after ${ms(direct.median)} ${pipeline}, and after ` +
      `${ms(queued.aloneP50.median)} with ${threaded.mode.name}.${waits}`,
  ]
}

/** Microseconds of the main thread a message; where the system doesn't tell, from how busy its event loop was. */
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

/** Two digits are as many as such a figure deserves. */
function count(value: number): string {
  return new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 2 }).format(value)
}

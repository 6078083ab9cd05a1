import type { ChildTask, SoakSample } from './childProtocol.js'
import { median } from './distribution.js'
import type { Mode } from './modes.js'
import { runChild } from './processes.js'
import { runConfigOf, type Session } from './rounds.js'
import { align } from './table.js'

/** Result of a soak test: the first quarter after the warm-up compared with the last one. */
export interface SoakReport {
  mode: string
  seconds: number
  messages: number
  drifts: Drift[]
  /** Whether every drift is within its limit; undefined if the test was too short. */
  steady?: boolean
  samples: SoakSample[]
}

export interface Drift {
  what: string
  unit: string
  early: number
  late: number
  /** Maximum increase of the late figure (for a rate: decrease, and negative), relative to the early one. */
  allowed: number
  ok: boolean
}

/** Settled messages that threadpost retains (`retain.count`). Memory grows until that many are retained. */
const RETAINED = 10_000
/** Share of the samples that belong to the warm-up, in which caches fill, V8 compiles, and the heap grows. */
const WARM_UP = 0.2
/** Share of the remaining samples that make up the first and the last part. */
const PART = 0.25

/** Sends for a long time and reports whether memory grows or the rate drops. */
export async function runSoak(session: Session, mode: Mode, seconds: number): Promise<SoakReport> {
  const { progress, signal } = session.settings
  const samples: SoakSample[] = []
  const task: ChildTask = { task: 'soak', config: { ...runConfigOf(session, mode), seconds } }
  const onNote = (sample: SoakSample): void => {
    samples.push(sample)
    const now = Math.min(seconds, Math.round(sample.seconds))
    progress?.(now, seconds, `soak test: ${now} of ${seconds} s, ${sample.rate.toFixed(0)} messages/s`)
  }
  const { messages } = await runChild<{ messages: number }, SoakSample>('./child.js', task, {
    signal,
    onNote,
  })
  const report: SoakReport = { mode: mode.name, seconds, messages, drifts: driftsOf(samples), samples }
  if (messages * WARM_UP >= RETAINED) report.steady = report.drifts.every(({ ok }) => ok)
  return report
}

/** Compares the medians of the first and the last part of the samples after the warm-up. */
export function driftsOf(samples: readonly SoakSample[]): Drift[] {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP))
  const part = Math.max(1, Math.floor(warm.length * PART))
  const early = warm.slice(0, part)
  const late = warm.slice(-part)
  const drift = (
    what: string,
    unit: string,
    of: (sample: SoakSample) => number | undefined,
    allowed: number,
    slack = 0,
  ): Drift[] => {
    const before = median(early.map((sample) => of(sample) ?? Number.NaN))
    const after = median(late.map((sample) => of(sample) ?? Number.NaN))
    if (Number.isNaN(before) || Number.isNaN(after)) return []
    const ok = allowed < 0 ? after >= before * (1 + allowed) : after <= before * (1 + allowed) + slack
    return [{ what, unit, early: before, late: after, allowed, ok }]
  }
  return [
    ...drift('memory of the process and its threads', 'MB', ({ rss }) => rss / 2 ** 20, 0.1, 10),
    ...drift('heap of the main thread', 'MB', ({ heap }) => heap / 2 ** 20, 0.2, 10),
    ...drift('open sockets', '', ({ sockets }) => sockets, 0, 2),
    ...drift('rate', 'messages/s', ({ rate }) => rate, -0.15),
    ...drift('event loop p99', 'ms', ({ loopP99 }) => loopP99, 0.5, 2),
  ]
}

export function soakTable({ mode, seconds, messages, drifts, steady }: SoakReport): string {
  const rows = drifts.map(({ what, unit, early, late, ok }) => [
    `${what}${unit === '' ? '' : `, ${unit}`}`,
    early.toFixed(1),
    late.toFixed(1),
    ok ? 'steady' : 'DRIFTS',
  ])
  return [
    `${mode}: ${messages} messages in ${seconds} s; medians of the first quarter after the warm-up and of the last quarter`,
    ...align([['', 'early', 'late', ''], ...rows]),
    '',
    conclusionOf(drifts, steady),
  ].join('\n')
}

function conclusionOf(drifts: readonly Drift[], steady: boolean | undefined): string {
  if (steady === undefined)
    return `The test was too short: memory grows until ${RETAINED} settled messages are retained. Try --soak 20m.`
  if (steady) return 'Steady: memory, sockets, and rate are the same at the end as at the beginning.'
  const drifting = drifts.filter(({ ok }) => !ok).map(({ what }) => what)
  return `Not steady: ${drifting.join(', ')}.`
}

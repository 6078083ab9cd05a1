import { median } from './distribution.js'
import type { Mode } from './modes.js'
import { askChild } from './processes.js'
import { orderOf, type Session } from './rounds.js'
import type { SoakSample } from './soaked.js'
import { align } from './table.js'

/** What a soak found out: the beginning, after warming up, beside the end. */
export interface SoakReport {
  mode: string
  seconds: number
  messages: number
  drifts: Drift[]
  /** No drift is beyond what is allowed. Undefined where it was too short to tell. */
  steady?: boolean
  samples: SoakSample[]
}

export interface Drift {
  what: string
  unit: string
  early: number
  late: number
  /** How far the late figure may be above (or for a rate, below) the early one, as a share of it. */
  allowed: number
  ok: boolean
}

/** Settled messages that threadpost keeps to be found (`retain.count`): memory grows until they are there. */
const KEPT = 10_000
/** This share of the time belongs to warming up: caches fill, V8 compiles, the heap takes its size. */
const WARM_UP = 0.2
/** And as much is the beginning, and the end. */
const PART = 0.25

/** Sends for a long time and says whether anything grows or slows down. */
export async function runSoak(session: Session, mode: Mode, seconds: number): Promise<SoakReport> {
  const { progress, signal } = session.settings
  const samples: SoakSample[] = []
  const order = { ...orderOf(session, mode), seconds }
  const note = (sample: SoakSample): void => {
    samples.push(sample)
    const now = Math.min(seconds, Math.round(sample.seconds))
    progress?.(now, seconds, `soak: ${now} of ${seconds} s, ${sample.rate.toFixed(0)} messages/s`)
  }
  const { messages } = await askChild<{ messages: number }, SoakSample>('./soaked.js', order, {
    signal,
    note,
  })
  const report: SoakReport = { mode: mode.name, seconds, messages, drifts: driftsOf(samples), samples }
  if (messages * WARM_UP >= KEPT) report.steady = report.drifts.every(({ ok }) => ok)
  return report
}

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
    ...drift('memory of the process with its threads', 'MB', ({ rss }) => rss / 2 ** 20, 0.1, 10),
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
    `${mode}: ${messages} messages in ${seconds} s; medians of a quarter after warming up and of the last quarter`,
    ...align([['', 'early', 'late', ''], ...rows]),
    '',
    verdictOf(drifts, steady),
  ].join('\n')
}

function verdictOf(drifts: readonly Drift[], steady: boolean | undefined): string {
  if (steady === undefined)
    return `Too short to tell: memory grows until ${KEPT} settled messages are kept. Try --soak 20m.`
  if (steady) return 'Steady: memory, sockets and rate are at the end what they were at the beginning.'
  const drifting = drifts.filter(({ ok }) => !ok).map(({ what }) => what)
  return `Not steady: ${drifting.join(', ')}.`
}

import { type BenchReport, type FigureName, type ModeResult, ratio } from './report.js'

/** A design target and the measured value. */
export interface Target {
  what: string
  unit: string
  /** Whether the target is a minimum or a maximum. */
  bound: '≥' | '≤'
  target: number
  /** Undefined if it was not measured. */
  measured?: number
  /** Name of the measured mode. */
  mode?: string
  /** Use of the processor during the measurement, if the target was missed. */
  limit?: string
}

/** Measurements for the targets that the rounds don't include. */
export interface ExtraMeasurements {
  /** Time from the start of a process to its first message with precompiled templates, in milliseconds. */
  compiledStart?: number
  /**
   * A long queue: its length, the growth of memory from a tenth of that length on (in MB), and the rate relative to
   * that of an empty queue.
   */
  backlog?: { messages: number; growth: number; rateRatio: number }
}

/** Returns the targets, which apply to the workload W1 on two cores with the sink on the same machine. */
export function targetsOf({ modes, conditions }: BenchReport, extra: ExtraMeasurements = {}): Target[] {
  const memory = best(modes, 'memory')
  const sqlite = best(modes, 'sqlite')
  const redis = best(modes, 'redis')
  const rateOf = (family: string): number | undefined =>
    modes.find(({ mode }) => mode.family === family)?.figures.rate?.median
  const rate = memory?.figures.rate?.median
  const of = (result: ModeResult | undefined, name: FigureName): number | undefined =>
    result?.figures[name]?.median
  const difference = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : Math.max(0, a - b)
  const queued = new Intl.NumberFormat('en-GB').format(extra.backlog?.messages ?? 1_000_000)
  const rows: [string, string, '≥' | '≤', number, number | undefined, (ModeResult | undefined)?][] = [
    ['memory: rendered messages', 'messages/s', '≥', 6_000, rate, memory],
    ['SQLite: rendered, durable messages', 'messages/s', '≥', 5_000, of(sqlite, 'rate'), sqlite],
    ['memory to inline precompiled', 'times', '≥', 8, ratio(rate, rateOf('precompiled')), memory],
    ['memory to inline naive', 'times', '≥', 60, ratio(rate, rateOf('naive')), memory],
    ['memory to smtp-source', 'times', '≥', 0.9, ratio(rate, rateOf('smtp-source')), memory],
    ['Redis to BullMQ with precompiled', 'times', '≥', 4, ratio(of(redis, 'rate'), rateOf('bullmq')), redis],
    ['memory: main-thread CPU per message', 'µs', '≤', 40, of(memory, 'cpuMain'), memory],
    ['SQLite: main-thread CPU per message', 'µs', '≤', 60, of(sqlite, 'cpuMain'), sqlite],
    [
      'event loop p99, increase under mail',
      'ms',
      '≤',
      5,
      difference(of(memory, 'loopP99'), of(memory, 'loopIdle')),
      memory,
    ],
    [`HTTP p99 at ${conditions.http}/s, increase under mail`, 'ms', '≤', 3, of(memory, 'httpExtra'), memory],
    ['start to first message', 's', '≤', 1.5, of(memory, 'start'), memory],
    ['start to first message, compiled templates', 's', '≤', 0.4, inSeconds(extra.compiledStart), memory],
    [`memory with ${queued} in SQLite, increase over a tenth`, 'MB', '≤', 50, extra.backlog?.growth],
    ['rate with that queue to rate with none', 'times', '≥', 0.9, extra.backlog?.rateRatio],
  ]
  return rows.map(([what, unit, bound, target, measured, result]) => {
    const entry: Target = { what, unit, bound, target }
    if (measured !== undefined) entry.measured = measured
    if (result !== undefined) entry.mode = result.mode.name
    if (isMet(entry) === false && result !== undefined && unit !== 's')
      entry.limit = limitOf(result, conditions.cpus)
    return entry
  })
}

/** Returns undefined if the target was not measured. */
export function isMet({ bound, target, measured }: Target): boolean | undefined {
  if (measured === undefined) return undefined
  return bound === '≥' ? measured >= target : measured <= target
}

/** Returns one sentence for each group of missed targets with the same limit. */
export function missedTargets(targets: readonly Target[]): string[] {
  const missed = new Map<string | undefined, Target[]>()
  for (const target of targets) {
    if (isMet(target) === false) missed.set(target.limit, [...(missed.get(target.limit) ?? []), target])
  }
  return [...missed].map(([limit, group]) => {
    const names = group.map(({ what, mode }) => `${what}${mode === undefined ? '' : ` (${mode})`}`).join('; ')
    return `Missed: ${names}.${limit === undefined ? '' : ` During the measurement, ${limit}.`}`
  })
}

/** Returns the cells of a table row: name, target, measured value, mode, and result. */
export function cellsOf(entry: Target): string[] {
  const { what, unit, bound, target, measured, mode } = entry
  const results = { true: 'met', false: 'MISSED', undefined: 'not measured' }
  return [
    what,
    `${bound} ${number(target)} ${unit}`,
    measured === undefined ? '–' : number(measured),
    mode ?? '',
    results[`${isMet(entry)}`],
  ]
}

/** Returns the thread count with the highest rate of a family. */
function best(modes: readonly ModeResult[], family: string): ModeResult | undefined {
  return modes
    .filter(({ mode }) => mode.family === family)
    .toSorted((a, b) => (b.figures.rate?.median ?? 0) - (a.figures.rate?.median ?? 0))[0]
}

/**
 * Describes the use of the processor: with all cores busy, the cost per message is the limit; otherwise something
 * waits.
 */
function limitOf({ figures }: ModeResult, cpus: number): string {
  const cores = figures.cores?.median ?? 0
  const main = figures.utilisation?.median ?? 0
  return (
    `the process kept ${cores.toFixed(1)} of ${cpus} cores busy (the sink and the clients run on the same cores), ` +
    `and its main thread was busy ${main.toFixed(0)}% of the time`
  )
}

function inSeconds(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1000
}

function number(value: number): string {
  if (Math.abs(value) >= 1000)
    return new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 }).format(value)
  return String(Number(value.toPrecision(3)))
}

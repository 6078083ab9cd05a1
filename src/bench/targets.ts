import type { FigureName } from './figures.js'
import { type BenchReport, type ModeResult, ratio } from './report.js'
import { align } from './table.js'

/** A target of the design, beside what was measured. */
export interface Target {
  what: string
  unit: string
  /** `≥` or `≤` this. */
  bound: '≥' | '≤'
  target: number
  /** Undefined where it could not be measured here. */
  measured?: number
  /** The mode it was measured on. */
  mode?: string
  /** What stood in the way, where it was missed. */
  limit?: string
}

/** What the targets need beside the rounds. */
export interface Extra {
  /** Milliseconds from the start of a process to its first mail, with templates compiled ahead. */
  compiledStart?: number
  /** With a long queue: by how many MB memory grew from a tenth of it on, and the rate to that without a queue. */
  backlog?: { messages: number; growth: number; rateRatio: number }
}

/** The targets, for the workload W1 on two cores with the sink on the same machine. */
export function targetsOf({ modes, conditions }: BenchReport, extra: Extra = {}): Target[] {
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
  const list: [string, string, '≥' | '≤', number, number | undefined, (ModeResult | undefined)?][] = [
    ['memory: rendered mail', 'messages/s', '≥', 6_000, rate, memory],
    ['SQLite: rendered, durable mail', 'messages/s', '≥', 5_000, of(sqlite, 'rate'), sqlite],
    ['memory to inline precompiled', 'times', '≥', 8, ratio(rate, rateOf('precompiled')), memory],
    ['memory to inline naive', 'times', '≥', 60, ratio(rate, rateOf('naive')), memory],
    ['memory to smtp-source', 'times', '≥', 0.9, ratio(rate, rateOf('smtp-source')), memory],
    ['Redis to BullMQ with precompiled', 'times', '≥', 4, ratio(of(redis, 'rate'), rateOf('bullmq')), redis],
    ['memory: main-thread CPU a message', 'µs', '≤', 40, of(memory, 'cpuMain'), memory],
    ['SQLite: main-thread CPU a message', 'µs', '≤', 60, of(sqlite, 'cpuMain'), sqlite],
    [
      'event loop p99 under mail, above idle',
      'ms',
      '≤',
      5,
      difference(of(memory, 'loopP99'), of(memory, 'loopIdle')),
      memory,
    ],
    [
      `HTTP p99 under mail at ${conditions.http}/s, above idle`,
      'ms',
      '≤',
      3,
      of(memory, 'httpExtra'),
      memory,
    ],
    ['start to first mail', 's', '≤', 1.5, of(memory, 'start'), memory],
    ['the same with compiled templates', 's', '≤', 0.4, inSeconds(extra.compiledStart), memory],
    [`memory with ${queued} in SQLite, above that with a tenth`, 'MB', '≤', 50, extra.backlog?.growth],
    ['rate with that queue to the rate with none', 'times', '≥', 0.9, extra.backlog?.rateRatio],
  ]
  return list.map(([what, unit, bound, target, measured, result]) => {
    const one: Target = { what, unit, bound, target }
    if (measured !== undefined) one.measured = measured
    if (result !== undefined) one.mode = result.mode.name
    if (met(one) === false && result !== undefined && unit !== 's')
      one.limit = limitOf(result, conditions.cpus)
    return one
  })
}

/** Undefined where it was not measured. */
export function met({ bound, target, measured }: Target): boolean | undefined {
  if (measured === undefined) return undefined
  return bound === '≥' ? measured >= target : measured <= target
}

export function targetTable(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const [, ...cells] = cellsOf(target)
    return [target.what, ...cells]
  })
  return [
    'Targets (workload W1, two cores, the sink on the same machine)',
    ...align([['', 'target', 'measured', 'with', ''], ...rows]),
    '',
    ...missedInWords(targets),
  ].join('\n')
}

/** A sentence for those that the same thing stood in the way of. */
export function missedInWords(targets: readonly Target[]): string[] {
  const missed = new Map<string | undefined, Target[]>()
  for (const target of targets) {
    if (met(target) === false) missed.set(target.limit, [...(missed.get(target.limit) ?? []), target])
  }
  return [...missed].map(([limit, group]) => {
    const names = group.map(({ what, mode }) => `${what}${mode === undefined ? '' : ` (${mode})`}`).join('; ')
    return `Missed: ${names}.${limit === undefined ? '' : ` Meanwhile ${limit}.`}`
  })
}

/** What, target, measured, with which mode, and whether that is enough. */
export function cellsOf(one: Target): string[] {
  const { what, unit, bound, target, measured, mode } = one
  const verdicts = { true: 'met', false: 'MISSED', undefined: 'not measured' }
  return [
    what,
    `${bound} ${number(target)} ${unit}`,
    measured === undefined ? '–' : number(measured),
    mode ?? '',
    verdicts[`${met(one)}`],
  ]
}

/** The thread count with the highest rate: the targets are about what the product can do. */
function best(modes: readonly ModeResult[], family: string): ModeResult | undefined {
  return modes
    .filter(({ mode }) => mode.family === family)
    .toSorted((a, b) => (b.figures.rate?.median ?? 0) - (a.figures.rate?.median ?? 0))[0]
}

/** Who was busy: where the cores are full, the cost of a message decides; else something waits. */
function limitOf({ figures }: ModeResult, cpus: number): string {
  const cores = figures.cores?.median ?? 0
  const main = figures.utilisation?.median ?? 0
  return (
    `the process kept ${cores.toFixed(1)} of ${cpus} cores busy (the sink and the clients take theirs beside it), ` +
    `its main thread ${main.toFixed(0)} % of the time`
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

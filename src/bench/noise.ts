import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { fromHistogram } from './distribution.js'
import type { ModeResult } from './report.js'

/** The machine while the benchmark itself does nothing. */
export interface MachineState {
  /** Event loop delay of an idle process, 99th percentile, in milliseconds. */
  loopP99: number
  /** Share of the processors that other programs used, 0 to 1; absent where the operating system doesn't report it. */
  busy?: number
  /** Share of the processors' time that the hypervisor gave to other machines, 0 to 1. */
  steal?: number
  /** Load average of the last minute. */
  load?: number
}

/** The noise of the machine, which decides whether the figures can be trusted. */
export interface Noise {
  before: MachineState
  after: MachineState
  /** Why the figures can't be trusted; empty if they can. */
  reasons: string[]
}

/** Length of a look at the machine, in milliseconds. */
const LOOK = 1_000
const RESOLUTION = 1

/** Limits beyond which figures depend more on the machine than on the program. */
const MAX_LOOP_P99 = 5
const MAX_BUSY = 0.2
const MAX_STEAL = 0.05
/** Between the lowest and the highest rate of a mode, relative to its median. */
export const MAX_SPREAD = 0.3
/** The idle HTTP p99 of the worst round, relative to the best one, and the milliseconds below which it doesn't matter. */
const MAX_IDLE_RATIO = 3
const NEGLIGIBLE_P99 = 5

/** Looks at the machine for a second, in which this process does nothing. */
export async function lookAtMachine(): Promise<MachineState> {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION })
  const before = processorTimes()
  loop.enable()
  await pause(LOOK)
  loop.disable()
  const after = processorTimes()
  const [load] = loadavg()
  const state: MachineState = { loopP99: fromHistogram(loop, 1e6, RESOLUTION)?.p99 ?? 0 }
  // Windows reports no load average.
  if (load !== undefined && load > 0) state.load = load
  if (before !== undefined && after !== undefined) {
    const total = after.total - before.total
    state.busy = total === 0 ? 0 : (after.busy - before.busy) / total
    state.steal = total === 0 ? 0 : (after.steal - before.steal) / total
  }
  return state
}

/** The times of all processors in ticks, from the first line of /proc/stat (proc(5)); undefined on other systems. */
function processorTimes(): { busy: number; steal: number; total: number } | undefined {
  let text: string
  try {
    text = readFileSync('/proc/stat', 'utf8')
  } catch {
    return undefined
  }
  const fields = text.slice(0, text.indexOf('\n')).split(/\s+/).slice(1).map(Number)
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields
  const busy = user + nice + system + irq + softirq
  return { busy, steal, total: busy + idle + iowait + steal }
}

/** The difference between the highest and the lowest value, relative to the median. */
export function spreadOf({
  lowest,
  median,
  highest,
}: {
  lowest: number
  median: number
  highest: number
}): number {
  return median === 0 ? 0 : (highest - lowest) / median
}

/** The measures by which a look at the machine is judged: a value beyond the limit is a reason not to trust the figures. */
const CHECKS: readonly {
  valueOf: (state: MachineState) => number
  limit: number
  describe: (value: number) => string
}[] = [
  {
    valueOf: ({ busy = 0 }) => busy,
    limit: MAX_BUSY,
    describe: (value) => `other programs used ${percent(value)} of the processors`,
  },
  {
    valueOf: ({ steal = 0 }) => steal,
    limit: MAX_STEAL,
    describe: (value) => `the hypervisor took ${percent(value)} of the processors`,
  },
  {
    valueOf: ({ loopP99 }) => loopP99,
    limit: MAX_LOOP_P99,
    describe: (value) => `an idle event loop was ${value.toFixed(1)} ms late (p99)`,
  },
]

/** Returns why figures measured on this machine can't be trusted: what it did before, and after, the measurement. */
export function judgeMachine(before: MachineState, after?: MachineState): string[] {
  return CHECKS.flatMap(({ valueOf, limit, describe }) => {
    const [first, last] = [valueOf(before), after === undefined ? 0 : valueOf(after)]
    if (Math.max(first, last) <= limit) return []
    const when = first <= limit ? 'after' : last <= limit ? 'before' : 'before and after'
    return [`${describe(Math.max(first, last))} ${when} the measurement`]
  })
}

/** Returns why the figures can't be trusted: the machine was busy before or after, or the rounds disagree. */
export function judgeNoise(
  before: MachineState,
  after: MachineState,
  modes: readonly ModeResult[],
): string[] {
  return [
    ...judgeMachine(before, after),
    ...modes.flatMap(({ mode, figures: { rate, httpIdleP99 } }) => [
      ...(rate !== undefined && spreadOf(rate) > MAX_SPREAD
        ? [`the rounds of ${mode.name} differ by ${percent(spreadOf(rate))}`]
        : []),
      ...(httpIdleP99 !== undefined &&
      httpIdleP99.highest > NEGLIGIBLE_P99 &&
      httpIdleP99.highest > MAX_IDLE_RATIO * httpIdleP99.lowest
        ? [
            `HTTP requests without mail took ${httpIdleP99.lowest.toFixed(1)} ms in one round of ${mode.name} and ${httpIdleP99.highest.toFixed(1)} ms in another (p99)`,
          ]
        : []),
    ]),
  ]
}

/** The sentence that takes the place of the summary. */
export function distrust(reasons: readonly string[]): string {
  return `These figures are not to be trusted, because ${reasons.join('; ')}. Run the benchmark again while nothing else runs.`
}

/** Describes the noise for the tables. */
export function noiseLine({ before, after }: Noise): string {
  const describe = ({ loopP99, busy, steal, load }: MachineState): string =>
    [
      `loop p99 ${loopP99.toFixed(1)} ms`,
      ...(busy === undefined ? [] : [`${percent(busy)} busy`]),
      ...(steal === undefined ? [] : [`${percent(steal)} stolen`]),
      ...(load === undefined ? [] : [`load ${load.toFixed(1)}`]),
    ].join(', ')
  return `Machine before: ${describe(before)}; after: ${describe(after)}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`
}

import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { ProcessUsage } from './childProtocol.js'
import { fromHistogram } from './distribution.js'

/**
 * Interval between two samples of the event loop, in milliseconds. Each measured delay includes it, so it is
 * subtracted.
 */
const RESOLUTION = 1
/** Length of one point of the curve over time, in milliseconds. */
const POINT = 100

const NO_DELAYS = { count: 0, p50: 0, p90: 0, p99: 0, max: 0, curve: [] }

/** Runs `work` and measures the CPU time and the event loop delay of this process until it resolves. */
export async function measureUsage<T>(work: () => Promise<T>): Promise<{ usage: ProcessUsage; result: T }> {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION })
  const point = monitorEventLoopDelay({ resolution: RESOLUTION })
  const loopOverTime: number[] = []
  const timer = setInterval(() => {
    loopOverTime.push(Number(Math.max(0, point.max / 1e6 - RESOLUTION).toFixed(2)))
    point.reset()
  }, POINT)
  const mainBefore = mainThreadSeconds()
  const allBefore = process.cpuUsage()
  const utilisation = performance.eventLoopUtilization()
  const start = performance.now()
  loop.enable()
  point.enable()
  try {
    const result = await work()
    const seconds = (performance.now() - start) / 1000
    const { user, system } = process.cpuUsage(allBefore)
    const mainAfter = mainThreadSeconds()
    loop.disable()
    const cpu: ProcessUsage['cpu'] = { all: (user + system) / 1e6 }
    if (mainBefore !== undefined && mainAfter !== undefined) cpu.main = mainAfter - mainBefore
    return {
      result,
      usage: {
        seconds,
        loop: fromHistogram(loop, 1e6, RESOLUTION) ?? NO_DELAYS,
        loopOverTime,
        utilisation: performance.eventLoopUtilization(utilisation).utilization,
        cpu,
      },
    }
  } finally {
    clearInterval(timer)
    loop.disable()
    point.disable()
  }
}

/** Ticks per second in /proc (USER_HZ), on every Linux that Node.js supports. */
const TICKS = 100

/**
 * Returns the CPU time of the main thread, in seconds. Linux reports it in nanoseconds (schedstat) or, in kernels built
 * without that, in hundredths of a second (stat). Returns undefined on other systems, where Node.js reports only the
 * total of all threads.
 */
function mainThreadSeconds(): number | undefined {
  const task = `/proc/self/task/${process.pid}`
  try {
    return Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9
  } catch {
    // Falls through to stat.
  }
  try {
    const stat = readFileSync(`${task}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS
  } catch {
    return undefined
  }
}

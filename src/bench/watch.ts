import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { fromHistogram } from './distribution.js'
import type { Watch } from './order.js'

/** Milliseconds between two looks at the event loop; it is part of each measured delay and taken off. */
const RESOLUTION = 1
/** Milliseconds of one point of the curve over time. */
const POINT = 100

/** Watches this process, above all its main thread, while `work` goes on. */
export async function watch<T>(work: () => Promise<T>): Promise<{ watched: Watch; result: T }> {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION })
  const point = monitorEventLoopDelay({ resolution: RESOLUTION })
  const loopOverTime: number[] = []
  const timer = setInterval(() => {
    loopOverTime.push(Number(Math.max(0, point.max / 1e6 - RESOLUTION).toFixed(2)))
    point.reset()
  }, POINT)
  const main = mainThreadSeconds()
  const all = process.cpuUsage()
  const utilisation = performance.eventLoopUtilization()
  const start = performance.now()
  loop.enable()
  point.enable()
  try {
    const result = await work()
    const seconds = (performance.now() - start) / 1000
    const { user, system } = process.cpuUsage(all)
    const mainAfter = mainThreadSeconds()
    loop.disable()
    const cpu: Watch['cpu'] = { all: (user + system) / 1e6 }
    if (main !== undefined && mainAfter !== undefined) cpu.main = mainAfter - main
    return {
      result,
      watched: {
        seconds,
        loop: fromHistogram(loop, 1e6, RESOLUTION) ?? NOTHING,
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

const NOTHING = { count: 0, p50: 0, p90: 0, p99: 0, max: 0, curve: [] }

/** Ticks of /proc a second, on every Linux that Node runs on (USER_HZ). */
const TICKS = 100

/**
 * Seconds of CPU this thread has used, if it is the main one: Linux tells them in nanoseconds (schedstat), or where
 * that is not compiled in, in hundredths (stat). Undefined on other systems, where Node can only tell all threads'.
 */
function mainThreadSeconds(): number | undefined {
  const task = `/proc/self/task/${process.pid}`
  try {
    return Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9
  } catch {
    // Tried next.
  }
  try {
    const stat = readFileSync(`${task}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS
  } catch {
    return undefined
  }
}

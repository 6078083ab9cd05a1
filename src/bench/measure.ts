import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/** What one process measured of itself while it sent. */
export interface Measurement {
  messages: number
  seconds: number
  /** Messages a second. */
  rate: number
  /** Milliseconds between two looks at the event loop, 1 ms when it is idle. */
  loop: { p50: number; p99: number; max: number }
  /** Microseconds of CPU a message: of the main thread (Linux only), and of the whole process. */
  cpu: { main?: number; total: number }
  /** Bytes. */
  rss: number
}

/** Measures work that sends `messages`. */
export async function measure(messages: number, work: () => Promise<void>): Promise<Measurement> {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  const cpuBefore = process.cpuUsage()
  const mainBefore = mainThreadCpu()
  const start = performance.now()
  histogram.enable()
  await work()
  histogram.disable()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const mainAfter = mainThreadCpu()
  const cpu: Measurement['cpu'] = { total: (user + system) / messages }
  if (mainBefore !== undefined && mainAfter !== undefined) cpu.main = (mainAfter - mainBefore) / messages
  return {
    messages,
    seconds,
    rate: messages / seconds,
    loop: {
      p50: histogram.percentile(50) / 1e6,
      p99: histogram.percentile(99) / 1e6,
      max: histogram.max / 1e6,
    },
    cpu,
    rss: process.memoryUsage.rss(),
  }
}

/** Clock ticks of /proc are 10 ms on every Linux that Node runs on (USER_HZ). */
const TICK = 10_000

/** Microseconds of CPU the main thread has used; undefined where the system doesn't tell. */
function mainThreadCpu(): number | undefined {
  try {
    const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK
  } catch {
    return undefined
  }
}

/**
 * A child process that fills a paused SQLite queue, then delivers from it for a while and submits a message for each
 * one sent. It shows whether memory and rate depend on the number of waiting messages.
 */
import { createMailer } from '../createMailer.js'
import { runTask } from './childProtocol.js'
import { measureUsage } from './processUsage.js'
import { type Security, transportOf } from './security.js'
import { recipientsOf, type Workload } from './workload.js'

export interface BacklogConfig {
  /** URL of the SMTP server. */
  transport: string
  security: Security
  workload: Workload
  connections: number
  /** Path of the SQLite file. */
  file: string
  /** Messages to submit before delivery starts. */
  messages: number
  /** Length of the delivery phase, in seconds. */
  seconds: number
}

export interface BacklogMeasurement {
  /** Waiting messages; fewer than requested if submitting them took too long. */
  messages: number
  /** Messages accepted per second. */
  acceptRate: number
  /** Resident set size when a tenth of the messages waited, in bytes. */
  rssAtTenth: number
  /** Resident set size when all messages waited, in bytes. */
  rss: number
  /** Messages delivered per second while the others waited. */
  rate: number
  /** CPU time of the main thread per message, in microseconds. */
  cpuMain?: number
  /** CPU time of all threads per message, in microseconds. */
  cpuAll: number
  /** 99th percentile of the event loop's lateness, in milliseconds. */
  loopP99: number
}

const BATCH = 500
/** Time limit for submitting the messages, in milliseconds. */
const FILL_TIMEOUT = 90_000
/** Messages to deliver before the measurement starts. */
const WARM_UP = 500
/** Time limit for the warm-up, in milliseconds. */
const WARM_UP_TIMEOUT = 10_000

runTask<BacklogMeasurement>(async (config: BacklogConfig) => {
  const { transport, security, workload, connections, file, messages, seconds } = config
  const mailer = await createMailer({
    transport: transportOf(transport, security),
    from: workload.from,
    templates: workload.templates,
    threads: 1,
    concurrency: connections,
    queue: `sqlite:${file}`,
    limits: { queue: messages + 100_000 },
  })
  let next = 0
  let sent = 0
  let refilling = false
  const mail = () => ({
    template: workload.template,
    data: workload.data,
    to: recipientsOf(workload, next++),
  })
  const submit = (count: number): Promise<unknown> => mailer.sendMany(Array.from({ length: count }, mail))
  mailer.on('sent', () => {
    sent++
    if (refilling) void mailer.send(mail()).catch(() => undefined)
  })
  try {
    await mailer.pause()
    const start = performance.now()
    const fill = async (count: number): Promise<void> => {
      while (next < count && performance.now() < start + FILL_TIMEOUT)
        await submit(Math.min(BATCH, count - next))
    }
    await fill(messages / 10)
    const rssAtTenth = process.memoryUsage.rss()
    await fill(messages)
    const acceptRate = next / ((performance.now() - start) / 1000)
    const waiting = next
    const rss = process.memoryUsage.rss()
    if (messages === 0) await submit(BATCH)
    refilling = true
    await mailer.resume()
    await waitUntil(() => sent >= WARM_UP, WARM_UP_TIMEOUT)
    sent = 0
    const { usage } = await measureUsage(() => waitUntil(() => false, seconds * 1000))
    const delivered = Math.max(1, sent)
    refilling = false
    await mailer.pause()
    const measurement: BacklogMeasurement = {
      messages: waiting,
      acceptRate,
      rssAtTenth,
      rss,
      rate: sent / usage.seconds,
      cpuAll: (usage.cpu.all * 1e6) / delivered,
      loopP99: usage.loop.p99,
    }
    if (usage.cpu.main !== undefined) measurement.cpuMain = (usage.cpu.main * 1e6) / delivered
    return measurement
  } finally {
    await mailer.close({ deadline: 1_000 })
  }
})

async function waitUntil(done: () => boolean, timeout: number): Promise<void> {
  const end = performance.now() + timeout
  while (performance.now() < end && !done()) await new Promise((resolve) => setTimeout(resolve, 10))
}

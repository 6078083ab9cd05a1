/**
 * A process that fills a SQLite queue that is paused, then delivers from it for a while: whether memory and rate depend
 * on how many wait.
 */
import { createMailer } from '../createMailer.js'
import { answerParent } from './answer.js'
import type { Workload } from './order.js'
import { recipientsOf } from './recipients.js'
import { watch } from './watch.js'

export interface BacklogOrder {
  transport: string
  workload: Workload
  connections: number
  file: string
  /** How many wait. */
  messages: number
  /** How long is delivered. */
  seconds: number
}

export interface BacklogMeasurement {
  /** How many waited: fewer than ordered where taking them in took too long. */
  messages: number
  /** Messages a second that were taken in. */
  takenIn: number
  /** Bytes, when a tenth of them waited, and when all did. */
  rssAtTenth: number
  rss: number
  /** Messages a second that were delivered while the rest waited. */
  rate: number
  /** Microseconds a message. */
  cpuMain?: number
  cpuAll: number
  /** Milliseconds. */
  loopP99: number
}

const BATCH = 500
/** Milliseconds for taking them in. */
const PATIENCE = 90_000
/** Where nothing is to wait, so many go out in the measured time at most. */
const SUPPLY = 40_000

answerParent<BacklogMeasurement>(async (order: BacklogOrder) => {
  const { transport, workload, connections, file, messages, seconds } = order
  const mailer = await createMailer({
    transport,
    from: workload.from,
    templates: workload.templates,
    threads: 1,
    concurrency: connections,
    queue: `sqlite:${file}`,
    limits: { queue: messages + SUPPLY * 2 },
  })
  try {
    await mailer.pause()
    let sent = 0
    mailer.on('sent', () => sent++)
    let next = 0
    const start = performance.now()
    const deadline = start + PATIENCE
    const take = async (count: number): Promise<void> => {
      for (const end = next + count; next < end && performance.now() < deadline; next += BATCH) {
        const mails = Array.from({ length: BATCH }, (_, index) => ({
          template: workload.template,
          data: workload.data,
          to: recipientsOf(workload, next + index),
        }))
        await mailer.sendMany(mails)
      }
    }
    await take(messages / 10)
    const rssAtTenth = process.memoryUsage.rss()
    await take(messages - next)
    const takenIn = next / ((performance.now() - start) / 1000)
    const rss = process.memoryUsage.rss()
    if (messages === 0) await take(SUPPLY)
    await mailer.resume()
    // The first second is for warming up.
    await settle(1_000)
    sent = 0
    const { watched } = await watch(() => settle(seconds * 1000, () => messages === 0 && sent >= SUPPLY / 2))
    const measurement: BacklogMeasurement = {
      messages: messages === 0 ? 0 : next,
      takenIn: next === 0 ? 0 : takenIn,
      rssAtTenth,
      rss,
      rate: sent / watched.seconds,
      cpuAll: (watched.cpu.all * 1e6) / sent,
      loopP99: watched.loop.p99,
    }
    if (watched.cpu.main !== undefined) measurement.cpuMain = (watched.cpu.main * 1e6) / sent
    await mailer.pause()
    return measurement
  } finally {
    await mailer.close({ deadline: 1_000 })
  }
})

async function settle(milliseconds: number, done: () => boolean = () => false): Promise<void> {
  const end = performance.now() + milliseconds
  while (performance.now() < end && !done()) await new Promise((resolve) => setTimeout(resolve, 10))
}

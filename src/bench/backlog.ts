/**
 * A process that fills a SQLite queue that is paused, then delivers from it for a while and hands over as much as goes
 * out: whether memory and rate depend on how many wait.
 */
import { createMailer } from '../createMailer.js'
import { answerParent } from './childMessages.js'
import type { Workload } from './order.js'
import { watch } from './watch.js'
import { recipientsOf } from './workload.js'

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
/** So many have gone out before the measuring begins, if that doesn't take too long. */
const WARM_UP = 500
const WARM_UP_PATIENCE = 10_000

answerParent<BacklogMeasurement>(async (order: BacklogOrder) => {
  const { transport, workload, connections, file, messages, seconds } = order
  const mailer = await createMailer({
    transport,
    from: workload.from,
    templates: workload.templates,
    threads: 1,
    concurrency: connections,
    queue: `sqlite:${file}`,
    limits: { queue: messages + 100_000 },
  })
  let next = 0
  let sent = 0
  let feeding = false
  const mail = () => ({
    template: workload.template,
    data: workload.data,
    to: recipientsOf(workload, next++),
  })
  const hand = (count: number): Promise<unknown> => mailer.sendMany(Array.from({ length: count }, mail))
  mailer.on('sent', () => {
    sent++
    if (feeding) void mailer.send(mail()).catch(() => undefined)
  })
  try {
    await mailer.pause()
    const start = performance.now()
    const fill = async (count: number): Promise<void> => {
      while (next < count && performance.now() < start + PATIENCE) await hand(Math.min(BATCH, count - next))
    }
    await fill(messages / 10)
    const rssAtTenth = process.memoryUsage.rss()
    await fill(messages)
    const takenIn = next / ((performance.now() - start) / 1000)
    const waiting = next
    const rss = process.memoryUsage.rss()
    if (messages === 0) await hand(BATCH)
    feeding = true
    await mailer.resume()
    await until(() => sent >= WARM_UP, WARM_UP_PATIENCE)
    sent = 0
    const { watched } = await watch(() => until(() => false, seconds * 1000))
    const delivered = Math.max(1, sent)
    feeding = false
    await mailer.pause()
    const measurement: BacklogMeasurement = {
      messages: waiting,
      takenIn,
      rssAtTenth,
      rss,
      rate: sent / watched.seconds,
      cpuAll: (watched.cpu.all * 1e6) / delivered,
      loopP99: watched.loop.p99,
    }
    if (watched.cpu.main !== undefined) measurement.cpuMain = (watched.cpu.main * 1e6) / delivered
    return measurement
  } finally {
    await mailer.close({ deadline: 1_000 })
  }
})

async function until(done: () => boolean, patience: number): Promise<void> {
  const end = performance.now() + patience
  while (performance.now() < end && !done()) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** One measured mode, in a process of its own: told a {@link RunOrder} by its parent, it answers with what it measured. */
import { setTimeout as pause } from 'node:timers/promises'
import { answerParent } from './childMessages.js'
import { type Distribution, distributionOf } from './distribution.js'
import { type HttpLoad, startHttpLoad } from './http/httpLoad.js'
import { type Delivered, Load } from './mailLoad.js'
import type { MailPhase, Measurement, RunOrder, Watch } from './order.js'
import { type Subject, createSubject } from './subject.js'
import { watch } from './watch.js'

/** In which V8 gets to know the code before anything is measured, as a share of what is; at least so many seconds. */
const WARM_UP = 1
const LEAST_WARM_UP = 0.4
const ALONE = { seconds: 0.4, messages: 50 }
const IDLE = 0.6

answerParent<Measurement>(async (order: RunOrder) => {
  const subject = await createSubject(order)
  const http = order.http > 0 ? await startHttpLoad(order.http) : undefined
  try {
    return await measure(order, subject, http)
  } finally {
    await subject.close()
    await http?.close()
  }
})

async function measure(order: RunOrder, subject: Subject, http: HttpLoad | undefined): Promise<Measurement> {
  const load = new Load(subject, order.batch)
  await load.oneAfterAnother({ seconds: 60, messages: 1 })
  // Counted from the start of this process.
  const start = performance.now()
  await load.asFastAsPossible({ seconds: Math.max(LEAST_WARM_UP, order.seconds * WARM_UP) })
  const { result: alone, watched } = await watch(() => load.oneAfterAnother(ALONE))
  const idle = await watch(() => under(http, () => pause(order.seconds * 1000 * IDLE)))
  const mail = await watch(() => send(load, order))
  const measurement: Measurement = {
    start,
    alone: { send: spread(alone.send), delivery: spread(alone.delivery), loop: watched.loop },
    idle: { ...idle.watched, ...(idle.result.http === undefined ? {} : { http: idle.result.http }) },
    mail: mailPhase(mail.result, mail.watched),
    rss: 0,
  }
  if (http !== undefined) {
    const both = await watch(() => under(http, () => send(load, order)))
    const { result, http: latency } = both.result
    if (latency !== undefined) measurement.both = { ...mailPhase(result, both.watched), http: latency }
  }
  measurement.rss = process.memoryUsage.rss()
  return measurement
}

function send(load: Load, { rate, seconds, messages }: RunOrder): Promise<Delivered> {
  const limits = { seconds, ...(messages === undefined ? {} : { messages }) }
  return rate === undefined ? load.asFastAsPossible(limits) : load.atRate(rate, limits)
}

async function under<T>(
  http: HttpLoad | undefined,
  work: () => Promise<T>,
): Promise<{ result: T; http?: Distribution }> {
  if (http === undefined) return { result: await work() }
  await http.begin()
  const result = await work()
  const latency = await http.end()
  return latency === undefined ? { result } : { result, http: latency }
}

function mailPhase({ messages, seconds, delivery, unfinished }: Delivered, watched: Watch): MailPhase {
  return { ...watched, messages, rate: messages / seconds, delivery: spread(delivery), unfinished }
}

function spread(samples: number[]): Distribution {
  const distribution = distributionOf(samples)
  if (distribution === undefined) throw new Error('not one mail arrived in time')
  return distribution
}

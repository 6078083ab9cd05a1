/** A child process that measures one mode: it receives a {@link ChildTask} and answers with the result. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ChildTask,
  type MailPhase,
  type Measurement,
  type ProcessUsage,
  type RatePoint,
  reportProgress,
  type RunConfig,
  runTask,
  type SoakSample,
} from './childProtocol.js'
import { type Distribution, distributionOf } from './distribution.js'
import type { HttpLoad } from './http/httpLoad.js'
import { keepPace, type LoadResult, MailLoad, type PhaseLimits } from './mailLoad.js'
import { measureUsage } from './processUsage.js'
import { createSubject, type Subject } from './subject.js'

/** Length of the warm-up, in which V8 optimizes the code, relative to that of a measured phase. */
const WARM_UP = 1
/** Minimum length of the warm-up, in seconds. */
const MIN_WARM_UP = 0.4
/** Limits of the phase with one message at a time. */
const ALONE = { seconds: 0.4, messages: 50 }
/** Length of the phase without mail, relative to that of the others. */
const IDLE = 0.6
/** The first messages, which are reported apart. */
const COLD = 1_000
/** Length of the measurement of the overhead, relative to that of a measured phase. */
const OVERHEAD = 0.4
/** Rates at which applications send, in messages per second. */
const RATES = [20, 100, 500]
/** Length of one sample of a soak test, in seconds. */
const SAMPLE = 1

// The start of the process and its memory are measured, so each task imports only the modules that it needs.
runTask(async (request: ChildTask) => {
  if (request.task === 'trial') {
    const { tryWorkload } = await import('./threadpost.js')
    return tryWorkload(request.config)
  }
  const { task, config } = request
  const subject = await createSubject(config)
  try {
    if (task === 'start') return await measureStart(subject)
    if (task === 'soak') return await soak(config, subject)
    if (task === 'rates') return await measureRates(config, subject)
    return await measureWithHttp(config, subject)
  } finally {
    await subject.close()
  }
})

/** Returns the time from the start of this process to the delivery of its first message, in milliseconds. */
async function measureStart(subject: Subject): Promise<{ start: number }> {
  await new MailLoad(subject, 1).oneAfterAnother({ seconds: 60, messages: 1 })
  return { start: performance.now() }
}

async function measureWithHttp(config: RunConfig, subject: Subject): Promise<Measurement> {
  if (config.http === 0) return measure(config, subject)
  const { startHttpLoad } = await import('./http/httpLoad.js')
  const http = await startHttpLoad(config.http)
  try {
    return await measure(config, subject, http)
  } finally {
    await http.close()
  }
}

async function measure(config: RunConfig, subject: Subject, http?: HttpLoad): Promise<Measurement> {
  const load = new MailLoad(subject, config.batch)
  await load.oneAfterAnother({ seconds: 60, messages: 1 })
  // performance.now() counts from the start of this process.
  const start = performance.now()
  const cold = await warmUp(load, config)
  const overhead = await measureOverhead(config.rate, config.seconds)
  const { result: alone, usage } = await measureUsage(() => load.oneAfterAnother(ALONE))
  const idle = await measureUsage(() => withHttpLoad(http, () => pause(config.seconds * 1000 * IDLE)))
  const mail = await measureUsage(() => send(load, config))
  const measurement: Measurement = {
    start,
    cold,
    overhead,
    alone: { send: toDistribution(alone.send), delivery: toDistribution(alone.delivery), loop: usage.loop },
    idle: { ...idle.usage, ...(idle.result.http === undefined ? {} : { http: idle.result.http }) },
    mail: mailPhase(mail.result, mail.usage),
    rss: 0,
  }
  if (http !== undefined) {
    const both = await measureUsage(() => withHttpLoad(http, () => send(load, config)))
    const { result, http: latency } = both.result
    if (latency !== undefined) measurement.both = { ...mailPhase(result, both.usage), http: latency }
  }
  measurement.rss = process.memoryUsage.rss()
  return measurement
}

/** Sends the first messages, and then more, until V8 has optimized the code. Returns the rate of the first ones. */
async function warmUp(load: MailLoad, { seconds }: RunConfig): Promise<Measurement['cold']> {
  const first = await load.asFastAsPossible({ seconds, messages: COLD })
  await load.asFastAsPossible({ seconds: Math.max(MIN_WARM_UP, seconds * WARM_UP) })
  return { messages: first.messages, rate: first.messages / first.seconds }
}

/** Measures what the measurement itself costs: the same monitors and, with a rate, the same timers, without mail. */
async function measureOverhead(rate: number | undefined, seconds: number): Promise<ProcessUsage> {
  const time = seconds * OVERHEAD
  const { usage } = await measureUsage(() =>
    rate === undefined ? pause(time * 1000) : keepPace(rate, Math.ceil(rate * time), () => true),
  )
  return usage
}

/** Measures what a message costs at each rate, in one warm process. */
async function measureRates(config: RunConfig, subject: Subject): Promise<RatePoint[]> {
  const load = new MailLoad(subject, 1)
  await warmUp(load, config)
  const points: RatePoint[] = []
  for (const at of RATES) {
    const overhead = await measureOverhead(at, config.seconds)
    const { result, usage } = await measureUsage(() => load.atRate(at, { seconds: config.seconds }))
    points.push({ at, overhead, mail: mailPhase(result, usage) })
  }
  return points
}

function send(load: MailLoad, { rate, seconds, messages }: RunConfig): Promise<LoadResult> {
  const limits: PhaseLimits = { seconds, ...(messages === undefined ? {} : { messages }) }
  return rate === undefined ? load.asFastAsPossible(limits) : load.atRate(rate, limits)
}

async function withHttpLoad<T>(
  http: HttpLoad | undefined,
  work: () => Promise<T>,
): Promise<{ result: T; http?: Distribution }> {
  if (http === undefined) return { result: await work() }
  await http.begin()
  const result = await work()
  const latency = await http.end()
  return latency === undefined ? { result } : { result, http: latency }
}

function mailPhase({ messages, seconds, delivery, unfinished }: LoadResult, usage: ProcessUsage): MailPhase {
  return { ...usage, messages, rate: messages / seconds, delivery: toDistribution(delivery), unfinished }
}

function toDistribution(samples: number[]): Distribution {
  const distribution = distributionOf(samples)
  if (distribution === undefined) throw new Error('no message was delivered in time')
  return distribution
}

/** Sends for a long time and reports a {@link SoakSample} to the parent every second. */
async function soak(config: RunConfig, subject: Subject): Promise<{ messages: number }> {
  const load = new MailLoad(subject, config.batch)
  const start = performance.now()
  let messages = 0
  for (let seconds = 0; seconds < config.seconds;) {
    const limits = { seconds: Math.min(SAMPLE, config.seconds - seconds) }
    const { result, usage } = await measureUsage(() =>
      config.rate === undefined ? load.asFastAsPossible(limits) : load.atRate(config.rate, limits),
    )
    messages += result.messages
    // A server may close a connection right after a message; this pause lets the socket count reflect that.
    await pause(1)
    seconds = (performance.now() - start) / 1000
    const { rss, heapUsed } = process.memoryUsage()
    const sample: SoakSample = {
      seconds,
      rate: result.messages / result.seconds,
      rss,
      heap: heapUsed,
      loopP99: usage.loop.p99,
    }
    const sockets = openSockets()
    if (sockets !== undefined) sample.sockets = sockets
    reportProgress(sample)
  }
  return { messages }
}

function openSockets(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').filter((file) => {
      try {
        return readlinkSync(`/proc/self/fd/${file}`).startsWith('socket:')
      } catch {
        return false
      }
    }).length
  } catch {
    return undefined
  }
}

/** A process that sends for a long time and tells every second how it is. */
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { answerParent, noteToParent } from './childMessages.js'
import { Load } from './mailLoad.js'
import type { RunOrder } from './order.js'
import { createSubject } from './subject.js'
import { watch } from './watch.js'

/** One second of a soak. */
export interface SoakSample {
  /** Since the beginning. */
  seconds: number
  /** Messages a second. */
  rate: number
  /** Bytes: of the process with its threads, and of the main thread's heap. */
  rss: number
  heap: number
  /** Open sockets of the process; undefined where the system doesn't tell. */
  sockets?: number
  /** Milliseconds. */
  loopP99: number
}

/** Seconds of one sample. */
const STEP = 1

answerParent<{ messages: number }>(async (order: RunOrder) => {
  const subject = await createSubject(order)
  try {
    const load = new Load(subject, order.batch)
    const start = performance.now()
    let messages = 0
    for (let seconds = 0; seconds < order.seconds;) {
      const limits = { seconds: Math.min(STEP, order.seconds - seconds) }
      const { result, watched } = await watch(() =>
        order.rate === undefined ? load.asFastAsPossible(limits) : load.atRate(order.rate, limits),
      )
      messages += result.messages
      // What a server does to its connections when a mail is done is seen only after it.
      await pause(1)
      seconds = (performance.now() - start) / 1000
      const { rss, heapUsed } = process.memoryUsage()
      const sample: SoakSample = {
        seconds,
        rate: result.messages / result.seconds,
        rss,
        heap: heapUsed,
        loopP99: watched.loop.p99,
      }
      const sockets = openSockets()
      if (sockets !== undefined) sample.sockets = sockets
      noteToParent(sample)
    }
    return { messages }
  } finally {
    await subject.close()
  }
})

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

import type { ProcessUsage, RatePoint } from './childProtocol.js'

/** The cost of a message at a rate, without the overhead of the measurement. */
export interface RateCost {
  /** Scheduled messages per second. */
  at: number
  /** Main-thread CPU per message in µs; undefined where the operating system doesn't report it, or no message was sent in time. */
  cpuMain?: number
  /** CPU of the whole process per message, in µs; undefined if no message was sent in time. */
  cpuAll?: number
  /** Main-thread CPU of the measurement itself, in ms per second. It is subtracted. */
  overhead?: number
  /** Time from the scheduled time to the server's acceptance, in ms. */
  deliveryP50: number
  deliveryP99: number
  /** 99th percentile of the event loop's lateness, in ms. */
  loopP99: number
  /** Messages not delivered in time. */
  unfinished: number
}

export interface ModeRates {
  /** Name of the mode. */
  mode: string
  points: RateCost[]
}

export function atRate({ at, mail, overhead }: RatePoint): RateCost {
  const main = cpuPerMessage(mail, overhead, 'main')
  const all = cpuPerMessage(mail, overhead, 'all')
  const perSecond = overheadPerSecond(overhead)
  return {
    at,
    ...(main === undefined ? {} : { cpuMain: main }),
    ...(all === undefined ? {} : { cpuAll: all }),
    ...(perSecond === undefined ? {} : { overhead: perSecond }),
    deliveryP50: mail.delivery.p50,
    deliveryP99: mail.delivery.p99,
    loopP99: mail.loop.p99,
    unfinished: mail.unfinished,
  }
}

/** Returns the CPU time per message in µs, without what the measurement itself takes in that time. */
export function cpuPerMessage(
  mail: ProcessUsage & { messages: number },
  overhead: ProcessUsage,
  of: 'main' | 'all',
): number | undefined {
  const [used, own] = [mail.cpu[of], overhead.cpu[of]]
  if (used === undefined || own === undefined || mail.messages === 0) return undefined
  return Math.max(0, ((used - (own / overhead.seconds) * mail.seconds) * 1e6) / mail.messages)
}

/** Returns the main-thread CPU of the measurement itself, in ms per second. */
export function overheadPerSecond({ cpu, seconds }: ProcessUsage): number | undefined {
  return cpu.main === undefined ? undefined : (cpu.main * 1000) / seconds
}

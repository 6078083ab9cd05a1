/** Submits messages to a {@link Subject}: as fast as possible, one at a time, or on a fixed schedule. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Subject } from './subject.js'

export interface PhaseLimits {
  seconds: number
  /** Ends the phase early, after this many messages. @default no limit */
  messages?: number
}

export interface LoadResult {
  messages: number
  /** Time from the first submission to the last delivery, in seconds. */
  seconds: number
  /** Time from submission, or from the scheduled time, to the server's acceptance, in milliseconds; one per message. */
  delivery: number[]
  unfinished: number
}

/** Messages submitted in one turn of the event loop until the window is full. */
const STEP = 20

/** Numbers the messages through all phases of a process. */
export class MailLoad {
  readonly #subject: Subject
  readonly #batch: number
  #next = 0

  constructor(subject: Subject, batch: number) {
    this.#subject = subject
    this.#batch = batch
  }

  /** Keeps the subject's window full: a closed loop. Resolves when the last message has been delivered. */
  asFastAsPossible({ seconds, messages = Infinity }: PhaseLimits): Promise<LoadResult> {
    const { window } = this.#subject
    const batch = Math.min(this.#batch, window)
    const base = this.#next
    const submittedAt: number[] = []
    const delivery: number[] = []
    const start = performance.now()
    const deadline = start + seconds * 1000
    return new Promise((resolve, reject) => {
      const onDelivered = (mail: number, failure?: string): void => {
        if (failure !== undefined) {
          reject(new Error(failure))
          return
        }
        const now = performance.now()
        delivery.push(now - submittedAt[mail - base]!)
        const inFlight = submittedAt.length - delivery.length
        const active = submittedAt.length < messages && now < deadline
        if (active && inFlight <= window - batch) submit(now)
        else if (!active && inFlight === 0)
          resolve({ messages: delivery.length, seconds: (now - start) / 1000, delivery, unfinished: 0 })
      }
      const submit = (now: number): void => {
        const count = Math.min(batch, messages - submittedAt.length)
        const first = this.#reserve(count)
        for (let mail = 0; mail < count; mail++) submittedAt.push(now)
        this.#subject.submit(first, count, onDelivered).catch(reject)
      }
      // Fills the window in small steps, as requests reach a server, instead of in one long block of work.
      const ramp = (): void => {
        for (let step = 0; step < STEP; step += batch) {
          const now = performance.now()
          const full = submittedAt.length - delivery.length > window - batch
          if (full || submittedAt.length >= messages || (now >= deadline && submittedAt.length > 0)) return
          submit(now)
        }
        setImmediate(ramp)
      }
      ramp()
    })
  }

  /** Submits each message after the previous one was delivered: the time of one message on an idle machine. */
  async oneAfterAnother({
    seconds,
    messages = Infinity,
  }: PhaseLimits): Promise<{ send: number[]; delivery: number[] }> {
    const send: number[] = []
    const delivery: number[] = []
    const deadline = performance.now() + seconds * 1000
    while (send.length < messages && performance.now() < deadline) {
      const submittedAt = performance.now()
      let accepted: Promise<unknown> = Promise.resolve()
      const delivered = new Promise<number>((resolve, reject) => {
        accepted = this.#subject
          .submit(this.#reserve(1), 1, (_, failure) => {
            if (failure === undefined) resolve(performance.now() - submittedAt)
            else reject(new Error(failure))
          })
          .then(() => send.push(performance.now() - submittedAt), reject)
      })
      delivery.push(await delivered)
      await accepted
    }
    return { send, delivery }
  }

  /**
   * Submits on a fixed schedule, whether or not the subject keeps up: an open loop. A message's time counts from its
   * scheduled time, not from the moment at which the busy process submitted it; otherwise the worst delays would be
   * omitted (coordinated omission). The wait for the last deliveries is limited to the length of the phase plus one
   * second. Messages still missing then are unfinished, and count with their waiting time so far.
   */
  async atRate(rate: number, { seconds, messages = Infinity }: PhaseLimits): Promise<LoadResult> {
    const total = Math.min(messages, Math.ceil(rate * seconds))
    const base = this.#next
    this.#next += total
    const start = performance.now()
    const dueAt = (mail: number): number => start + (mail * 1000) / rate
    /** Time of each message's delivery; 0 until then. */
    const deliveredAt = new Float64Array(total)
    const problem: { failure?: Error } = {}
    let delivered = 0
    const onDelivered = (mail: number, failure?: string): void => {
      if (failure !== undefined) problem.failure ??= new Error(failure)
      deliveredAt[mail - base] = performance.now()
      delivered++
    }
    await keepPace(rate, total, (index) => {
      this.#subject
        .submit(base + index, 1, onDelivered)
        .catch((error: unknown) => (problem.failure ??= error as Error))
      return problem.failure === undefined
    })
    const deadline = performance.now() + seconds * 1000 + 1000
    while (delivered < total && performance.now() < deadline && problem.failure === undefined) await pause(5)
    if (problem.failure !== undefined) throw problem.failure
    const end = performance.now()
    const finished = delivered
    return {
      messages: finished,
      seconds: (end - start) / 1000,
      delivery: Array.from(deliveredAt, (time, mail) => (time === 0 ? end : time) - dueAt(mail)),
      unfinished: total - finished,
    }
  }

  #reserve(count: number): number {
    const first = this.#next
    this.#next += count
    return first
  }
}

/**
 * Calls `submit` for each of `total` messages when it is due. Without messages to submit, it costs the same, and is measured as a part of the
 * overhead.
 * @param submit ends the schedule by returning false
 */
export async function keepPace(
  rate: number,
  total: number,
  submit: (index: number) => boolean,
): Promise<void> {
  const start = performance.now()
  let next = 0
  while (next < total) {
    const now = performance.now() - start
    const due = Math.min(total, Math.floor((now * rate) / 1000) + 1)
    for (; next < due; next++) if (!submit(next)) return
    await pause(Math.max(1, (next * 1000) / rate - now))
  }
}

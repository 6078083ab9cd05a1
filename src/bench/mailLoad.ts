/** How mail is handed over: as fast as it is taken, one at a time, or by the clock. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Subject } from './subject.js'

export interface Limits {
  seconds: number
  /** An earlier end. */
  messages?: number
}

export interface Delivered {
  messages: number
  /** From the first that was handed over to the last that was delivered. */
  seconds: number
  /** Milliseconds from handing over, or from when that was due, to the server's yes; one for each mail. */
  delivery: number[]
  unfinished: number
}

/** Mails handed over in one turn of the event loop until as many as wanted are under way. */
const STEP = 20

/** Numbers mails through all phases of a process. */
export class Load {
  readonly #subject: Subject
  readonly #batch: number
  #next = 0

  constructor(subject: Subject, batch: number) {
    this.#subject = subject
    this.#batch = batch
  }

  /** A bounded number is under way at a time: closed loop. Ends when the last of them is delivered. */
  asFastAsPossible({ seconds, messages = Infinity }: Limits): Promise<Delivered> {
    const { window } = this.#subject
    const batch = Math.min(this.#batch, window)
    const base = this.#next
    const begun: number[] = []
    const delivery: number[] = []
    const start = performance.now()
    const deadline = start + seconds * 1000
    return new Promise((resolve, reject) => {
      const settled = (mail: number, failure?: string): void => {
        if (failure !== undefined) {
          reject(new Error(failure))
          return
        }
        const now = performance.now()
        delivery.push(now - begun[mail - base]!)
        const underWay = begun.length - delivery.length
        const goesOn = begun.length < messages && now < deadline
        if (goesOn && underWay <= window - batch) fill(now)
        else if (!goesOn && underWay === 0)
          resolve({ messages: delivery.length, seconds: (now - start) / 1000, delivery, unfinished: 0 })
      }
      const fill = (now: number): void => {
        const count = Math.min(batch, messages - begun.length)
        const first = this.#take(count)
        for (let mail = 0; mail < count; mail++) begun.push(now)
        this.#subject.hand(first, count, settled).catch(reject)
      }
      // In small steps, as requests come to a server, and not as one long block of work.
      const ramp = (): void => {
        for (let step = 0; step < STEP; step += batch) {
          const now = performance.now()
          const full = begun.length - delivery.length > window - batch
          if (full || begun.length >= messages || (now >= deadline && begun.length > 0)) return
          fill(now)
        }
        setImmediate(ramp)
      }
      ramp()
    })
  }

  /** The next one goes when the last has arrived: what one mail takes on an idle machine. */
  async oneAfterAnother({
    seconds,
    messages = Infinity,
  }: Limits): Promise<{ send: number[]; delivery: number[] }> {
    const send: number[] = []
    const delivery: number[] = []
    const deadline = performance.now() + seconds * 1000
    while (send.length < messages && performance.now() < deadline) {
      const begun = performance.now()
      let accepted: Promise<unknown> = Promise.resolve()
      const arrival = new Promise<number>((resolve, reject) => {
        accepted = this.#subject
          .hand(this.#take(1), 1, (_, failure) => {
            if (failure === undefined) resolve(performance.now() - begun)
            else reject(new Error(failure))
          })
          .then(() => send.push(performance.now() - begun), reject)
      })
      delivery.push(await arrival)
      await accepted
    }
    return { send, delivery }
  }

  /**
   * By the clock, whether or not the mode keeps up: open loop. A mail's time counts from when it was due and not from
   * when the busy process got round to it; else the worst waits would be left out (coordinated omission). What has not
   * arrived when as much time again has passed is unfinished, and counts with the time it has waited so far.
   */
  async atRate(rate: number, { seconds, messages = Infinity }: Limits): Promise<Delivered> {
    const total = Math.min(messages, Math.ceil(rate * seconds))
    const base = this.#next
    this.#next += total
    const start = performance.now()
    const dueAt = (mail: number): number => start + (mail * 1000) / rate
    /** When each arrived; 0 is not yet. */
    const arrivals = new Float64Array(total)
    const problem: { failure?: Error } = {}
    let arrived = 0
    const settled = (mail: number, failure?: string): void => {
      if (failure !== undefined) problem.failure ??= new Error(failure)
      arrivals[mail - base] = performance.now()
      arrived++
    }
    let next = 0
    while (next < total && problem.failure === undefined) {
      const due = Math.min(total, Math.floor(((performance.now() - start) * rate) / 1000) + 1)
      for (; next < due; next++)
        this.#subject
          .hand(base + next, 1, settled)
          .catch((error: unknown) => (problem.failure ??= error as Error))
      await pause(1)
    }
    const patience = performance.now() + seconds * 1000 + 1000
    while (arrived < total && performance.now() < patience && problem.failure === undefined) await pause(5)
    if (problem.failure !== undefined) throw problem.failure
    const end = performance.now()
    const messagesArrived = arrived
    return {
      messages: messagesArrived,
      seconds: (end - start) / 1000,
      delivery: Array.from(arrivals, (arrival, mail) => (arrival === 0 ? end : arrival) - dueAt(mail)),
      unfinished: total - messagesArrived,
    }
  }

  #take(count: number): number {
    const first = this.#next
    this.#next += count
    return first
  }
}

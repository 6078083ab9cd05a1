import { TransportQueue, type WaitingMessage } from './transportQueue.js'
import type { TransportState } from './transportState.js'

/** The runner's slots. */
interface SlotSource {
  readonly capacity: number
  readonly free: number
  reserve(): number | undefined
  lend(slot: number): void
  release(slot: number): void
}

/**
 * Makes messages due that the queue holds because of a transport's budget.
 * @param most the maximum number of messages
 * @returns the number of messages that are due now
 */
export type WakeHeld = (transport: TransportState, most: number) => Promise<number>

/** While more than this share of the slots is free, messages are prepared before their time. */
const SPARE_SHARE = 0.5
/** Milliseconds between two checks of a limit that rises by itself, or for which the queue holds messages. */
const RECHECK_INTERVAL = 1_000

/** Milliseconds until a queue that was unavailable is asked again to wake messages. */
const WAKE_RETRY = 500

/**
 * Orders the messages that wait for a transport's budget, or for a slot. A higher priority starts first, no matter when it
 * arrived. Only the messages that can start within the next seconds wait for a budget here, without a slot. The queue holds
 * the others until a given time. So it can always hand out messages for other transports and of higher priority, and
 * each message is stored about once while it waits, however long that is.
 *
 * Invariants: a message starts with a slot that is reserved at that moment. It is in a transport queue, or it was started or
 * postponed, before any other code runs. While messages wait, an event is pending that checks them again: the release of a
 * slot or a lease, or the timer of their transport queue.
 */
export class AdmissionQueue {
  readonly #queues = new Map<TransportState | undefined, TransportQueue>()
  /** Those with messages, in the order in which they get free slots. */
  readonly #waiting = new Set<TransportQueue>()
  readonly #slots: SlotSource
  readonly #wake: WakeHeld
  /** Called when a slot was lent. */
  onMoreSlots: () => void = () => undefined
  #size = 0
  #forBudget = 0
  #closed = false

  constructor(slots: SlotSource, wake: WakeHeld) {
    this.#slots = slots
    this.#wake = wake
  }

  /** Messages that wait here. */
  get size(): number {
    return this.#size
  }

  /** The messages among them that wait for a budget. They need no slot, so the queue may hand out as many more. */
  get waitingForBudget(): number {
    return this.#forBudget
  }

  /** Adds a message. It may be started or postponed before this returns. */
  add(transport: TransportState | undefined, message: WaitingMessage): void {
    if (this.#closed) {
      message.postpone(0)
      return
    }
    const queue = this.#queueOf(transport)
    queue.add(message)
    this.#waiting.add(queue)
    this.#size++
    if (message.forBudget) this.#forBudget++
    this.#admit(queue)
    if (!queue.full) return
    const last = queue.evictLast()
    if (last === undefined) return
    this.#removed(queue, last.message)
    last.message.postpone(last.delay)
  }

  /** Starts the messages that a released slot or lease allows. */
  advance(): void {
    if (this.#size === 0) return
    for (const queue of [...this.#waiting]) {
      if (queue.size === 0 || !this.#admit(queue) || !this.#waiting.delete(queue)) continue
      // When slots are scarce, the next one goes to another transport.
      this.#waiting.add(queue)
    }
  }

  /** Starts the messages that a transport's new limit allows, and wakes more of those that the queue holds. */
  recheck(transport: TransportState): void {
    if (this.#closed) return
    const queue = this.#queueOf(transport)
    queue.assumeHeld()
    this.#admit(queue)
  }

  /**
   * Watches a delivery that begins now: if it waits for a slow server, another one may begin in its place.
   * @returns must be called when it has ended and its slot is released
   */
  watch(transport: TransportState, slot: number): () => void {
    const end = transport.watch(() => {
      this.#slots.lend(slot)
      this.advance()
      this.onMoreSlots()
    })
    return () => {
      if (end?.() === true) this.recheck(transport)
    }
  }

  /** Removes a message. @returns whether it waited here */
  cancel(id: string): boolean {
    for (const queue of this.#waiting) {
      const message = queue.remove(id)
      if (message === undefined) continue
      this.#removed(queue, message)
      message.postpone(0)
      return true
    }
    return false
  }

  /** Forgets a transport that is gone, and postpones its messages; they are due again at once. */
  forget(transport: TransportState): void {
    const queue = this.#queues.get(transport)
    if (queue === undefined) return
    this.#queues.delete(transport)
    clearTimeout(queue.timer)
    for (const message of queue.clear()) {
      this.#removed(queue, message)
      message.postpone(0)
    }
  }

  /** Postpones all messages, and every message added later; they are due again at once. */
  close(): void {
    this.#closed = true
    this.#size = this.#forBudget = 0
    for (const queue of this.#queues.values()) {
      clearTimeout(queue.timer)
      for (const message of queue.clear()) message.postpone(0)
    }
  }

  /** Starts the messages that may start, and schedules the next check of the others. @returns whether any started */
  #admit(queue: TransportQueue): boolean {
    const before = queue.size
    const wait = this.#startReady(queue)
    const started = queue.size < before
    this.#refill(queue)
    const risesByItself = queue.size > 0 && queue.transport?.slowed === true
    const next = Math.min(wait, risesByItself || queue.mayHoldMore ? RECHECK_INTERVAL : Infinity)
    clearTimeout(queue.timer)
    const current = this.#queues.get(queue.transport) === queue
    if (next < Infinity && !this.#closed && current)
      queue.timer = setTimeout(() => this.#admit(queue), Math.ceil(next)).unref()
    return started
  }

  /** @returns milliseconds until the next message may start; `Infinity` if it waits for the release of a slot or lease */
  #startReady(queue: TransportQueue): number {
    const slots = this.#slots
    for (let index = 0; index < queue.size;) {
      const message = queue.at(index)!
      const spare = slots.free > slots.capacity * SPARE_SHARE
      const slot = slots.reserve()
      if (slot === undefined) return Infinity
      const lease = queue.transport?.acquire(message.domains, spare)
      if (lease === undefined || typeof lease === 'object') {
        queue.removeAt(index)
        this.#removed(queue, message)
        message.start(slot, lease)
        continue
      }
      slots.release(slot)
      if (lease !== 'domain') return lease
      index++
    }
    return Infinity
  }

  /** Wakes messages that the queue holds, if there is room for them here. */
  #refill(queue: TransportQueue): void {
    const { transport } = queue
    const vacancies = queue.vacancies()
    if (transport === undefined || vacancies === 0) return
    queue.requested()
    // A woken message may arrive at once; this turn still handles the messages that are here.
    queueMicrotask(() => {
      this.#wake(transport, vacancies).then(
        (woken) => {
          queue.woken(woken, vacancies)
          if (!this.#closed) this.#admit(queue)
        },
        () => {
          // The queue is unavailable. Asking again at once could fail at once, again and again, and nothing else would run.
          setTimeout(() => {
            queue.woken(0, 0)
            if (!this.#closed) this.#admit(queue)
          }, WAKE_RETRY).unref()
        },
      )
    })
  }

  #removed(queue: TransportQueue, message: WaitingMessage): void {
    if (queue.size === 0) this.#waiting.delete(queue)
    this.#size--
    if (message.forBudget) this.#forBudget--
  }

  #queueOf(transport: TransportState | undefined): TransportQueue {
    let queue = this.#queues.get(transport)
    if (queue === undefined) this.#queues.set(transport, (queue = new TransportQueue(transport)))
    return queue
  }
}

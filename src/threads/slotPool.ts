import { PrioritySemaphore } from '../structures/prioritySemaphore.js'
import { WindowCounter } from '../structures/windowCounter.js'
import type { DeliverySlots } from './runner.js'

/**
 * The slots of the phase board: most are for deliveries, and a few for renders, which queue for them. A delivery reserves
 * its slot before it begins and keeps it until it ends, so there are never more deliveries than slots, whatever they wait for.
 */
export class SlotPool implements DeliverySlots {
  readonly #free: number[]
  readonly #renderFree: number[]
  /** Far fewer than there are slots, when many mailers share the threads. */
  readonly #inUse = new Set<number>()
  readonly #renders: PrioritySemaphore
  readonly #capacity: () => number
  #reserved = 0
  /** Those of deliveries that wait for a slow server: as many others may be in progress. */
  readonly #lent = new Set<number>()

  /** @param capacity returns how many deliveries may be in progress at the moment */
  constructor(deliveries: number, renders: number, capacity = () => deliveries) {
    this.#capacity = capacity
    this.#free = Array.from({ length: deliveries }, (_, slot) => slot)
    this.#renderFree = Array.from({ length: renders }, (_, index) => deliveries + index)
    this.#renders = new PrioritySemaphore(() => renders)
  }

  get capacity(): number {
    return this.#capacity() + this.#lent.size
  }

  get free(): number {
    return Math.max(0, this.capacity - this.#reserved)
  }

  /** Returns the slots in use, in ascending order. */
  used(): number[] {
    return [...this.#inUse].sort((a, b) => a - b)
  }

  reserve(): number | undefined {
    if (this.free === 0) return undefined
    const slot = this.#free.pop()
    if (slot === undefined) return undefined
    this.#inUse.add(slot)
    this.#reserved++
    return slot
  }

  lend(slot: number): void {
    if (this.#inUse.has(slot)) this.#lent.add(slot)
  }

  release(slot: number): void {
    if (!this.#inUse.delete(slot)) return
    this.#lent.delete(slot)
    this.#reserved--
    this.#free.push(slot)
  }

  async acquireForRender(): Promise<number> {
    await this.#renders.acquire()
    const slot = this.#renderFree.pop()!
    this.#inUse.add(slot)
    return slot
  }

  releaseForRender(slot: number): void {
    this.#inUse.delete(slot)
    this.#renderFree.push(slot)
    this.#renders.release()
  }
}

/** Deliveries that a thread holds ahead of time, at most, for each one that can be in progress. */
const MAX_AHEAD = 3
/** The same, while connections have several messages in flight. */
const MAX_PIPELINED = 8
/** Bytes of attachments in the threads from which on they hold no deliveries ahead of time. */
const MAX_BYTES_AHEAD = 32 * 2 ** 20
/** Milliseconds that a message of high priority may wait behind the deliveries ahead of it. */
const MAX_BLOCKING = 500

/**
 * How many deliveries the threads may hold: those that can be in progress, and more, so that neither a thread nor a
 * connection waits for its next message. The surplus is the number of deliveries that ended within the last moment; or one per
 * connection, and as many more as the connections have in flight (`pipelineDepth`), provided that as many end within half a
 * second: over a long round trip, a message is written behind the previous one, without waiting for its reply. With a slow
 * server there is no surplus, so a message of high priority never waits behind one; and there is none while the threads hold
 * many bytes of attachments.
 *
 *     size = concurrency + max( min(ended in the last moment, 3 × concurrency),
 *                               min(ended in the last 500 ms, concurrency + pipelined, 8 × concurrency) )
 */
export class InFlightWindow {
  readonly #concurrency: number
  readonly #pipelined: () => number
  readonly #lastMoment = new WindowCounter()
  readonly #lastHalfSecond = new WindowCounter(MAX_BLOCKING)
  #bytes = 0

  /** @param pipelined returns how many messages the connections may have in flight beyond one each */
  constructor(concurrency: number, pipelined = () => 0) {
    this.#concurrency = concurrency
    this.#pipelined = pipelined
  }

  static maxSize(concurrency: number): number {
    return concurrency * (1 + MAX_PIPELINED)
  }

  get size(): number {
    if (this.#bytes > MAX_BYTES_AHEAD) return this.#concurrency
    const forThreads = Math.min(this.#lastMoment.recent, this.#concurrency * MAX_AHEAD)
    const ended = this.#lastHalfSecond.recent
    const surplus = ended <= this.#concurrency ? this.#concurrency : this.#concurrency + this.#pipelined()
    const forConnections = Math.min(ended, surplus, this.#concurrency * MAX_PIPELINED)
    return this.#concurrency + Math.max(forThreads, forConnections)
  }

  /** Records that a delivery with attachments of so many bytes was handed to a thread. */
  recordStart(bytes: number): void {
    this.#bytes += bytes
  }

  /**
   * Records the end of a delivery.
   * @param now on `performance.now()`'s clock
   * @param bytes as they were passed to `recordStart()`
   */
  recordEnd(now: number, bytes = 0): void {
    this.#bytes -= bytes
    this.#lastMoment.count(now)
    this.#lastHalfSecond.count(now)
  }
}

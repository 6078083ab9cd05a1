import { Batcher } from '../../src/structures/batcher.js'
import type { PendingSend, SingleCallSender } from './singleCallSender.js'
import type { SendResult } from './transport.js'

/** A message that can share a request with others. */
interface BatchedSend extends PendingSend {
  /** Bytes that it adds to a request. */
  size: number
}

/** The limits of a service for one request. */
interface BatchLimits {
  maxMessages: number
  /** Bytes. */
  maxSize: number
}

/**
 * Sends messages that are ready at the same time with one call.
 *
 *     turn of the event loop            end of the turn
 *     send(a)  send(b)  send(c)   ──▶   call([a, b, c])
 *
 * A message waits for the end of the turn only, unless all calls are in use: then those that arrive meanwhile share the next one.
 */
export class MessageBatches<T extends BatchedSend> {
  readonly #calls: SingleCallSender
  readonly #limits: BatchLimits
  readonly #call: (sends: readonly T[], signal: AbortSignal) => Promise<readonly SendResult[]>
  readonly #arrived = new Batcher<T>(() => this.#callNext())
  /** Messages of earlier turns, which no call has taken yet. */
  #waiting: T[] = []
  /** A call is to take the next messages as soon as it can begin. */
  #requested = false

  constructor(
    calls: SingleCallSender,
    limits: BatchLimits,
    call: (sends: readonly T[], signal: AbortSignal) => Promise<readonly SendResult[]>,
  ) {
    this.#calls = calls
    this.#limits = limits
    this.#call = call
  }

  send(message: T): void {
    message.progress.enterPhase('connecting')
    this.#arrived.add(message)
  }

  #callNext(): void {
    if (this.#requested || this.#waiting.length + this.#arrived.size === 0) return
    this.#requested = true
    this.#calls.runTogether(() => {
      this.#requested = false
      const batch = this.#take()
      this.#callNext()
      return batch
    }, this.#call)
  }

  /** Returns as many messages as a request may contain, and at least one. */
  #take(): T[] {
    const waiting = this.#waiting.concat(this.#arrived.take())
    const { maxMessages, maxSize } = this.#limits
    let count = 0
    for (let size = 0; count < Math.min(waiting.length, maxMessages); count++) {
      size += waiting[count]!.size
      if (count > 0 && size > maxSize) break
    }
    this.#waiting = waiting.slice(count)
    return waiting.slice(0, count)
  }
}

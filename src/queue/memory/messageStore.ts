import {
  isSettled,
  type MailJob,
  type MessageState,
  newState,
  type Status,
  STATUSES,
  withoutContent,
} from '../../message/messageState.js'
import type { Due } from '../../structures/dueHeap.js'
import { Fifo } from '../../structures/fifo.js'
import { losesContent } from '../actions.js'
import type { StatusCounts } from '../driver.js'
import type { Retention } from '../retention.js'
import { HeldForBudget } from './heldForBudget.js'

/** What a {@link SettledLog} holds: something that knows its own place there. */
interface Settled {
  /** Kept by the row; -1 outside it. */
  place: number
}

/**
 * Settled messages, the one settled first in front. A Set would pass over the places of all that it ever forgot whenever it
 * is asked for its first.
 */
export class SettledLog<T extends Settled> {
  readonly #entries = new Fifo<T>()

  get size(): number {
    return this.#entries.size
  }

  add(entry: T): void {
    entry.place = this.#entries.push(entry)
  }

  remove(entry: T): void {
    if (entry.place < 0) return
    this.#entries.remove(entry.place)
    entry.place = -1
  }

  get oldest(): T | undefined {
    return this.#entries.peek()
  }
}

/** No delivery, no place in the line. */
export const NONE = 0

/** A message and its place: while it waits in the timetable, in line while it may be handed out at once, settled in neither. */
export interface Entry extends Due, Settled {
  /** Grows with each acceptance; the place in a listing. */
  readonly position: number
  job: MailJob
  /** Whether the job has lost its content. */
  dropped?: true
  readonly state: MessageState
  /** Its place in the line. */
  ticket: number
  /** The delivery whose settlement counts, by its number. */
  delivery: number
}

/** The messages there are, how many stand in each status, and how long those that are settled stay. */
export class MessageStore {
  readonly #retain: Retention
  readonly #entries = new Map<string, Entry>()
  readonly #settled = new SettledLog<Entry>()
  readonly #heldForBudget = new HeldForBudget()
  readonly #counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as StatusCounts
  #accepted = 0

  constructor(retain: Retention) {
    this.#retain = retain
  }

  /** Messages ever accepted. */
  get accepted(): number {
    return this.#accepted
  }

  /** Messages that are not settled. */
  get open(): number {
    return this.#entries.size - this.#settled.size
  }

  get counts(): StatusCounts {
    return { ...this.#counts }
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  newestFirst(): Entry[] {
    return [...this.#entries.values()].reverse()
  }

  add(job: MailJob): Entry {
    const entry: Entry = {
      position: ++this.#accepted,
      job,
      state: newState(job),
      ticket: NONE,
      delivery: NONE,
      dueAt: 0,
      heapIndex: -1,
      place: -1,
    }
    this.#entries.set(job.id, entry)
    this.#counts.queued++
    return entry
  }

  /**
   * Every change of a status goes through here. What it throws leaves everything as it was; what it settles is kept as
   * long as the retention says.
   */
  change(entry: Entry, change: (state: MessageState) => void, now: number): void {
    const { state } = entry
    const before = state.status
    change(state)
    this.#settled.remove(entry)
    this.#counts[before]--
    this.#counts[state.status]++
    this.#heldForBudget.update(entry)
    if (isSettled(state.status)) this.#settle(entry, state.status, now)
  }

  /** The time has come that the entry waited for. */
  due(entry: Entry): void {
    delete entry.state.nextAttemptAt
    this.#heldForBudget.update(entry)
  }

  /** Makes entries due that are held for the budget of one of these transports. @returns them, in the order in which they go */
  wakeHeld(transports: readonly string[], most: number, now: number): Entry[] {
    const woken = this.#heldForBudget.first(transports, most)
    for (const entry of woken) {
      this.due(entry)
      entry.state.dueAt = now
    }
    return woken
  }

  #settle(entry: Entry, status: Status, now: number): void {
    entry.delivery = NONE
    entry.ticket = NONE
    if (losesContent(status, this.#retain.data)) {
      entry.job = withoutContent(entry.job)
      entry.dropped = true
    }
    this.#settled.add(entry)
    this.forget(now)
  }

  /** Lets go of the settled messages that are too many or too old. */
  forget(now: number): void {
    const { count, age } = this.#retain
    for (let entry = this.#settled.oldest; entry !== undefined; entry = this.#settled.oldest) {
      if (this.#settled.size <= count && now - (entry.state.settledAt ?? now) <= age) return
      this.#settled.remove(entry)
      this.#entries.delete(entry.job.id)
      this.#counts[entry.state.status]--
    }
  }
}

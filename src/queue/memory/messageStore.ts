import {
  isSettled,
  type MailJob,
  type MessageState,
  newState,
  type Status,
  STATUSES,
  TOP_PRIORITY,
  withoutContent,
} from '../../message/messageState.js'
import type { Due } from '../../structures/dueHeap.js'
import { dropsContent } from '../actions.js'
import type { Retention, StatusCounts } from '../driver.js'

/** The messages that are held for a transport's budget: by transport, and by priority, the one held first in front. */
class HeldForBudget {
  readonly #transports = new Map<string, Set<Entry>[]>()

  /** Takes note of the entry, as it is now. */
  update(entry: Entry): void {
    const { job, state } = entry
    if (state.heldReason !== 'budget' || state.nextAttemptAt === undefined) {
      this.#transports.get(job.transport)?.[job.priority]?.delete(entry)
      return
    }
    let sets = this.#transports.get(job.transport)
    if (sets === undefined) {
      sets = Array.from({ length: TOP_PRIORITY + 1 }, () => new Set<Entry>())
      this.#transports.set(job.transport, sets)
    }
    sets[job.priority]?.add(entry)
  }

  /** The first ones, of higher priority first. */
  first(transports: readonly string[], most: number): Entry[] {
    const found: Entry[] = []
    for (let priority = TOP_PRIORITY; priority >= 0; priority--)
      for (const transport of transports)
        for (const entry of this.#transports.get(transport)?.[priority] ?? []) {
          if (found.length >= most) return found
          found.push(entry)
        }
    return found
  }
}

/** What a {@link SettledLog} holds: something that knows its own place there. */
interface Settled {
  /** Kept by the row; -1 outside it. */
  place: number
}

/**
 * Settled messages, the one settled first in front. An array with a moving head: a Set would pass over the places of
 * all that it ever forgot whenever it is asked for its first.
 */
export class SettledLog<T extends Settled> {
  #entries: (T | undefined)[] = []
  /** Index of the first that may be there. */
  #head = 0
  /** How many were cut off in front. */
  #cut = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(entry: T): void {
    entry.place = this.#cut + this.#entries.push(entry) - 1
    this.#size++
  }

  remove(entry: T): void {
    if (entry.place < 0) return
    this.#entries[entry.place - this.#cut] = undefined
    entry.place = -1
    this.#size--
  }

  get oldest(): T | undefined {
    while (this.#head < this.#entries.length && this.#entries[this.#head] === undefined) this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#cut += this.#head
      this.#head = 0
    }
    return this.#entries[this.#head]
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
  markDue(entry: Entry): void {
    delete entry.state.nextAttemptAt
    this.#heldForBudget.update(entry)
  }

  /** Makes entries due that are held for the budget of one of these transports. @returns them, in the order in which they go */
  wakeHeld(transports: readonly string[], most: number, now: number): Entry[] {
    const woken = this.#heldForBudget.first(transports, most)
    for (const entry of woken) {
      this.markDue(entry)
      entry.state.dueAt = now
    }
    return woken
  }

  #settle(entry: Entry, status: Status, now: number): void {
    entry.delivery = NONE
    entry.ticket = NONE
    if (dropsContent(status, this.#retain.data)) {
      entry.job = withoutContent(entry.job)
      entry.dropped = true
    }
    this.#settled.add(entry)
    this.prune(now)
  }

  /** Lets go of the settled messages that are too many or too old. */
  prune(now: number): void {
    const { count, age } = this.#retain
    for (let entry = this.#settled.oldest; entry !== undefined; entry = this.#settled.oldest) {
      if (this.#settled.size <= count && now - (entry.state.settledAt ?? now) <= age) return
      this.#settled.remove(entry)
      this.#entries.delete(entry.job.id)
      this.#counts[entry.state.status]--
    }
  }
}

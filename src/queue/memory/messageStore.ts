import { NO_DATA } from '../../message/json.js'
import {
  isSettled,
  type MailJob,
  type MessageState,
  newState,
  type Status,
  STATUSES,
  MAX_PRIORITY,
  waitsForTransport,
} from '../../message/messageState.js'
import type { Due } from '../../structures/dueHeap.js'
import { Fifo } from '../../structures/fifo.js'
import { dropsContent } from '../actions.js'
import type { Retention, StatusCounts } from '../driver.js'

/** The messages held for a transport's budget, or because it is paused, by transport and priority, in the order in which they were held. */
class HeldForBudget {
  readonly #transports = new Map<string, Set<Entry>[]>()

  /** Adds or removes the entry according to its current state. */
  update(entry: Entry): void {
    const { job, state } = entry
    if (!waitsForTransport(state)) {
      this.#transports.get(job.transport)?.[job.priority]?.delete(entry)
      return
    }
    let sets = this.#transports.get(job.transport)
    if (sets === undefined) {
      sets = Array.from({ length: MAX_PRIORITY + 1 }, () => new Set<Entry>())
      this.#transports.set(job.transport, sets)
    }
    sets[job.priority]?.add(entry)
  }

  /** Returns up to `most` entries, higher priorities first. */
  first(transports: readonly string[], most: number): Entry[] {
    const found: Entry[] = []
    for (let priority: number = MAX_PRIORITY; priority >= 0; priority--)
      for (const transport of transports)
        for (const entry of this.#transports.get(transport)?.[priority] ?? []) {
          if (found.length >= most) return found
          found.push(entry)
        }
    return found
  }
}

/** An entry of a {@link SettledLog}, which knows its own position there. */
interface Settled {
  /** Maintained by the log; -1 outside it. */
  place: number
}

/**
 * Settled messages in the order in which they settled. A Set walks, to find its first element,
 * over the positions of all elements that were ever deleted.
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

/** No delivery in progress; no ticket in the ready queue. */
export const NONE = 0

/**
 * A message and where it is: in the delayed queue while it waits, in the ready queue as well while it is due, in neither once it
 * is settled or being delivered.
 */
export interface Entry extends Due, Settled {
  /** Position in the order of acceptance; the order of lists. */
  readonly position: number
  job: MailJob
  /** Whether the job has lost its content. */
  dropped?: true
  readonly state: MessageState
  /** Its ticket in the ready queue, or {@link NONE}. */
  ticket: number
  /** The number of the delivery whose settlement counts, or {@link NONE}. */
  delivery: number
}

/** An entry that left the ready queue and came back has another ticket; its old position no longer counts. */
export function isReady(entry: Entry, ticket: number): boolean {
  return entry.ticket === ticket
}

/** Makes retries due earlier by as much as the clock was set back. A scheduled time (`notBefore`) stays. */
export function retryEarlier({ state, dueAt }: Entry, by: number): number {
  if (state.nextAttemptAt === undefined || state.status === 'queued') return dueAt
  state.nextAttemptAt -= by
  return Math.min(state.nextAttemptAt, state.expiresAt)
}

/** All messages, their counts by status, and the retention of settled ones. */
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

  /** Number of messages ever accepted. */
  get accepted(): number {
    return this.#accepted
  }

  /** Number of unsettled messages. */
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

  /** Makes a change; every change of a status goes through here. If `change` throws, nothing has changed. */
  change(entry: Entry, change: (state: MessageState) => void, now: number): void {
    const { state } = entry
    const { status: before, settledAt } = state
    change(state)
    // A report leaves a settled message where it is among the settled ones.
    if (settledAt !== undefined && settledAt === state.settledAt && before === state.status) return
    this.#settled.remove(entry)
    this.#counts[before]--
    this.#counts[state.status]++
    this.#heldForBudget.update(entry)
    if (isSettled(state.status)) this.#settle(entry, state.status, now)
  }

  /** Replaces the job; its content stays unless it is erased. */
  replace(entry: Entry, job: MailJob): void {
    const { content, attachments } = entry.job
    entry.job = job.erased === true ? withoutContent(job) : { ...job, content, attachments }
    if (job.erased === true) entry.dropped = true
  }

  /** Marks a waiting entry as due. */
  markDue(entry: Entry): void {
    delete entry.state.nextAttemptAt
    this.#heldForBudget.update(entry)
  }

  /** Marks entries as due that are held for the budget of one of these transports. @returns them, in the order of delivery */
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

  /** Deletes settled messages beyond the maximum count or age. */
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

/** The job without its content: without data, bodies and the attachments' bytes. */
function withoutContent(job: MailJob): MailJob {
  const { content } = job
  return {
    ...job,
    content: content.kind === 'template' ? { ...content, data: NO_DATA } : { kind: 'literal' },
    attachments: job.attachments.map((attachment) => ({ ...attachment, content: '' })),
  }
}

import { MAX_PRIORITY } from '../../message/messageState.js'
import { Fifo } from '../../structures/fifo.js'

/** Whether an entry still is where its ticket says; entries that left the queue early are skipped. */
type IsQueued<T> = (entry: T, ticket: number) => boolean

/**
 * Higher priorities first. Within a priority, the groups take turns, and within a group it is first in, first out. Skips entries
 * that left the queue.
 *
 *     priority 9    ─▶ a: 1 2 3 │ b: 4 │        shift() ─▶ 1, 4, 2, 3
 *     priority 5    ─▶ a: 5 │                            ─▶ 5
 */
export class PriorityQueue<T> {
  /** The highest priority first. */
  readonly #lanes = Array.from({ length: MAX_PRIORITY + 1 }, () => new Lane<T>())

  /** @returns the entry's ticket: its position in its group's order of arrival, from 1 */
  push(entry: T, priority: number, group: string): number {
    return this.#lanes[MAX_PRIORITY - priority]?.push(entry, group) ?? 0
  }

  /** Removes and returns the first entry that is still queued. */
  shift(isQueued: IsQueued<T>): T | undefined {
    for (const lane of this.#lanes) {
      const entry = lane.shift(isQueued)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** Returns the first entry of each group of each priority. */
  first(isQueued: IsQueued<T>): T[] {
    return this.#lanes.flatMap((lane) => lane.first(isQueued))
  }
}

/** The entries of one priority. */
class Lane<T> {
  readonly #groups = new Map<string, Fifo<T>>()
  /** The groups that have entries, in the order of their turns. */
  readonly #turns = new Fifo<string>()

  push(entry: T, group: string): number {
    let entries = this.#groups.get(group)
    if (entries === undefined) {
      this.#groups.set(group, (entries = new Fifo<T>()))
      this.#turns.push(group)
    }
    return entries.push(entry)
  }

  shift(isQueued: IsQueued<T>): T | undefined {
    for (let group = this.#turns.peek(); group !== undefined; group = this.#turns.peek()) {
      const entries = this.#groups.get(group)
      const entry = entries === undefined ? undefined : firstQueued(entries, isQueued)
      if (entries === undefined || entry === undefined) {
        this.#turns.shift()
        this.#groups.delete(group)
        continue
      }
      entries.shift()
      // A single group has every turn.
      if (this.#groups.size > 1) this.#turns.push(this.#turns.shift() ?? group)
      return entry
    }
    return undefined
  }

  first(isQueued: IsQueued<T>): T[] {
    return [...this.#groups.values()].flatMap((entries) => firstQueued(entries, isQueued) ?? [])
  }
}

/** The first entry of a group that is still queued. Removes those before it. */
function firstQueued<T>(entries: Fifo<T>, isQueued: IsQueued<T>): T | undefined {
  for (let entry = entries.peek(); entry !== undefined; entry = entries.peek()) {
    if (isQueued(entry, entries.headPosition)) return entry
    entries.shift()
  }
  return undefined
}

import { MAX_PRIORITY } from '../../message/messageState.js'
import { Fifo } from '../../structures/fifo.js'

/** Whether an entry still is where its ticket says; entries that left the queue early are skipped. */
type IsQueued<T> = (entry: T, ticket: number) => boolean

/** First in, first out within each priority; higher priorities first. Skips entries that left the queue. */
export class PriorityQueue<T> {
  /** The highest priority first. */
  readonly #lanes = Array.from({ length: MAX_PRIORITY + 1 }, () => new Fifo<T>())

  /** @returns the entry's ticket: its position in the order of arrival, from 1 */
  push(entry: T, priority: number): number {
    return this.#lanes[MAX_PRIORITY - priority]?.push(entry) ?? 0
  }

  /** Removes and returns the first entry that is still queued. */
  shift(isQueued: IsQueued<T>): T | undefined {
    for (const lane of this.#lanes) {
      const entry = firstQueued(lane, isQueued)
      if (entry === undefined) continue
      lane.shift()
      return entry
    }
    return undefined
  }

  /** Returns the first entry of each priority. */
  first(isQueued: IsQueued<T>): T[] {
    return this.#lanes.flatMap((lane) => firstQueued(lane, isQueued) ?? [])
  }
}

/** The first entry of a lane that is still queued. Removes those before it. */
function firstQueued<T>(lane: Fifo<T>, isQueued: IsQueued<T>): T | undefined {
  for (let entry = lane.peek(); entry !== undefined; entry = lane.peek()) {
    if (isQueued(entry, lane.headPosition)) return entry
    lane.shift()
  }
  return undefined
}

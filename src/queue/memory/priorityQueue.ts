import { MAX_PRIORITY } from '../../message/messageState.js'
import { Fifo } from '../../structures/fifo.js'

/** Whether an entry still wants the place that the ticket is for. */
type Wanted<T> = (entry: T, ticket: number) => boolean

/** First in, first out within each priority; higher priority first. Places that are no longer wanted are skipped. */
export class PriorityQueue<T> {
  /** The highest priority first. */
  readonly #lanes = Array.from({ length: MAX_PRIORITY + 1 }, () => new Fifo<T>())

  /** @returns the entry's ticket, from 1 on */
  push(entry: T, priority: number): number {
    return this.#lanes[MAX_PRIORITY - priority]?.push(entry) ?? 0
  }

  /** The first entry that is still wanted. */
  shift(wanted: Wanted<T>): T | undefined {
    for (const lane of this.#lanes) {
      const entry = firstWanted(lane, wanted)
      if (entry === undefined) continue
      lane.shift()
      return entry
    }
    return undefined
  }

  /** The first of each priority. */
  first(wanted: Wanted<T>): T[] {
    return this.#lanes.flatMap((lane) => firstWanted(lane, wanted) ?? [])
  }
}

/** The first entry of a lane that is still wanted; those before it leave. */
function firstWanted<T>(lane: Fifo<T>, wanted: Wanted<T>): T | undefined {
  for (let entry = lane.peek(); entry !== undefined; entry = lane.peek()) {
    if (wanted(entry, lane.headPosition)) return entry
    lane.shift()
  }
  return undefined
}

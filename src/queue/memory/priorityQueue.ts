import { TOP_PRIORITY } from '../../message/messageState.js'

/** Whether an entry still is where its ticket says; entries that left the queue early are skipped. */
type IsQueued<T> = (entry: T, ticket: number) => boolean

/** First in, first out within each priority; higher priorities first. Skips entries that left the queue. */
export class PriorityQueue<T> {
  /** Highest priority first. */
  readonly #lanes = Array.from({ length: TOP_PRIORITY + 1 }, () => new Lane<T>())

  /** @returns the entry's ticket: its position in the order of arrival, from 1 */
  push(entry: T, priority: number): number {
    return this.#lanes[TOP_PRIORITY - priority]?.push(entry) ?? 0
  }

  /** Removes and returns the first entry that is still queued. */
  shift(isQueued: IsQueued<T>): T | undefined {
    for (const lane of this.#lanes) {
      const entry = lane.shift(isQueued)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** Returns the first entry of each priority. */
  first(isQueued: IsQueued<T>): T[] {
    return this.#lanes.flatMap((lane) => lane.peek(isQueued) ?? [])
  }
}

/** An array with a moving head, so that shift() takes constant time at any length. */
class Lane<T> {
  #entries: (T | undefined)[] = []
  #head = 0
  /** Number of entries cut off at the front. */
  #cut = 0

  push(entry: T): number {
    return this.#cut + this.#entries.push(entry)
  }

  peek(isQueued: IsQueued<T>): T | undefined {
    for (let entry = this.#entries[this.#head]; entry !== undefined; entry = this.#entries[this.#head]) {
      if (isQueued(entry, this.#cut + this.#head + 1)) return entry
      this.#advance()
    }
    return undefined
  }

  shift(isQueued: IsQueued<T>): T | undefined {
    const entry = this.peek(isQueued)
    if (entry !== undefined) this.#advance()
    return entry
  }

  #advance(): void {
    this.#entries[this.#head++] = undefined
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#cut += this.#head
      this.#head = 0
    }
  }
}

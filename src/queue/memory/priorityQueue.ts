import { MAX_PRIORITY } from '../../message/messageState.js'

/** Whether an entry still wants the place that the ticket is for. */
type Wanted<T> = (entry: T, ticket: number) => boolean

/** First in, first out within each priority; higher priority first. Places that are no longer wanted are skipped. */
export class PriorityQueue<T> {
  /** The highest priority first. */
  readonly #lanes = Array.from({ length: MAX_PRIORITY + 1 }, () => new Lane<T>())

  /** @returns the entry's ticket, from 1 on */
  push(entry: T, priority: number): number {
    return this.#lanes[MAX_PRIORITY - priority]?.push(entry) ?? 0
  }

  /** The first entry that is still wanted. */
  shift(wanted: Wanted<T>): T | undefined {
    for (const lane of this.#lanes) {
      const entry = lane.shift(wanted)
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** The first of each priority. */
  first(wanted: Wanted<T>): T[] {
    return this.#lanes.flatMap((lane) => lane.peek(wanted) ?? [])
  }
}

/** An array with a moving head, so that shift() costs the same at any length. */
class Lane<T> {
  #entries: (T | undefined)[] = []
  #head = 0
  /** How many were cut off in front. */
  #cut = 0

  push(entry: T): number {
    return this.#cut + this.#entries.push(entry)
  }

  peek(wanted: Wanted<T>): T | undefined {
    for (let entry = this.#entries[this.#head]; entry !== undefined; entry = this.#entries[this.#head]) {
      if (wanted(entry, this.#cut + this.#head + 1)) return entry
      this.#pass()
    }
    return undefined
  }

  shift(wanted: Wanted<T>): T | undefined {
    const entry = this.peek(wanted)
    if (entry !== undefined) this.#pass()
    return entry
  }

  #pass(): void {
    this.#entries[this.#head++] = undefined
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#cut += this.#head
      this.#head = 0
    }
  }
}

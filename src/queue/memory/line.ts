const PRIORITIES = 10

/** First in, first out within each priority; higher priority first. Entries that were taken away are skipped. */
export class Line<T> {
  readonly #lanes = Array.from({ length: PRIORITIES }, () => new Fifo<T>())

  push(entry: T, priority: number): void {
    this.#lanes[priority]?.push(entry)
  }

  /** The first entry that is still wanted. */
  shift(wanted: (entry: T) => boolean): T | undefined {
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const lane = this.#lanes[priority]
      for (let entry = lane?.shift(); entry !== undefined; entry = lane?.shift()) {
        if (wanted(entry)) return entry
      }
    }
    return undefined
  }
}

/** An array with a moving head, so that shift() costs the same at any length. */
class Fifo<T> {
  #entries: (T | undefined)[] = []
  #head = 0

  push(entry: T): void {
    this.#entries.push(entry)
  }

  shift(): T | undefined {
    const entry = this.#entries[this.#head]
    if (entry === undefined) return undefined
    this.#entries[this.#head++] = undefined
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
    return entry
  }
}

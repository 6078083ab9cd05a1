/**
 * Who may deliver: as many at a time as there are slots. Of those who wait the higher priority goes first, and within
 * one who came first.
 */
export class PrioritySemaphore {
  readonly #slots: () => number
  #taken = 0
  /** By priority. */
  readonly #waiting: (((mayGo: boolean) => void)[] | undefined)[] = []
  #closed = false

  /** @param slots may change from one look to the next */
  constructor(slots: () => number) {
    this.#slots = slots
  }

  get taken(): number {
    return this.#taken
  }

  /** @returns false when nothing more is to be begun */
  take(priority: number): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.#taken >= this.#slots())
      return new Promise((resolve) => (this.#waiting[priority] ??= []).push(resolve))
    this.#taken++
    return Promise.resolve(true)
  }

  give(): void {
    this.#taken--
    while (this.#taken < this.#slots()) {
      const next = this.#waiting.findLast((those) => those !== undefined && those.length > 0)?.shift()
      if (next === undefined) return
      this.#taken++
      next(true)
    }
  }

  close(): void {
    this.#closed = true
    for (const those of this.#waiting.splice(0)) those?.forEach((turnAway) => turnAway(false))
  }
}

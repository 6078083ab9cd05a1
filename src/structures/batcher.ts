interface Waiting<A, B> {
  ask: A
  resolve: (answer: B) => void
  reject: (error: unknown) => void
}

/** Asks together what is asked within one turn of the event loop. */
export class Batcher<A, B> {
  readonly #most: number
  readonly #run: (asks: A[]) => Promise<B[]>
  #waiting: Waiting<A, B>[] = []

  /** @param most asks in one command */
  constructor(most: number, run: (asks: A[]) => Promise<B[]>) {
    this.#most = most
    this.#run = run
  }

  ask(ask: A): Promise<B> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ask, resolve, reject })
      if (this.#waiting.length === 1) setImmediate(() => this.#flush())
    })
  }

  #flush(): void {
    const all = this.#waiting
    this.#waiting = []
    for (let at = 0; at < all.length; at += this.#most) void this.#ask(all.slice(at, at + this.#most))
  }

  async #ask(lot: Waiting<A, B>[]): Promise<void> {
    try {
      const answers = await this.#run(lot.map(({ ask }) => ask))
      lot.forEach(({ resolve }, index) => resolve(answers[index] as B))
    } catch (error) {
      for (const { reject } of lot) reject(error)
    }
  }
}

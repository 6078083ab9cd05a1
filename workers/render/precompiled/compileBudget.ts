import type { CriticalSection } from '../renderer.js'

/** The time that compiling one template may take. When it is spent, the template is rendered per message. */
export class CompileBudget {
  #spent = 0

  /** @param limit milliseconds of work, without the time in which other deliveries of the thread proceed */
  constructor(
    private readonly enter: CriticalSection,
    private readonly limit: number,
  ) {}

  readonly critical: CriticalSection = (step, work) => {
    const start = performance.now()
    try {
      return this.enter(step, work)
    } finally {
      this.#spent += performance.now() - start
    }
  }

  get isSpent(): boolean {
    return this.#spent > this.limit
  }

  /** Lets the other deliveries of the thread proceed. */
  pause(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

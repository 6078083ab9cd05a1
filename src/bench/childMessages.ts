import type { ChildAnswer } from './order.js'

/** In a process made by `askChild()`: does the work it is told to, once, and answers. */
export function answerParent<Answer>(work: (order: never) => Promise<Answer>): void {
  process.once('message', (order: unknown) => {
    void work(order as never)
      .then(
        (measurement): ChildAnswer<Answer> => ({ measurement }),
        (error: unknown): ChildAnswer<Answer> => ({
          failure: error instanceof Error ? error.message : String(error),
        }),
      )
      .then((answer) => process.send?.(answer, () => process.disconnect()))
  })
}

/** Tells the parent of something before the answer. */
export function noteToParent(note: object): void {
  process.send?.({ note })
}

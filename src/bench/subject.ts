import type { RunOrder } from './order.js'

/** One way of sending, in the process where it is measured. */
export interface Subject {
  /** Mails handed over and not delivered at a time, where as many as possible are sent. */
  readonly window: number
  /**
   * Hands over `count` mails and resolves when a request handler that awaits its own could answer. `settled` is called
   * for each, with its number, once the server has taken it or what went wrong is known.
   */
  hand(first: number, count: number, settled: Settled): Promise<void>
  close(): Promise<void>
}

export type Settled = (mail: number, failure?: string) => void

/** Loads what the mode needs and nothing else, since its memory and its start are measured. */
export async function createSubject(order: RunOrder): Promise<Subject> {
  switch (order.mode.family) {
    case 'naive': {
      const { createNaive } = await import('./baselines/inlineSending.js')
      return createNaive(order)
    }
    case 'precompiled': {
      const { createPrecompiled } = await import('./baselines/inlineSending.js')
      return createPrecompiled(order)
    }
    case 'bullmq': {
      const { createBullmq } = await import('./baselines/bullmq.js')
      return createBullmq(order)
    }
    case 'inline':
    case 'memory':
    case 'sqlite':
    case 'redis': {
      const { createThreadpost } = await import('./threadpost.js')
      return createThreadpost(order)
    }
    case 'smtp-source':
      throw new Error('smtp-source is a program of its own')
  }
}

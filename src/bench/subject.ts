import type { RunConfig } from './childProtocol.js'

/** One way of sending, in the process in which it is measured. */
export interface Subject {
  /** Messages submitted but not delivered at a time, when sending as fast as possible. */
  readonly window: number
  /**
   * Submits `count` messages, numbered from `first`. Resolves when a request handler that awaits the call could
   * respond. Calls `onDelivered` for each message once the server has accepted it or the failure is known.
   */
  submit(first: number, count: number, onDelivered: OnDelivered): Promise<void>
  close(): Promise<void>
}

/** @param failure the reason why the message was not delivered; undefined if it was */
export type OnDelivered = (mail: number, failure?: string) => void

/** Loads only the modules of the selected mode, because its memory and start are measured. */
export async function createSubject(config: RunConfig): Promise<Subject> {
  switch (config.mode.family) {
    case 'naive': {
      const { createNaive } = await import('./baselines/inlineSending.js')
      return createNaive(config)
    }
    case 'precompiled': {
      const { createPrecompiled } = await import('./baselines/inlineSending.js')
      return createPrecompiled(config)
    }
    case 'bullmq': {
      const { createBullmq } = await import('./baselines/bullmq.js')
      return createBullmq(config)
    }
    case 'inline':
    case 'memory':
    case 'sqlite':
    case 'redis': {
      const { createThreadpost } = await import('./threadpost.js')
      return createThreadpost(config)
    }
    case 'smtp-source':
      throw new Error('smtp-source is a separate program')
  }
}

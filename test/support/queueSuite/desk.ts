import { afterEach, expect } from 'vitest'
import type { MailJob } from '../../../src/message/messageState.js'
import type { ChangeListener, QueueDriver, Retention } from '../../../src/queue/driver.js'
import { Changes } from './changes.js'
import { DAY, jobOf } from './jobs.js'

export interface SuiteOptions {
  limit: number
  maxAge: number
  retain: Retention
  onChange: ChangeListener
}

export interface QueueCapabilities {
  /** Whether `list({ q })` finds text, and not only a whole id. */
  search: boolean
}

/** Opens an empty queue; what it needs for that is removed after the test. */
export type OpenQueue = (options: SuiteOptions) => Promise<QueueDriver>

/** What the rooms of the suite work at. */
export interface Desk {
  /** A queue of the test's own, closed when it ends. */
  open(options?: Partial<SuiteOptions>): Promise<{ queue: QueueDriver; changes: Changes }>
  /** Enqueues one job that must be taken in. */
  put(queue: QueueDriver, fields?: Partial<MailJob>): Promise<string>
}

/** To be called in a describe block. */
export function useDesk(openQueue: OpenQueue): Desk {
  const opened: QueueDriver[] = []
  afterEach(async () => {
    await Promise.all(
      opened.splice(0).map(async (queue) => {
        await queue.drain(100)
        await queue.close()
      }),
    )
  })
  return {
    async open(options = {}) {
      const changes = new Changes()
      const queue = await openQueue({
        limit: 1000,
        maxAge: DAY,
        retain: { count: 1000, age: DAY, data: 'until-settled', keys: DAY },
        onChange: changes.listener,
        ...options,
      })
      opened.push(queue)
      return { queue, changes }
    },
    async put(queue, fields = {}) {
      const job = jobOf(fields)
      expect(await queue.enqueue([job])).toEqual([{ result: 'queued' }])
      return job.id
    },
  }
}

import { afterEach, expect } from 'vitest'
import type { MailJob } from '../../../src/message/messageState.js'
import type { ChangeListener, QueueDriver, RecordsOf, Retention } from '../../../src/queue/driver.js'
import { Changes } from './changes.js'
import { DAY, jobOf } from './jobs.js'

export interface SuiteOptions {
  limit: number
  maxAge: number
  retain: Retention
  onChange: ChangeListener
  recordsOf?: RecordsOf
}

/** Opens an empty queue, whose resources are removed after the test. */
export type OpenQueue = (options: SuiteOptions) => Promise<QueueDriver>

/** The functions that every test of the suite uses. */
export interface Fixture {
  /** Opens a queue for one test, which is closed when the test ends. */
  open(options?: Partial<SuiteOptions>): Promise<{ queue: QueueDriver; changes: Changes }>
  /** Enqueues one job and expects it to be accepted. @returns its id */
  put(queue: QueueDriver, fields?: Partial<MailJob>): Promise<string>
}

/** Call it in a describe block. */
export function useFixture(openQueue: OpenQueue): Fixture {
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

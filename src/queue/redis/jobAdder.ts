import type { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import type { MailJob } from '../../message/messageState.js'
import { unpackHead } from '../rowCodec.js'
import type { BullQueue, WakeUp } from './bullQueue.js'
import type { FoundMessage } from './redisRows.js'
import type { RedisStore } from './redisStore.js'

/**
 * Gives messages their BullMQ jobs, in the background. A message is in the index `adding` until it has its job, so maintenance
 * finds it if something fails here.
 */
export class JobAdder {
  readonly #queue: BullQueue
  readonly #store: RedisStore
  readonly #logger: Logger
  readonly #orphans: ConditionLog
  readonly #running = new Set<Promise<void>>()

  constructor(queue: BullQueue, store: RedisStore, logger: Logger) {
    this.#queue = queue
    this.#store = store
    this.#logger = logger
    this.#orphans = new ConditionLog(logger, {
      begins: 'Messages had no job; they have one now',
      level: 'warn',
      ends: 'All messages have their jobs',
    })
  }

  /** Adds jobs for messages that were just accepted. */
  add(jobs: readonly MailJob[]): void {
    const wakeUps = jobs.map((job) => toWakeUp(job))
    this.#run(this.#confirm(wakeUps, this.#queue.addBatched(wakeUps)))
  }

  /** Adds jobs for messages whose process ended, or lost Redis, before they had one. */
  adopt(orphans: readonly FoundMessage[]): void {
    const wakeUps = orphans.map(({ row }) => toWakeUp({ ...unpackHead(row), notBefore: row.dueAt }, row.wake))
    this.#orphans.happened({ messages: wakeUps.length })
    this.#run(this.#confirm(wakeUps, this.#queue.add(wakeUps)))
  }

  /** Makes the job of a message due at another time. @param wake name of its wake-up, if it isn't the message's id */
  reschedule(job: MailJob, due: number, wake: string | undefined): void {
    const wakeUp = toWakeUp({ ...job, notBefore: due }, wake)
    this.#run(
      this.#queue
        .replace(wakeUp)
        .then((replaced) => (replaced ? this.#store.jobsAdded([wakeUp.id]) : undefined)),
    )
  }

  /** Removes the job of a wake-up whose message needs none any more. */
  remove(wake: string): void {
    this.#run(this.#queue.remove(wake))
  }

  async close(grace: Deadline): Promise<void> {
    await grace.until(Promise.all(this.#running))
    await grace.until(this.#queue.close())
  }

  async #confirm(wakeUps: readonly WakeUp[], added: Promise<void>): Promise<void> {
    await added
    await this.#store.jobsAdded(wakeUps.map(({ id }) => id))
  }

  #run(work: Promise<unknown>): void {
    const quiet = work
      .then(
        () => undefined,
        (error: unknown) => {
          this.#logger.debug({ problem: (error as Error).message }, 'A job was not added at once')
        },
      )
      .finally(() => this.#running.delete(quiet))
    this.#running.add(quiet)
  }
}

function toWakeUp({ id, content, priority, notBefore }: MailJob, wake = id): WakeUp {
  const name = content.kind === 'template' ? content.name : content.kind
  return { id: wake, name, priority, due: notBefore ?? 0 }
}

import type { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import type { MailJob } from '../../message/messageState.js'
import { unpackHead } from '../rowCodec.js'
import type { BullQueue, WakeUp } from './bullQueue.js'
import type { Found, RedisStore } from './store.js'

/**
 * Sees to it that messages have their jobs, while nobody waits for it. What fails here is made good by the sweep,
 * since such messages stand in `adding` until they have one.
 */
export class JobScheduler {
  readonly #schedule: BullQueue
  readonly #store: RedisStore
  readonly #logger: Logger
  readonly #orphans: ConditionLog
  readonly #underWay = new Set<Promise<void>>()

  constructor(schedule: BullQueue, store: RedisStore, logger: Logger) {
    this.#schedule = schedule
    this.#store = store
    this.#logger = logger
    this.#orphans = new ConditionLog(logger, {
      begins: 'Messages had no job; they have now',
      level: 'warn',
      ends: 'All messages have their jobs',
    })
  }

  /** For messages just accepted. */
  accepted(jobs: readonly MailJob[]): void {
    const wakes = jobs.map(wakeOf)
    this.#inBackground(this.#added(wakes, this.#schedule.addTogether(wakes)))
  }

  /** For messages that were held for a budget: each has a job for a later time, or is about to have it. */
  woken(messages: readonly Found[]): void {
    for (const { row } of messages) this.again(unpackHead(row), 0)
  }

  /** For messages whose process ended, or lost Redis, before they had one. */
  adopt(orphans: readonly Found[]): void {
    const wakes = orphans.map(({ row }) => wakeOf({ ...unpackHead(row), notBefore: row.dueAt }))
    this.#orphans.happened({ messages: wakes.length })
    this.#inBackground(this.#added(wakes, this.#schedule.add(wakes)))
  }

  /** For a message that is in line again. */
  again(job: MailJob, due: number): void {
    const wake = wakeOf({ ...job, notBefore: due })
    this.#inBackground(
      this.#schedule.replace(wake).then((done) => (done ? this.#store.added([wake.id]) : undefined)),
    )
  }

  /** A message needs none any more. */
  never(id: string): void {
    this.#inBackground(this.#schedule.remove(id))
  }

  async close(grace: Deadline): Promise<void> {
    await grace.until(Promise.all(this.#underWay))
    await grace.until(this.#schedule.close())
  }

  async #added(wakes: readonly WakeUp[], adding: Promise<void>): Promise<void> {
    await adding
    await this.#store.added(wakes.map(({ id }) => id))
  }

  #inBackground(work: Promise<unknown>): void {
    const quiet = work
      .then(
        () => undefined,
        (error: unknown) => {
          this.#logger.debug({ problem: (error as Error).message }, 'A job was not added at once')
        },
      )
      .finally(() => this.#underWay.delete(quiet))
    this.#underWay.add(quiet)
  }
}

function wakeOf({ id, content, priority, notBefore }: MailJob): WakeUp {
  const name = content.kind === 'template' ? content.name : content.kind
  return { id, name, priority, due: notBefore ?? 0 }
}

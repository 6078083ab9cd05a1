import { AsyncResource } from 'node:async_hooks'
import type { Clock } from '../clock.js'
import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import type { Acceptance } from '../message/acceptance.js'
import { internalKey } from '../message/ids.js'
import type { Mail, Receipt } from '../message/mail.js'
import type { QueueDriver } from '../queue/driver.js'
import { rangeOf } from '../queue/records.js'
import {
  changeOf,
  fromRecord,
  handledChange,
  LAST_PREFIX,
  lastChange,
  nameOf,
  nextOf,
  PREFIX,
  recurrenceOf,
  removalOf,
  type Schedule,
  type ScheduleInput,
  type StoredSchedule,
  toDefinition,
  toSchedule,
} from './schedule.js'

/** Milliseconds between two looks at the schedules: other processes add, change, and remove them. */
const LOOK_AFTER = 30_000
/** Milliseconds before a new process looks at the schedules. */
const FIRST_LOOK = 500
/** Milliseconds before a mail that the queue could not take is tried again. */
const RETRY_AFTER = 5_000
/** A time that passed longer ago, in ms, was missed: no process was running, or it was blocked. */
const MISSED_AFTER = 60_000

export interface SchedulerParts {
  queue: Pick<QueueDriver, 'records'>
  clock: Clock
  logger: Logger
  /** Whether this process takes mail in. Otherwise it never sends a scheduled mail. */
  accepts: boolean
  acceptance: Pick<Acceptance, 'prepare' | 'take'>
}

/**
 * Sends recurring mail. The schedules are in the queue. Every process that takes mail in watches all of them; each time has an
 * idempotency key, so that the mail is accepted once, and a mark that only grows records which times are handled. Without
 * schedules, a process reads the queue twice a minute.
 */
export class Scheduler {
  readonly #parts: SchedulerParts
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #closed = false
  /** A scheduled mail doesn't carry the context of the request that called `schedule()`. */
  readonly #lookOutside: () => void

  constructor(parts: SchedulerParts) {
    this.#parts = parts
    this.#lookOutside = AsyncResource.bind(() => void this.#look())
    this.#wake(FIRST_LOOK)
  }

  /**
   * Adds a schedule, or changes the one of this name.
   * @throws ThreadpostError `INVALID_OPTIONS`; as `send()` if the mail is not valid; `QUEUE_UNAVAILABLE`
   */
  async add(name: unknown, input: ScheduleInput): Promise<Schedule> {
    const known = nameOf(name)
    const definition = await toDefinition(input)
    this.#parts.acceptance.prepare(definition.mail as unknown as Mail)
    const before = (await this.#read()).find((schedule) => schedule.name === known)
    const same =
      before?.definition.cron === definition.cron && before.definition.timeZone === definition.timeZone
    // A time of the new expression that has passed was never due.
    const handled = same ? before.handled : this.#parts.clock.now()
    const schedule: StoredSchedule = { ...before, name: known, definition, handled, sent: before?.sent ?? 0 }
    await this.#write([changeOf(schedule)])
    this.#wake(0)
    return toSchedule(schedule)
  }

  /** @returns whether there was one */
  async remove(name: unknown): Promise<boolean> {
    const known = nameOf(name)
    const exists = (await this.#read()).some((schedule) => schedule.name === known)
    await this.#write(removalOf(known))
    return exists
  }

  /** Returns all schedules, in the order of their names. */
  async list(): Promise<Schedule[]> {
    return Promise.all((await this.#read()).map(toSchedule))
  }

  /** For tests: advances the clock from one time of a schedule to the next. @param advance advances the queue */
  async advance(ms: number, advance: (ms: number) => Promise<void>): Promise<void> {
    const { clock } = this.#parts
    // The real time that this takes doesn't count.
    let left = ms
    for (;;) {
      await this.#look()
      const times = await Promise.all(
        (await this.#read()).map(({ definition, handled }) => nextOf(definition, handled)),
      )
      const step = Math.max(0, Math.min(...times.filter((time) => time !== undefined)) - clock.now())
      if (step > left) break
      await advance(step)
      left -= step
    }
    await advance(left)
  }

  /** Resolves when no scheduled mail is being sent. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running
  }

  #wake(delay: number): void {
    clearTimeout(this.#timer)
    if (this.#closed || !this.#parts.accepts) return
    this.#timer = setTimeout(this.#lookOutside, Math.min(delay, LOOK_AFTER)).unref()
  }

  /** Sends what is due, one look after another. Never rejects. */
  #look(): Promise<void> {
    this.#running = this.#running.then(async () => {
      if (this.#closed) return
      let delay = LOOK_AFTER
      try {
        for (const schedule of await this.#read()) delay = Math.min(delay, await this.#tryHandle(schedule))
      } catch (error) {
        delay = RETRY_AFTER
        this.#parts.logger.warn(
          { reason: (error as Error).message },
          "The schedules can't be read; trying again",
        )
      }
      this.#wake(delay)
    })
    return this.#running
  }

  /** A schedule that can't be handled stops no other. */
  async #tryHandle(schedule: StoredSchedule): Promise<number> {
    try {
      return await this.#handle(schedule)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#parts.logger.warn(
        { schedule: schedule.name, reason },
        "A schedule can't be handled; trying again",
      )
      return RETRY_AFTER
    }
  }

  /** @returns milliseconds until the schedule needs another look */
  async #handle({ name, definition, handled }: StoredSchedule): Promise<number> {
    const { clock, logger } = this.#parts
    const recurrence = await recurrenceOf(definition)
    const now = clock.now()
    const first = recurrence.next(handled)
    if (first === undefined) return LOOK_AFTER
    if (first > now) return first - now
    const due = Math.max(first, recurrence.last(now) ?? first)
    if (definition.catchUp === 'none' && now - due > MISSED_AFTER) {
      logger.info(
        { schedule: name, missed: new Date(due).toISOString() },
        'A scheduled mail was missed, and is skipped',
      )
      await this.#write([handledChange(name, due)])
      return 0
    }
    try {
      const { id } = await this.#send(name, definition.mail as unknown as Mail, due)
      await this.#write([handledChange(name, due, due), lastChange(name, id)])
    } catch (error) {
      if (isTemporary(error)) return RETRY_AFTER
      const reason = error instanceof Error ? error.message : String(error)
      logger.error({ schedule: name, reason }, "A scheduled mail can't be sent, and is skipped")
      await this.#write([handledChange(name, due)])
    }
    return Math.max(0, (recurrence.next(due) ?? now + LOOK_AFTER) - clock.now())
  }

  /** The key makes it one message, however many processes send it, also by an older or newer definition. */
  async #send(name: string, mail: Mail, due: number): Promise<Receipt> {
    const time = new Date(due).toISOString()
    const metadata = { ...mail.metadata, schedule: name, scheduledFor: time }
    return this.#parts.acceptance.take({ ...mail, metadata }, {}, internalKey(`schedule:${name}:${time}`))
  }

  async #read(): Promise<StoredSchedule[]> {
    const ranges = [rangeOf(PREFIX), rangeOf(LAST_PREFIX)]
    const [found = [], last = []] = await this.#parts.queue.records.read(ranges)
    return found.flatMap((record) => fromRecord(record, last) ?? [])
  }

  async #write(changes: Parameters<QueueDriver['records']['write']>[0]): Promise<void> {
    await this.#parts.queue.records.write(changes)
  }
}

function isTemporary(error: unknown): boolean {
  return (
    error instanceof ThreadpostError && (error.code === 'QUEUE_FULL' || error.code === 'QUEUE_UNAVAILABLE')
  )
}

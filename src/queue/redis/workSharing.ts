import type { Redis } from 'ioredis'
import type { Logger } from '../../logging/logger.js'
import type { MailJob } from '../../message/messageState.js'
import type { JobResult } from './bullWorker.js'
import type { Claim, FoundWakeUp } from './redisRows.js'
import type { RedisStore } from './redisStore.js'

/** Milliseconds between two announcements of a worker for whose messages there are no slots. */
const ANNOUNCE_INTERVAL = 100
/** Milliseconds without a new job after which a worker that takes none, and has free slots, looks for messages. */
const LOOK_INTERVAL = 100

/** Claims of messages that waited. After any other, looking again would find the same ones. */
const CLAIMED: ReadonlySet<Claim['action']> = new Set(['deliver', 'recheck'])

export interface WorkSharingOptions {
  store: RedisStore
  publisher: Redis
  subscriber: () => Redis
  channel: string
  /** Name of this process. */
  owner: string
  logger: Logger
  /** Messages that this process could claim now. */
  free: () => number
  /** Whether this process holds jobs with messages that no slot is free for. */
  hasWaiting: () => boolean
  /** How many jobs this process has taken so far; undefined while it takes more. It may have free slots when it takes none. */
  fullAt: () => number | undefined
  /** Claims a message, which calls `claimed`, and delivers it. Resolves to what its job is to do. */
  handle: (wakeUp: FoundWakeUp, claimed: (claim: Claim) => void) => Promise<JobResult>
  /** Makes the job of a message due at another time. */
  reschedule: (job: MailJob, due: number, wake: string) => void
}

/**
 * Lets no worker be idle while another one holds messages without slots for them. A job of BullMQ belongs to one worker and has
 * up to 20 messages. The worker announces that some of them wait, and those with free slots claim messages by themselves, past
 * the jobs.
 *
 *     worker A: 20 messages, 2 slots ── announce() ──► worker B: look() ── findReady ──► claims 2 of the 18
 *                                    every 100 ms                 ▲                          │
 *                                                                 └──────── a slot is free ──┘
 */
export class WorkSharing {
  readonly #options: WorkSharingOptions
  /** Whether there may be messages that nobody has a slot for. */
  #mayFind = false
  #looking = false
  #announcing: NodeJS.Timeout | undefined
  #lookingLater: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: WorkSharingOptions) {
    this.#options = options
  }

  start(): void {
    const { subscriber, channel, owner, logger } = this.#options
    const connection = subscriber()
    connection.on('message', (name: string, from: string) => {
      if (name !== channel || from === owner) return
      this.#mayFind = true
      this.look()
    })
    connection.subscribe(channel).catch((error: unknown) => {
      logger.debug({ problem: (error as Error).message }, 'Announcements of other workers cannot be read')
    })
  }

  /** Announces that messages wait in this process, now and until none does. */
  announce(): void {
    if (this.#announcing !== undefined || this.#closed) return
    const { publisher, channel, owner, hasWaiting } = this.#options
    publisher.publish(channel, owner).catch(() => undefined)
    this.#announcing = setTimeout(() => {
      this.#announcing = undefined
      if (hasWaiting()) this.announce()
    }, ANNOUNCE_INTERVAL)
  }

  /** Looks for messages if slots are free and there may be some; must be called when a slot becomes free. */
  look(): void {
    const { free, fullAt } = this.#options
    if (this.#looking || this.#closed || free() === 0) return
    if (this.#mayFind) void this.#look()
    else if (fullAt() !== undefined) this.#lookLater()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#announcing)
    clearTimeout(this.#lookingLater)
  }

  #lookLater(): void {
    const { fullAt } = this.#options
    const before = fullAt()
    this.#lookingLater ??= setTimeout(() => {
      this.#lookingLater = undefined
      // The same number: messages of its jobs take long. Else it was the moment between two jobs.
      if (fullAt() === before) this.#mayFind = true
      this.look()
    }, LOOK_INTERVAL)
  }

  async #look(): Promise<void> {
    const { store, free } = this.#options
    this.#looking = true
    this.#mayFind = false
    try {
      const wanted = free()
      const found = await store.findReady(wanted)
      const taken = await Promise.all(found.map((wakeUp) => this.#take(wakeUp)))
      // Others may have got all of these, and there may be more.
      if (found.length === wanted && taken.includes(true)) this.#mayFind = true
    } catch {
      // Redis did not answer. The next announcement is a reason to look again.
    }
    this.#looking = false
    this.look()
  }

  /**
   * Delivers a message whose job another process has, or nobody yet. That job ends only when the message needs none, so nothing
   * is lost with either process.
   * @returns once the message is claimed: whether it could be, by this process or by one that was faster
   */
  #take(wakeUp: FoundWakeUp): Promise<boolean> {
    const { handle, reschedule, logger } = this.#options
    return new Promise((resolve) => {
      const delivered: MailJob[] = []
      handle(wakeUp, (claim) => {
        if (claim.action === 'deliver') delivered.push(claim.job)
        resolve(CLAIMED.has(claim.action))
      })
        .then((result) => {
          if (result === 'done' || result === 'recheck') return
          // Its job would notice it when it is next looked at; this is sooner.
          for (const job of delivered) reschedule(job, result === 'requeue' ? 0 : result.due, wakeUp.wake)
        })
        .catch((error: unknown) => {
          logger.debug({ problem: (error as Error).message }, 'A message of another worker was not taken')
        })
        .finally(() => resolve(false))
    })
  }
}

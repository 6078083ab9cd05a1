import type { Queue } from 'bullmq'
import { MAX_PRIORITY } from '../../message/messageState.js'
import type { Connections } from './redisConnections.js'

/** The time at which a worker is to look at a message. */
export interface WakeUp {
  /** The message's id, unless it has exchanged its wake-up: see `scripts/claim.lua`. */
  id: string
  /** Name of the template, or the kind of content. BullMQ's tools show it. */
  name: string
  /** 0 to 9; a higher one goes first. */
  priority: number
  /** Milliseconds since the epoch. */
  due: number
}

/** The messages of one BullMQ job: one message, or several that were accepted together. */
interface WakeBatch extends Omit<WakeUp, 'id'> {
  ids: string[]
}

/** Messages that share a job at most: enough to share its cost, and few enough to leave work for other processes. */
const MAX_BATCH = 20

/** Messages that are due now share jobs, by priority and in the order of acceptance. A message for later has a job of its own. */
export function toWakeBatches(wakeUps: readonly WakeUp[], now: number): WakeBatch[] {
  const batches: WakeBatch[] = []
  const open = new Map<number, WakeBatch>()
  for (const { id, ...wakeUp } of wakeUps) {
    const isDue = wakeUp.due <= now
    const batch = isDue ? open.get(wakeUp.priority) : undefined
    if (batch !== undefined && batch.ids.length < MAX_BATCH) batch.ids.push(id)
    else {
      const fresh = { ...wakeUp, ids: [id] }
      batches.push(fresh)
      if (isDue) open.set(wakeUp.priority, fresh)
    }
  }
  return batches
}

/** The id of a batch's job: the message's id, if the batch has only one message. */
export function jobIdOf({ ids }: Pick<WakeBatch, 'ids'>): string {
  const [first = ''] = ids
  return ids.length === 1 ? first : `lot-${first}`
}

/** BullMQ's name for the queue; its keys are next to ours. */
export const QUEUE_NAME = 'mail'

/** Data of a BullMQ job. */
export interface JobData {
  /** The messages that it wakes up; without it, the one whose id is the job's id. */
  ids?: string[]
}

/** Milliseconds between two attempts to replace a job that is active. */
const REPLACE_DELAY = 20
/** Attempts to replace a job. After that, maintenance adds the job. */
const REPLACE_ATTEMPTS = 50

/** Converts our priority to BullMQ's, and back: BullMQ's begin at 1, and the lowest number goes first. */
export function invertPriority(priority: number): number {
  return MAX_PRIORITY + 1 - priority
}

/**
 * The BullMQ queue. A job only wakes messages up; the messages themselves say what is to be done, so an extra job does no
 * harm.
 */
export class BullQueue {
  readonly #queue: Queue<JobData>

  constructor({ patient, bullmq }: Connections, prefix: string, onError: (error: Error) => void) {
    this.#queue = new bullmq.Queue<JobData>(QUEUE_NAME, {
      connection: patient,
      prefix,
      // Our own keys hold the history, and nothing reads BullMQ's events.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
      streams: { events: { maxLen: 100 } },
      skipWaitingForReady: true,
    })
    this.#queue.on('error', onError)
  }

  /** Adds jobs for messages that were just accepted; messages that are due now share jobs. */
  async addBatched(wakeUps: readonly WakeUp[]): Promise<void> {
    await this.#add(toWakeBatches(wakeUps, Date.now()))
  }

  /** Adds a job for each message; a message that already has one of its own keeps it. */
  async add(wakeUps: readonly WakeUp[]): Promise<void> {
    await this.#add(wakeUps.map(({ id, ...wakeUp }) => ({ ...wakeUp, ids: [id] })))
  }

  /** @returns false if the message's job is active or about to become active */
  async remove(id: string): Promise<boolean> {
    return (await this.#queue.remove(id)) === 1
  }

  /** Adds a job and removes the message's previous one, if there is one. @returns false if that stayed active */
  async replace(wakeUp: WakeUp): Promise<boolean> {
    for (let attempt = 0; attempt < REPLACE_ATTEMPTS; attempt++) {
      if (await this.remove(wakeUp.id)) {
        await this.add([wakeUp])
        return true
      }
      await new Promise((resolve) => setTimeout(resolve, REPLACE_DELAY))
    }
    return false
  }

  pause(): Promise<void> {
    return this.#queue.pause()
  }

  resume(): Promise<void> {
    return this.#queue.resume()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }

  async #add(batches: readonly WakeBatch[]): Promise<void> {
    const now = Date.now()
    await this.#queue.addBulk(
      batches.map((batch) => ({
        name: batch.name,
        data: batch.ids.length === 1 ? {} : { ids: batch.ids },
        opts: {
          jobId: jobIdOf(batch),
          priority: invertPriority(batch.priority),
          ...(batch.due > now ? { delay: batch.due - now } : {}),
        },
      })),
    )
  }
}

import type { Queue } from 'bullmq'
import { MAX_PRIORITY } from '../../message/messageState.js'
import type { Connections } from './connections.js'

/** When a message is to be looked at. */
export interface WakeUp {
  id: string
  /** Name of the template, or what else it is: shown by tools for BullMQ. */
  name: string
  /** 0 to 9, higher first. */
  priority: number
  /** Milliseconds since the epoch. */
  due: number
}

/** What one job of BullMQ's wakes up: a message, or some that were accepted together. */
interface WakeBatch extends Omit<WakeUp, 'id'> {
  ids: string[]
}

/** What a job costs is shared by so many messages at most: enough, and few enough that no other process wants for work. */
const MOST = 20

/**
 * What is due now goes together, by priority and in the order of acceptance. What has a time of its own has a job of
 * its own.
 */
export function wakeBatchesOf(wakes: readonly WakeUp[], now: number): WakeBatch[] {
  const lots: WakeBatch[] = []
  const open = new Map<number, WakeBatch>()
  for (const { id, ...wake } of wakes) {
    const isDue = wake.due <= now
    const lot = isDue ? open.get(wake.priority) : undefined
    if (lot !== undefined && lot.ids.length < MOST) lot.ids.push(id)
    else {
      const fresh = { ...wake, ids: [id] }
      lots.push(fresh)
      if (isDue) open.set(wake.priority, fresh)
    }
  }
  return lots
}

/** What a lot's job is called: as its message, where it has only one. */
export function jobIdOf({ ids }: Pick<WakeBatch, 'ids'>): string {
  const [first = ''] = ids
  return ids.length === 1 ? first : `lot-${first}`
}

/** BullMQ's name of the queue; its keys stand beside ours. */
export const QUEUE_NAME = 'mail'

/** What a job carries: which messages it wakes up, where its own id does not say it. */
export interface JobData {
  ids?: string[]
}

/** Milliseconds between two looks whether a job has ended that is to be replaced. */
const AGAIN = 20
/** Times it is looked; after that the job is put back by who looks for forgotten ones. */
const TRIES = 50

/** BullMQ's priorities begin at 1, and the lowest number goes first; and back again. */
export function mirrored(priority: number): number {
  return MAX_PRIORITY + 1 - priority
}

/**
 * When BullMQ wakes which messages up. A job is no more than that: what is to be done is told by the message itself. So
 * one job too many does no harm.
 */
export class BullQueue {
  readonly #queue: Queue<JobData>

  constructor({ patient, bullmq }: Connections, prefix: string, trouble: (error: Error) => void) {
    this.#queue = new bullmq.Queue<JobData>(QUEUE_NAME, {
      connection: patient,
      prefix,
      // What has ended is ours to keep, and nobody reads BullMQ's events.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
      streams: { events: { maxLen: 100 } },
      skipWaitingForReady: true,
    })
    this.#queue.on('error', trouble)
  }

  /** Jobs for messages that were just accepted; those due now share some. */
  async addTogether(wakes: readonly WakeUp[]): Promise<void> {
    await this.#add(wakeBatchesOf(wakes, Date.now()))
  }

  /** A job for each; a message that has one of its own already keeps it. */
  async add(wakes: readonly WakeUp[]): Promise<void> {
    await this.#add(wakes.map(({ id, ...wake }) => ({ ...wake, ids: [id] })))
  }

  /** @returns false when its job is being ended by somebody, or about to be begun */
  async remove(id: string): Promise<boolean> {
    return (await this.#queue.remove(id)) === 1
  }

  /** Puts a new job in the place of the one that may still be there. @returns whether it did */
  async replace(wake: WakeUp): Promise<boolean> {
    for (let nth = 0; nth < TRIES; nth++) {
      if (await this.remove(wake.id)) {
        await this.add([wake])
        return true
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN))
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

  async #add(lots: readonly WakeBatch[]): Promise<void> {
    const now = Date.now()
    await this.#queue.addBulk(
      lots.map((lot) => ({
        name: lot.name,
        data: lot.ids.length === 1 ? {} : { ids: lot.ids },
        opts: {
          jobId: jobIdOf(lot),
          priority: mirrored(lot.priority),
          ...(lot.due > now ? { delay: lot.due - now } : {}),
        },
      })),
    )
  }
}

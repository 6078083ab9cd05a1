import type { Queue } from 'bullmq'
import type { Connections } from './connections.js'

/** BullMQ's name of the queue; its keys stand beside ours. */
export const QUEUE_NAME = 'mail'

const TOP_PRIORITY = 9
/** Milliseconds between two looks whether a job has ended that is to be replaced. */
const AGAIN = 20
/** Times it is looked; after that the job is put back by who looks for forgotten ones. */
const TRIES = 50

export interface Wake {
  id: string
  /** Name of the template, or what else it is: shown by tools for BullMQ. */
  name: string
  /** 0 to 9, higher first. */
  priority: number
  /** Milliseconds since the epoch. */
  due: number
}

/**
 * When BullMQ wakes which message up. A job is no more than that: its id is the message's, and what is to be done is
 * told by the message itself. So one job too many does no harm.
 */
export class Schedule {
  readonly #queue: Queue

  constructor({ patient, bullmq }: Connections, prefix: string, trouble: (error: Error) => void) {
    this.#queue = new bullmq.Queue(QUEUE_NAME, {
      connection: patient,
      prefix,
      // What has ended is ours to keep, and nobody reads BullMQ's events.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
      streams: { events: { maxLen: 100 } },
      skipWaitingForReady: true,
    })
    this.#queue.on('error', trouble)
  }

  /** A message that has a job already keeps it. */
  async add(wakes: readonly Wake[]): Promise<void> {
    const now = Date.now()
    await this.#queue.addBulk(
      wakes.map(({ id, name, priority, due }) => ({
        name,
        data: {},
        opts: {
          jobId: id,
          priority: TOP_PRIORITY - priority + 1,
          ...(due > now ? { delay: due - now } : {}),
        },
      })),
    )
  }

  /** @returns false when its job is being ended by somebody, or about to be begun */
  async remove(id: string): Promise<boolean> {
    return (await this.#queue.remove(id)) === 1
  }

  /** Puts a new job in the place of the one that may still be there. @returns whether it did */
  async replace(wake: Wake): Promise<boolean> {
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
}

import type { Allowances } from '../transports/budgets.js'
import { ConditionLog } from '../observe/conditionLog.js'
import type { Logger } from '../observe/logger.js'
import { isSettled, type MailJob, TOP_PRIORITY } from '../message/record.js'
import type { Message } from '../message/view.js'
import { cancelByHand, markSentByHand, retryByHand } from './byHand.js'
import type {
  Consumer,
  Enqueued,
  ListQuery,
  MessagePage,
  QueueCommon,
  QueueDriver,
  QueueStats,
} from './driver.js'
import { statusOf, unpackHead, unpackState } from './rows.js'
import { newToken } from './token.js'
import { Acceptor } from './redis/acceptor.js'
import { Changing } from './redis/changing.js'
import { Connections, type RedisPlace } from './redis/connections.js'
import { Deliveries } from './redis/deliveries.js'
import { FleetRate } from './redis/fleetRate.js'
import { Followers } from './redis/followers.js'
import { Grace } from './redis/grace.js'
import { Reading } from './redis/reading.js'
import { Schedule } from './redis/schedule.js'
import { warnOfSettings } from './redis/startChecks.js'
import { heldPlace, Store } from './redis/store.js'
import { Sweeper } from './redis/sweeper.js'
import { ask } from './redis/unavailable.js'
import { Waking } from './redis/waking.js'

export interface RedisQueueOptions extends RedisPlace, QueueCommon {
  /** All keys begin with it. */
  prefix: string
  logger: Logger
  /** Whether Redis may be away at the start. */
  mayWait?: boolean
}

/** The highest first. */
const PRIORITIES = Array.from({ length: TOP_PRIORITY + 1 }, (_, index) => TOP_PRIORITY - index)

/** Milliseconds in which Redis must have heard the last of it when everything else has ended. */
const LAST_WORDS = 1_000

/**
 * Redis, for many processes on many machines: each may take mail in, each may deliver. What is known of a message
 * stands in Redis, changed by scripts that each do one thing at once; BullMQ says when a message's time has come, and
 * brings those of a dead process back.
 */
export class RedisQueue implements QueueDriver {
  readonly durable = true
  readonly #options: RedisQueueOptions
  readonly #connections: Connections
  readonly #store: Store
  readonly #schedule: Schedule
  readonly #waking: Waking
  readonly #acceptor: Acceptor
  readonly #reading: Reading
  readonly #changing: Changing
  readonly #followers: Followers
  #deliveries: Deliveries | undefined
  #sweeper: Sweeper | undefined
  #closed = false

  private constructor(options: RedisQueueOptions, connections: Connections) {
    this.#options = options
    this.#connections = connections
    const { limit, retain, changed, logger } = options
    const owner = newToken()
    // The braces keep all keys in one slot of a cluster.
    const place = `{${options.prefix}}`
    const prefix = `${place}:`
    this.#store = new Store(connections, { prefix, owner, limit, keepKey: retain.keys, count: retain.count })
    this.#schedule = new Schedule(connections, place, (error) =>
      logger.debug({ problem: error.message }, 'BullMQ'),
    )
    this.#waking = new Waking(this.#schedule, this.#store, logger)
    this.#acceptor = new Acceptor(this.#store, { changed, add: (jobs) => this.#waking.accepted(jobs) })
    this.#reading = new Reading(this.#store)
    this.#changing = new Changing(this.#store, this.#waking, {
      changed,
      data: retain.data,
      takeBack: (id) => this.#deliveries?.takeBack(id),
    })
    this.#followers = new Followers(() => connections.subscriber, {
      prefix,
      owner,
      settled: (id) => void this.#tell(id),
    })
  }

  /** @throws ThreadpostError `START_FAILED` without bullmq and ioredis, or when Redis can't be used */
  static async open(options: RedisQueueOptions): Promise<RedisQueue> {
    const { logger } = options
    const away = new ConditionLog(logger, {
      begins: 'Redis is away',
      level: 'error',
      ends: 'Redis is there again',
    })
    const trouble = (problem: string | undefined): void => away.report(problem)
    const connections = await Connections.open(options, trouble, options.mayWait ?? false)
    void warnOfSettings(connections.quick, logger)
    return new RedisQueue(options, connections)
  }

  enqueue(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    return this.#acceptor.accept(jobs)
  }

  async start(consumer: Consumer): Promise<void> {
    const { changed, retain, logger, prefix } = this.#options
    this.#deliveries = new Deliveries(consumer, {
      connections: this.#connections,
      prefix: `{${prefix}}`,
      store: this.#store,
      schedule: this.#schedule,
      changed,
      data: retain.data,
      logger,
    })
    this.#sweeper = new Sweeper({
      store: this.#store,
      retain,
      logger,
      expire: (found) => this.#changing.expire(found),
      adopt: (found) => this.#waking.adopt(found),
    })
    await this.#sweeper.sweep()
    await this.#deliveries.start()
  }

  find(id: string): Promise<Message | undefined> {
    return this.#reading.find(id)
  }

  load(id: string): Promise<MailJob | 'dropped' | undefined> {
    return this.#reading.load(id)
  }

  list(query: ListQuery): Promise<MessagePage> {
    return this.#reading.list(query)
  }

  stats(): Promise<QueueStats> {
    return this.#reading.stats()
  }

  cancel(id: string): Promise<Message> {
    return this.#changing.byHand(id, (state, now, takeBack) => cancelByHand(id, state, takeBack, now))
  }

  retry(id: string): Promise<Message> {
    return this.#changing.byHand(id, (state, now) => retryByHand(id, state, now, this.#options.maxAge))
  }

  markSent(id: string): Promise<Message> {
    return this.#changing.byHand(id, (state, now) => markSentByHand(id, state, now))
  }

  async pause(): Promise<void> {
    await ask(() => this.#connections.quick.ping())
    await this.#schedule.pause()
  }

  async resume(): Promise<void> {
    await ask(() => this.#connections.quick.ping())
    await this.#schedule.resume()
  }

  /** Rates of transports, for all processes on this queue together. */
  readonly allowances: Allowances = (transport, rate) =>
    new FleetRate(transport, rate, (...wish) => this.#store.reserve(...wish))

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const places = PRIORITIES.flatMap((priority) => transports.map((name) => heldPlace(name, priority)))
    const woken = await this.#store.wake(places, most)
    this.#waking.woken(woken)
    return woken.length
  }

  follow(id: string): () => void {
    return this.#followers.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#deliveries?.drain(deadline)
  }

  /** Whatever Redis does, this ends soon: what it was not told by then is found by those who deliver next. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const grace = new Grace(LAST_WORDS)
    this.#sweeper?.close()
    await this.#deliveries?.close(grace)
    await this.#waking.close(grace)
    await grace.until(this.#store.goodbye())
    this.#connections.close()
  }

  /** Announces a followed message that somebody else has settled. */
  async #tell(id: string): Promise<void> {
    try {
      const { rows } = await this.#store.look([id])
      const [row] = rows
      if (row === undefined || !isSettled(statusOf(row)) || !this.#followers.has(id)) return
      const job = unpackHead(row)
      this.#options.changed({ job, state: unpackState(row, job) })
    } catch {
      // Redis is away; when it is back all that is followed is looked at again.
    }
  }
}

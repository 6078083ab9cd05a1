import { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { newToken } from '../../message/ids.js'
import { type MailJob, MAX_PRIORITY } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import type { Allowances } from '../../transports/budgets.js'
import type { ManualAction } from '../actions.js'
import { DistributedRateLimiter } from '../distributedRateLimiter.js'
import type { Consumer, EnqueueResult, DriverOptions, QueueDriver, QueueTransfer } from '../driver.js'
import type { SharedRecords } from '../records.js'
import { unpackHead } from '../rowCodec.js'
import { storedQueries } from '../storedQueries.js'
import { BullQueue } from './bullQueue.js'
import { Connections, orUnavailable, type RedisConnectionOptions, warnAboutSettings } from './connections.js'
import { JobScheduler } from './jobScheduler.js'
import { Maintenance } from './maintenance.js'
import { MemoryReserve } from './memoryReserve.js'
import { Mutations } from './mutations.js'
import { RedisAcceptor } from './redisAcceptor.js'
import { RedisConsumer } from './redisConsumer.js'
import { RedisSubscriptions } from './redisSubscriptions.js'
import { redisTransfer } from './redisTransfer.js'
import { heldIndex, RedisStore } from './store.js'

export interface RedisQueueOptions extends RedisConnectionOptions, DriverOptions {
  /** All keys begin with it. */
  prefix: string
  logger: Logger
  /** Whether Redis may be unavailable at the start. @default false */
  mayBeDown?: boolean
}

/** All priorities, the highest first. */
const PRIORITIES = Array.from({ length: MAX_PRIORITY + 1 }, (_, index) => MAX_PRIORITY - index)

/** Milliseconds for the last commands to Redis once everything else has ended. */
const CLOSE_GRACE = 1_000

/**
 * A queue in Redis for many processes on many machines: each may accept mail, and each may deliver. Redis holds the messages, and
 * Lua scripts change them atomically. BullMQ wakes a worker up when a message is due, and gives the jobs of a dead process to
 * others.
 */
export class RedisQueue implements QueueDriver {
  readonly durable = true
  readonly search = 'scan'
  readonly records: SharedRecords
  readonly transfer: QueueTransfer
  readonly find: QueueDriver['find']
  readonly load: QueueDriver['load']
  readonly list: QueueDriver['list']
  readonly stats: QueueDriver['stats']
  readonly #options: RedisQueueOptions
  readonly #connections: Connections
  readonly #store: RedisStore
  readonly #bullQueue: BullQueue
  readonly #scheduler: JobScheduler
  readonly #acceptor: RedisAcceptor
  readonly #mutations: Mutations
  readonly #subscriptions: RedisSubscriptions
  #consumer: RedisConsumer | undefined
  #maintenance: Maintenance | undefined
  #closed = false

  private constructor(options: RedisQueueOptions, connections: Connections) {
    this.#options = options
    this.#connections = connections
    const { limit, retain, onChange, recordsOf, logger } = options
    const owner = newToken()
    // The braces keep all keys in one slot of a cluster.
    const bullPrefix = `{${options.prefix}}`
    const prefix = `${bullPrefix}:`
    this.#store = new RedisStore(connections, {
      prefix,
      owner,
      limit,
      keepKey: retain.keys,
      count: retain.count,
      cipher: options.encryption?.rows,
    })
    const records: SharedRecords = {
      write: (changes) => orUnavailable(() => this.#store.writeRecords(changes)),
      read: (ranges) => orUnavailable(() => this.#store.readRecords(ranges)),
    }
    this.records = options.encryption?.records(records) ?? records
    this.#bullQueue = new BullQueue(connections, bullPrefix, (error) =>
      logger.debug({ problem: error.message }, 'BullMQ'),
    )
    this.#scheduler = new JobScheduler(this.#bullQueue, this.#store, logger)
    this.transfer = redisTransfer(this.#store, this.#scheduler, retain.keys, options.encryption?.rows)
    this.#acceptor = new RedisAcceptor(this.#store, {
      reserve: new MemoryReserve(connections.quick, logger),
      changed: onChange,
      addJobs: (jobs) => this.#scheduler.add(jobs),
    })
    const queries = storedQueries(this.#store, orUnavailable)
    ;({ find: this.find, load: this.load, list: this.list, stats: this.stats } = queries)
    this.#mutations = new Mutations(this.#store, this.#scheduler, {
      changed: onChange,
      recordsOf,
      data: retain.data,
      maxAge: options.maxAge,
      cipher: options.encryption?.rows,
      cancelDelivery: (id) => this.#consumer?.cancelDelivery(id),
    })
    this.#subscriptions = new RedisSubscriptions(() => connections.subscriber, {
      prefix,
      owner,
      settled: async (id) => {
        const message = await queries.settledElsewhere(id)
        if (message !== undefined && this.#subscriptions.has(id)) onChange(message)
      },
    })
  }

  /** @throws ThreadpostError `START_FAILED` if bullmq or ioredis is missing, or if Redis can't be used */
  static async open(options: RedisQueueOptions): Promise<RedisQueue> {
    const { logger } = options
    const outage = new ConditionLog(logger, {
      begins: 'Redis is unavailable',
      level: 'error',
      ends: 'Redis is available again',
    })
    const onProblem = (problem: string | undefined): void => outage.report(problem)
    const connections = await Connections.open(options, onProblem, options.mayBeDown ?? false)
    void warnAboutSettings(connections.quick, logger)
    return new RedisQueue(options, connections)
  }

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return this.#acceptor.accept(jobs)
  }

  async start(consumer: Consumer): Promise<void> {
    const { onChange, recordsOf, retain, logger, prefix } = this.#options
    this.#consumer = new RedisConsumer(consumer, {
      connections: this.#connections,
      prefix: `{${prefix}}`,
      store: this.#store,
      queue: this.#bullQueue,
      changed: onChange,
      recordsOf,
      data: retain.data,
      logger,
    })
    this.#maintenance = new Maintenance({
      store: this.#store,
      retain,
      logger,
      expire: (found) => this.#mutations.expire(found),
      adopt: (found) => this.#scheduler.adopt(found),
    })
    await this.#maintenance.start()
    await this.#consumer.start()
  }

  async act(id: string, action: ManualAction): Promise<Message> {
    const message = await this.#mutations.apply(id, action)
    return message()
  }

  change(id: string, action: ManualAction): Promise<unknown> {
    return this.#mutations.apply(id, action)
  }

  async pause(): Promise<void> {
    await orUnavailable(() => this.#connections.quick.ping())
    await this.#bullQueue.pause()
  }

  async resume(): Promise<void> {
    await orUnavailable(() => this.#connections.quick.ping())
    await this.#bullQueue.resume()
  }

  /** Rate limits of transports, for all processes on this queue together. */
  readonly allowances: Allowances = (transport, rate) =>
    new DistributedRateLimiter(transport, rate, this.#store.requestPermits, () => this.#store.nextOperation())

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const indexes = PRIORITIES.flatMap((priority) => transports.map((name) => heldIndex(name, priority)))
    const woken = await this.#store.wakeHeld(indexes, most)
    // Each has a job for a later time, or is about to get one.
    for (const { row } of woken) this.#scheduler.reschedule(unpackHead(row), 0, row.wake)
    return woken.length
  }

  subscribe(id: string): () => void {
    return this.#subscriptions.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#consumer?.drain(deadline)
  }

  /** Ends soon even if Redis is unavailable: other processes later recover the results that could not be stored. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const grace = new Deadline(CLOSE_GRACE)
    this.#maintenance?.close()
    await this.#consumer?.close(grace)
    await this.#scheduler.close(grace)
    await grace.until(this.#store.deregister())
    this.#connections.close()
  }
}

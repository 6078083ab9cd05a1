import { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { newToken } from '../../message/ids.js'
import { isSettled, type MailJob, MAX_PRIORITY } from '../../message/messageState.js'
import type { Consumer, EnqueueResult, DriverOptions, QueueDriver, QueueTransfer } from '../driver.js'
import type { ChangeResult } from '../records.js'
import { unpackHead } from '../rowCodec.js'
import { type ServerOperations, serverOperations } from '../serverOperations.js'
import type { Mutation, StoredMutations } from '../storedMutations.js'
import { BullQueue } from './bullQueue.js'
import { JobAdder } from './jobAdder.js'
import { MemoryReserve } from './memoryReserve.js'
import { RedisAcceptor } from './redisAcceptor.js'
import {
  Connections,
  orUnavailable,
  type RedisConnectionOptions,
  warnAboutSettings,
} from './redisConnections.js'
import { RedisConsumer } from './redisConsumer.js'
import { Maintenance } from './redisMaintenance.js'
import { heldIndex } from './redisRows.js'
import { RedisStore } from './redisStore.js'
import { RedisSubscriptions } from './redisSubscriptions.js'
import { redisTransfer } from './redisTransfer.js'

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
export class RedisQueue implements Omit<QueueDriver, keyof ServerOperations> {
  readonly transfer: QueueTransfer
  readonly #options: RedisQueueOptions
  readonly #connections: Connections
  readonly #store: RedisStore
  readonly #bullQueue: BullQueue
  readonly #jobAdder: JobAdder
  readonly #owner = newToken()
  readonly #acceptor: RedisAcceptor
  readonly #operations: ServerOperations
  readonly #mutations: StoredMutations
  readonly #subscriptions: RedisSubscriptions
  #consumer: RedisConsumer | undefined
  #maintenance: Maintenance | undefined
  #closed: Promise<void> | undefined

  private constructor(options: RedisQueueOptions, connections: Connections) {
    this.#options = options
    this.#connections = connections
    const { limit, retain, onChange, logger } = options
    // The braces keep all keys in one slot of a cluster.
    const bullPrefix = `{${options.prefix}}`
    const prefix = `${bullPrefix}:`
    const cipher = options.encryption?.rows
    this.#store = new RedisStore(connections, {
      prefix,
      owner: this.#owner,
      limit,
      keepKey: retain.keys,
      count: retain.count,
      cipher,
    })
    this.#bullQueue = new BullQueue(connections, bullPrefix, (error) =>
      logger.debug({ problem: error.message }, 'BullMQ'),
    )
    this.#jobAdder = new JobAdder(this.#bullQueue, this.#store, logger)
    this.transfer = redisTransfer(this.#store, this.#jobAdder, retain.keys, cipher)
    this.#acceptor = new RedisAcceptor(this.#store, {
      reserve: new MemoryReserve(connections.quick, logger),
      changed: onChange,
      addJobs: (jobs) => this.#jobAdder.add(jobs),
    })
    const { operations, mutations, announce } = serverOperations(this.#store, {
      ...options,
      guard: orUnavailable,
      write: (mutation) => this.#write(mutation),
      cancelDelivery: (id) => this.#consumer?.cancelDelivery(id),
    })
    this.#operations = operations
    this.#mutations = mutations
    this.#subscriptions = new RedisSubscriptions(() => connections.subscriber, {
      prefix,
      owner: this.#owner,
      settled: (id) => announce(id, (id) => this.#subscriptions.has(id)),
    })
  }

  /** @throws ThreadpostError `START_FAILED` if bullmq or ioredis is missing, or if Redis can't be used */
  static async open(options: RedisQueueOptions): Promise<RedisQueue & ServerOperations> {
    const { logger } = options
    const outage = new ConditionLog(logger, {
      begins: 'Redis is unavailable',
      level: 'error',
      ends: 'Redis is available again',
    })
    const onProblem = (problem: string | undefined): void => outage.report(problem)
    const connections = await Connections.open(options, onProblem, options.mayBeDown ?? false)
    void warnAboutSettings(connections.quick, logger)
    const queue = new RedisQueue(options, connections)
    return Object.assign(queue, queue.#operations)
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
      owner: this.#owner,
      queue: this.#bullQueue,
      reschedule: (job, due, wake) => this.#jobAdder.reschedule(job, due, wake),
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
      adopt: (found) => this.#jobAdder.adopt(found),
    })
    await this.#maintenance.start()
    await this.#consumer.start()
  }

  async pause(): Promise<void> {
    await orUnavailable(() => this.#connections.quick.ping())
    await this.#bullQueue.pause()
  }

  async resume(): Promise<void> {
    await orUnavailable(() => this.#connections.quick.ping())
    await this.#bullQueue.resume()
  }

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const indexes = PRIORITIES.flatMap((priority) => transports.map((name) => heldIndex(name, priority)))
    const woken = await this.#store.wakeHeld(indexes, most)
    // Each has a job for a later time, or is about to get one.
    for (const { row } of woken) this.#jobAdder.reschedule(unpackHead(row), 0, row.wake)
    return woken.length
  }

  subscribe(id: string): () => void {
    return this.#subscriptions.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#consumer?.drain(deadline)
  }

  /** Ends soon even if Redis is unavailable: other processes later recover the results that could not be stored. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  async #close(): Promise<void> {
    const grace = new Deadline(CLOSE_GRACE)
    this.#maintenance?.close()
    await this.#consumer?.close(grace)
    await this.#jobAdder.close(grace)
    await grace.until(this.#store.deregister())
    this.#connections.close()
  }

  /** Stores a change of a message that no process is delivering. The message keeps the job that it needs. */
  async #write({ row, ...change }: Mutation): Promise<ChangeResult> {
    const { id, state } = change
    const needsJob = state.status === 'queued'
    const [result, wake = id] = await this.#store.update({ ...change, rev: row.rev, losses: 0, needsJob })
    if (result === 'stale') return result
    if (needsJob) this.#jobAdder.reschedule(unpackHead(row), state.dueAt, wake)
    else if (isSettled(state.status)) this.#jobAdder.remove(wake)
    return result
  }
}

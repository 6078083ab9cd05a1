import { Deadline } from '../../clock.js'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { newToken } from '../../message/ids.js'
import { isSettled, type MailJob, newState, TOP_PRIORITY } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import { Batcher } from '../../structures/batcher.js'
import type { Allowances } from '../../transports/budgets.js'
import { cancelManually, markSentManually, retryManually } from '../actions.js'
import type {
  ChangeListener,
  Consumer,
  EnqueueResult,
  ListQuery,
  MessagePage,
  DriverOptions,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import { statusOf, unpackHead, unpackState } from '../rowCodec.js'
import { BullQueue } from './bullQueue.js'
import { ask, Connections, type RedisPlace, refusal, warnOfSettings } from './connections.js'
import { DistributedRateLimiter } from './distributedRateLimiter.js'
import { JobScheduler } from './jobScheduler.js'
import { Maintenance } from './maintenance.js'
import { Mutations } from './mutations.js'
import { Queries } from './queries.js'
import { RedisConsumer } from './redisConsumer.js'
import { RedisSubscriptions } from './redisSubscriptions.js'
import { heldPlace, RedisStore } from './store.js'

/** Messages in one command. */
const LOT = 100

/**
 * Takes messages in: what comes in one turn of the event loop is one command. It is accepted once it stands in Redis;
 * then it is given its job.
 */
class Acceptor {
  readonly #store: RedisStore
  readonly #changed: ChangeListener
  readonly #add: (jobs: readonly MailJob[]) => void
  readonly #gathered: Batcher<MailJob, EnqueueResult>

  constructor(
    store: RedisStore,
    options: { changed: ChangeListener; add: (jobs: readonly MailJob[]) => void },
  ) {
    this.#store = store
    this.#changed = options.changed
    this.#add = options.add
    this.#gathered = new Batcher(LOT, (jobs) => this.#accept(jobs))
  }

  accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return Promise.all(jobs.map((job) => this.#gathered.ask(job)))
  }

  async #accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const op = this.#store.op()
    let answers: EnqueueResult[]
    try {
      answers = await this.#store.accept(jobs, op)
    } catch (error) {
      // Redis may have taken them in before it was lost: they have no job yet, and never get one.
      this.#store
        .revoke(
          jobs.map(({ id }) => id),
          op,
        )
        .catch(() => undefined)
      const problem = refusal(error)
      return jobs.map(() => ({ result: 'unavailable', problem }))
    }
    const accepted = jobs.filter((_, index) => answers[index]?.result === 'queued')
    for (const job of accepted) this.#changed({ job, state: newState(job) })
    if (accepted.length > 0) this.#add(accepted)
    return answers
  }
}

export interface RedisQueueOptions extends RedisPlace, DriverOptions {
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
  readonly #store: RedisStore
  readonly #schedule: BullQueue
  readonly #waking: JobScheduler
  readonly #acceptor: Acceptor
  readonly #reading: Queries
  readonly #changing: Mutations
  readonly #followers: RedisSubscriptions
  #deliveries: RedisConsumer | undefined
  #sweeper: Maintenance | undefined
  #closed = false

  private constructor(options: RedisQueueOptions, connections: Connections) {
    this.#options = options
    this.#connections = connections
    const { limit, retain, onChange, logger } = options
    const owner = newToken()
    // The braces keep all keys in one slot of a cluster.
    const place = `{${options.prefix}}`
    const prefix = `${place}:`
    this.#store = new RedisStore(connections, {
      prefix,
      owner,
      limit,
      keepKey: retain.keys,
      count: retain.count,
    })
    this.#schedule = new BullQueue(connections, place, (error) =>
      logger.debug({ problem: error.message }, 'BullMQ'),
    )
    this.#waking = new JobScheduler(this.#schedule, this.#store, logger)
    this.#acceptor = new Acceptor(this.#store, {
      changed: onChange,
      add: (jobs) => this.#waking.accepted(jobs),
    })
    this.#reading = new Queries(this.#store)
    this.#changing = new Mutations(this.#store, this.#waking, {
      changed: onChange,
      data: retain.data,
      takeBack: (id) => this.#deliveries?.takeBack(id),
    })
    this.#followers = new RedisSubscriptions(() => connections.subscriber, {
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

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return this.#acceptor.accept(jobs)
  }

  async start(consumer: Consumer): Promise<void> {
    const { onChange, retain, logger, prefix } = this.#options
    this.#deliveries = new RedisConsumer(consumer, {
      connections: this.#connections,
      prefix: `{${prefix}}`,
      store: this.#store,
      schedule: this.#schedule,
      changed: onChange,
      data: retain.data,
      logger,
    })
    this.#sweeper = new Maintenance({
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
    return this.#changing.byHand(id, (state, now, takeBack) => cancelManually(id, state, takeBack, now))
  }

  retry(id: string): Promise<Message> {
    return this.#changing.byHand(id, (state, now) => retryManually(id, state, now, this.#options.maxAge))
  }

  markSent(id: string): Promise<Message> {
    return this.#changing.byHand(id, (state, now) => markSentManually(id, state, now))
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
    new DistributedRateLimiter(transport, rate, (...wish) => this.#store.reserve(...wish))

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const places = PRIORITIES.flatMap((priority) => transports.map((name) => heldPlace(name, priority)))
    const woken = await this.#store.wake(places, most)
    this.#waking.woken(woken)
    return woken.length
  }

  subscribe(id: string): () => void {
    return this.#followers.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#deliveries?.drain(deadline)
  }

  /** Whatever Redis does, this ends soon: what it was not told by then is found by those who deliver next. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const grace = new Deadline(LAST_WORDS)
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
      this.#options.onChange({ job, state: unpackState(row, job) })
    } catch {
      // Redis is away; when it is back all that is followed is looked at again.
    }
  }
}

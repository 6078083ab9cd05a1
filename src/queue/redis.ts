import { randomBytes } from 'node:crypto'
import type { Allowances } from '../budgets.js'
import { ThreadpostError } from '../errors.js'
import { isId } from '../ids.js'
import type { Logger } from '../logger.js'
import { enter, isSettled, type MailJob, type MessageState, type Status } from '../record.js'
import type { Message } from '../messageView.js'
import type { Retention } from '../retention.js'
import { cancelByHand, losesContent, markSentByHand, notFound, retryByHand } from './byHand.js'
import type {
  ChangeListener,
  Consumer,
  Enqueued,
  ListQuery,
  MessagePage,
  QueueDriver,
  QueueStats,
} from './driver.js'
import { cursorOf, limitOf, matches } from './listing.js'
import type { StoredRow } from './outboxWire.js'
import { packState, showRow, statusOf, unpackHead, unpackLoaded, unpackState } from './rows.js'
import { Acceptor, unavailable } from './redis/acceptor.js'
import { Connections, type RedisPlace } from './redis/connections.js'
import { Deliveries } from './redis/deliveries.js'
import { FleetRate } from './redis/fleetRate.js'
import { Followers } from './redis/followers.js'
import { Schedule, type Wake } from './redis/schedule.js'
import { warnOfSettings } from './redis/startChecks.js'
import { Store } from './redis/store.js'
import { type Found, Sweeper } from './redis/sweeper.js'

export interface RedisQueueOptions extends RedisPlace {
  /** All keys begin with it. */
  prefix: string
  /** Messages not yet settled, at most. */
  limit: number
  maxAge: number
  retain: Retention
  changed: ChangeListener
  logger: Logger
  /** Whether Redis may be away at the start. */
  mayWait?: boolean
}

/** Milliseconds that jobs still to be added are waited for in the end. */
const LAST_WORDS = 2_000
/** Messages looked at for one page of a filtered listing. */
const MOST_LOOKED_AT = 2_000

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
  readonly #acceptor: Acceptor
  readonly #followers: Followers
  readonly #background = new Set<Promise<unknown>>()
  #deliveries: Deliveries | undefined
  #sweeper: Sweeper | undefined
  #closed = false

  private constructor(options: RedisQueueOptions, connections: Connections) {
    this.#options = options
    this.#connections = connections
    const { limit, retain, changed, logger } = options
    const owner = randomBytes(6).toString('hex')
    // The braces keep all keys in one slot of a cluster.
    const place = `{${options.prefix}}`
    const prefix = `${place}:`
    this.#store = new Store(connections, {
      prefix,
      owner,
      limit,
      keepKey: retain.keys,
      count: retain.count,
    })
    this.#schedule = new Schedule(connections, place, (error) =>
      logger.debug({ problem: error.message }, 'BullMQ'),
    )
    this.#acceptor = new Acceptor(this.#store, {
      changed,
      add: (jobs) => this.#inBackground(this.#add(jobs.map(wakeOf))),
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
    const trouble = (problem: string | undefined): void => {
      if (problem === undefined) logger.info({}, 'Redis is there again')
      else logger.error({ problem }, 'Redis is away')
    }
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
      changed,
      data: retain.data,
      logger,
    })
    this.#sweeper = new Sweeper({
      store: this.#store,
      retain,
      logger,
      expire: (found) => this.#expire(found),
      adopt: (found) => this.#adopt(found),
    })
    await this.#sweeper.sweep()
    await this.#deliveries.start()
  }

  async find(id: string): Promise<Message | undefined> {
    const { paused, rows } = await this.#ask(() => this.#store.look([id]))
    return rows[0] && show(rows[0], paused)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await this.#ask(() => this.#store.load(id))
    return row && unpackLoaded(row)
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const limit = limitOf(query)
    let before = cursorOf(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    if (q !== '')
      throw new ThreadpostError(
        'UNSUPPORTED',
        'q: a queue on Redis finds whole ids only; look for recipient, tag or template instead',
        { path: 'q' },
      )
    const messages: Message[] = []
    for (let looked = 0; looked < MOST_LOOKED_AT;) {
      const { paused, rows } = await this.#ask(() => this.#store.page(before, limit, query.status))
      looked += rows.length
      for (const row of rows) {
        before = row.seq
        if (!matches(unpackHead(row), shownStatus(row, paused), query)) continue
        messages.push(show(row, paused))
        if (messages.length === limit) return { messages, cursor: String(before) }
      }
      if (rows.length < limit) return { messages }
    }
    return { messages, cursor: String(before) }
  }

  cancel(id: string): Promise<Message> {
    return this.#act(id, (state, now) => {
      const takenBack = state.status === 'sending' && this.#deliveries?.takeBack(id) === true
      cancelByHand(id, state, takenBack, now)
    })
  }

  retry(id: string): Promise<Message> {
    return this.#act(id, (state, now) => retryByHand(id, state, now, this.#options.maxAge))
  }

  markSent(id: string): Promise<Message> {
    return this.#act(id, (state, now) => markSentByHand(id, state, now))
  }

  async pause(): Promise<void> {
    await this.#ask(() => this.#connections.quick.ping())
    await this.#schedule.pause()
  }

  async resume(): Promise<void> {
    await this.#ask(() => this.#connections.quick.ping())
    await this.#schedule.resume()
  }

  async stats(): Promise<QueueStats> {
    const { counts, ...rest } = await this.#ask(() => this.#store.stats())
    if (rest.paused) {
      counts.held += counts.queued
      counts.queued = 0
    }
    return { ...counts, ...rest }
  }

  /** Rates of transports, for all processes on this queue together. */
  readonly allowances: Allowances = (transport, rate) =>
    new FleetRate(transport, rate, (...ask) => this.#store.reserve(...ask))

  follow(id: string): () => void {
    return this.#followers.follow(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#deliveries?.drain(deadline)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sweeper?.close()
    await this.#deliveries?.close()
    await Promise.race([
      Promise.all(this.#background),
      new Promise((resolve) => setTimeout(resolve, LAST_WORDS).unref()),
    ])
    await this.#store.goodbye().catch(() => undefined)
    await this.#schedule.close().catch(() => undefined)
    this.#connections.close()
  }

  async #add(wakes: readonly Wake[]): Promise<void> {
    await this.#schedule.add(wakes)
    await this.#store.added(wakes.map(({ id }) => id))
  }

  /** What fails here is made good by the sweep. */
  #inBackground(work: Promise<unknown>): void {
    const quiet = work
      .catch((error: unknown) => {
        this.#options.logger.debug({ problem: (error as Error).message }, 'a job was not added at once')
      })
      .finally(() => this.#background.delete(quiet))
    this.#background.add(quiet)
  }

  /** Changes a message by a person's wish; tried again when somebody else changed it meanwhile. */
  async #act(id: string, action: (state: MessageState, now: number) => void): Promise<Message> {
    for (;;) {
      const { paused, rows } = await this.#ask(() => this.#store.look([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      action(state, Date.now())
      const stored = await this.#ask(() => this.#change(id, row, state))
      if (stored === 'stale') continue
      this.#options.changed({ job, state })
      if (state.status === 'queued') {
        const wake = wakeOf({ ...job, notBefore: state.dueAt })
        this.#inBackground(
          this.#schedule.replace(wake).then((done) => (done ? this.#store.added([id]) : undefined)),
        )
      } else this.#inBackground(this.#schedule.remove(id))
      return show({ ...row, ...packState(state) }, paused)
    }
  }

  #change(id: string, row: StoredRow, state: MessageState): Promise<'written' | 'stale'> {
    return this.#store.change({
      id,
      rev: row.rev,
      state,
      drop: losesContent(state.status, this.#options.retain.data),
      losses: 0,
      schedule: state.status === 'queued',
    })
  }

  async #expire({ id, row }: Found): Promise<void> {
    const job = unpackHead(row)
    const state = unpackState(row, job)
    enter(state, 'expired', Date.now())
    if ((await this.#change(id, row, state)) === 'stale') return
    this.#options.changed({ job, state })
    this.#inBackground(this.#schedule.remove(id))
  }

  #adopt(orphans: readonly Found[]): void {
    const wakes = orphans.map(({ row }) => wakeOf({ ...unpackHead(row), notBefore: row.dueAt }))
    this.#options.logger.warn({ messages: wakes.length }, 'messages had no job; they have now')
    this.#inBackground(this.#add(wakes))
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

  async #listOne(id: string, { status }: ListQuery): Promise<MessagePage> {
    const message = await this.find(id)
    return {
      messages: message === undefined || (status ?? message.status) !== message.status ? [] : [message],
    }
  }

  /** What can't be asked just now is told as that. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      throw new ThreadpostError('QUEUE_UNAVAILABLE', unavailable(error), { cause: error })
    }
  }
}

function wakeOf({ id, content, priority, notBefore }: MailJob): Wake {
  const name = content.kind === 'template' ? content.name : content.kind
  return { id, name, priority, due: notBefore ?? 0 }
}

/** What waits in line is held for as long as the queue is paused. */
function shownStatus(row: StoredRow, paused: boolean): Status {
  const status = statusOf(row)
  return paused && status === 'queued' ? 'held' : status
}

function show(row: StoredRow, paused: boolean): Message {
  return showRow(row, shownStatus(row, paused), paused)
}

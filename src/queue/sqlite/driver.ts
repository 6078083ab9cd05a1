import path from 'node:path'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { isId, newToken } from '../../message/ids.js'
import type { MailJob, Status } from '../../message/messageState.js'
import type { Message } from '../../message/messageView.js'
import {
  type ManualAction,
  cancelManually,
  dropsContent,
  markSentManually,
  notFound,
  retryManually,
} from '../actions.js'
import type {
  Consumer,
  EnqueueResult,
  ListQuery,
  MessagePage,
  DriverOptions,
  QueueDriver,
  QueueStats,
} from '../driver.js'
import {
  cursorPosition,
  pageLimit,
  matches,
  paginate,
  shownCounts,
  shownStatus,
  statusesShownAs,
} from '../listing.js'
import { packState, rowToMessage, statusOf, unpackHead, unpackLoaded, unpackState } from '../rowCodec.js'
import { STATUS_NUMBERS, type StoredRow } from '../storedRow.js'
import { Subscriptions } from '../subscriptions.js'
import { Acceptor } from './acceptor.js'
import { DelivererLock } from './delivererLock.js'
import { OutboxClient } from './outboxClient.js'
import { OutboxConsumer } from './outboxConsumer.js'
import type { Report } from './outboxProtocol.js'

export interface SqliteQueueOptions extends DriverOptions {
  /** Path of the file. */
  file: string
  /** Bytes the file may have when a message is taken in. @default no limit but the disk's */
  maxSize?: number
  logger: Logger
  /** Names this process's deliveries in the file, and its notes beside it; see workers/witness. @default one of its own */
  token?: string
}

/**
 * One file that outlives the process. All its work is done in the outbox thread; a receipt means that the message is
 * on disk. Of several processes on one file one delivers, and another takes over when it ends.
 */
export class SqliteQueue implements QueueDriver {
  readonly durable = true
  readonly #options: SqliteQueueOptions
  readonly #followed = new Subscriptions({
    onFirst: (id) => this.#link.send('follow', { id, on: true }),
    onLast: (id) => this.#link.send('follow', { id, on: false }),
  })
  #link!: OutboxClient
  #acceptance!: Acceptor
  #deliveries: OutboxConsumer | undefined
  #lock: DelivererLock | undefined
  #begun!: () => void
  /** Resolves once this process delivers from the file. */
  readonly #delivers = new Promise<void>((resolve) => (this.#begun = resolve))
  readonly #stalled: ConditionLog
  readonly #refusing: ConditionLog
  #paused = false

  private constructor(options: SqliteQueueOptions) {
    this.#options = options
    this.#stalled = new ConditionLog(options.logger, {
      begins: 'The queue can store nothing just now',
      level: 'error',
      ends: 'The queue stores messages again',
    })
    this.#refusing = new ConditionLog(options.logger, {
      begins: 'The queue takes in no new messages; those it has accepted are still delivered',
      level: 'warn',
      ends: 'The queue takes in new messages again',
    })
  }

  /** @throws ThreadpostError `START_FAILED` when the file is damaged, newer, locked, of another program or not writable. */
  static async open(options: SqliteQueueOptions): Promise<SqliteQueue> {
    const queue = new SqliteQueue(options)
    const { limit, maxSize, retain, token = newToken() } = options
    const file = path.resolve(options.file)
    const setup = { file, limit, retain, token, ...(maxSize === undefined ? {} : { maxSize }) }
    queue.#link = await OutboxClient.start(setup, {
      report: (report) => queue.#receive(report),
      unavailable: (problem) => queue.#stalled.report(problem),
      refusing: (problem) => queue.#refusing.report(problem),
      restarted: () => queue.#restart(),
    })
    queue.#acceptance = new Acceptor(queue.#link, options.onChange, retain.keys)
    // The first answer brings the state of the file along.
    await queue.stats()
    return queue
  }

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return this.#acceptance.accept(jobs)
  }

  async start(consumer: Consumer): Promise<void> {
    const { onChange, retain, file } = this.#options
    this.#lock = await DelivererLock.open(path.resolve(file))
    this.#deliveries = new OutboxConsumer(
      this.#link,
      consumer,
      onChange,
      retain.data,
      this.#acceptance.cachedJobs,
    )
    this.#deliveries.pause(this.#paused)
    const deliveries = this.#deliveries
    this.#lock.onceHeld(() => {
      deliveries.start()
      this.#begun()
    })
  }

  async find(id: string): Promise<Message | undefined> {
    const row = await this.#link.request('find', { id })
    return row === null ? undefined : this.#show(row)
  }

  async load(id: string): Promise<MailJob | 'dropped' | undefined> {
    const row = await this.#link.request('load', { id })
    return row === null ? undefined : unpackLoaded(row)
  }

  async list(query: ListQuery): Promise<MessagePage> {
    const limit = pageLimit(query)
    const before = cursorPosition(query)
    const { q = '' } = query
    if (isId(q)) return this.#listOne(q, query)
    const { rows, cursor } = await this.#link.request('list', {
      query: {
        statuses:
          query.status === undefined
            ? null
            : statusesShownAs(query.status, this.#paused).map((status) => STATUS_NUMBERS[status]),
        q: q === '' ? null : q,
        recipient: query.recipient ?? null,
        tag: query.tag ?? null,
        template: query.template ?? null,
        since: query.since ?? null,
        until: query.until ?? null,
        limit,
        before: before === Infinity ? null : before,
      },
    })
    const messages = rows.map((row) => this.#show(row))
    return cursor === null ? { messages } : { messages, cursor: String(cursor) }
  }

  cancel(id: string): Promise<Message> {
    return this.#act(id, (state, now, takeBack) => cancelManually(id, state, takeBack, now))
  }

  retry(id: string): Promise<Message> {
    return this.#act(id, (state, now) => retryManually(id, state, now, this.#options.maxAge))
  }

  markSent(id: string): Promise<Message> {
    return this.#act(id, (state, now) => markSentManually(id, state, now))
  }

  async pause(): Promise<void> {
    await this.#link.request('pause', { paused: true })
  }

  async resume(): Promise<void> {
    await this.#link.request('pause', { paused: false })
  }

  /** Another process may deliver from the file as yet: then it is asked for once this one does. */
  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    await this.#delivers
    return this.#link.request('wakeHeld', { transports, most })
  }

  async stats(): Promise<QueueStats> {
    const { counts, accepted, oldest, paused, commits } = await this.#link.request('stats', {})
    const stocked = this.#deliveries?.prefetched ?? 0
    counts.sending -= stocked
    counts.queued += stocked
    return { ...shownCounts(counts, paused), accepted, oldest, paused, commits }
  }

  subscribe(id: string): () => void {
    return this.#followed.subscribe(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#deliveries?.drain(deadline)
  }

  async close(): Promise<void> {
    try {
      await this.#deliveries?.close()
      await this.#link.close()
    } finally {
      this.#lock?.release()
      this.#stalled.close()
      this.#refusing.close()
    }
  }

  #receive(report: Report): void {
    this.#setPaused(report.paused)
    for (const row of report.expired) this.#announce(row)
    for (const row of report.settledElsewhere) if (this.#followed.has(idOf(row))) this.#announce(row)
    if (report.orphaned.length > 0) {
      this.#options.logger.warn(
        { messages: report.orphaned.length },
        'Taking over messages of a process that died',
      )
      this.#deliveries?.recover(report.orphaned)
    }
    if (report.claimed.length > 0) this.#deliveries?.receive(report.claimed)
  }

  #announce(row: StoredRow): void {
    const job = unpackHead(row)
    this.#options.onChange({ job, state: unpackState(row, job) })
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    this.#deliveries?.pause(paused)
  }

  #restart(): void {
    for (const id of this.#followed.ids()) this.#link.send('follow', { id, on: true })
    if (this.#lock?.held === true) this.#deliveries?.start()
  }

  /**
   * Changes a message by a person's wish; tried again when somebody else changed it meanwhile. What was taken out of
   * the deliveries for it goes back in line unless the change is stored.
   */
  async #act(id: string, action: ManualAction): Promise<Message> {
    for (;;) {
      const row = await this.#link.request('find', { id })
      if (row === null) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      const deliveries = this.#deliveries
      let taken = deliveries?.removePrefetched(row.seq)
      if (taken !== undefined) state.status = 'queued'
      let written = false
      try {
        action(state, Date.now(), () => (taken ??= deliveries?.cancelDelivery(id)) !== undefined)
        const drop = dropsContent(state.status, this.#options.retain.data)
        const ask = { seq: row.seq, rev: row.rev, from: row.status, state: packState(state), drop }
        written = (await this.#link.request('write', ask)) === 'written'
      } finally {
        if (taken !== undefined) deliveries?.finishChange(taken, written)
      }
      if (!written) continue
      this.#options.onChange({ job, state })
      return this.#show({ ...row, ...packState(state) })
    }
  }

  async #listOne(id: string, query: ListQuery): Promise<MessagePage> {
    const row = await this.#link.request('find', { id })
    return paginate(row === null ? [] : [row], query, {
      position: ({ seq }) => seq,
      matchesQuery: (row) => matches(unpackHead(row), this.#shownStatus(row), query),
      show: (row) => this.#show(row),
    })
  }

  #show(row: StoredRow): Message {
    return rowToMessage(row, this.#shownStatus(row))
  }

  /** What is in stock isn't being sent yet. */
  #shownStatus(row: StoredRow): Status {
    const stored = statusOf(row)
    const stocked = stored === 'sending' && this.#deliveries?.isPrefetched(row.seq) === true
    return shownStatus(stocked ? 'queued' : stored, this.#paused)
  }
}

function idOf(row: StoredRow): string {
  return unpackHead(row).id
}

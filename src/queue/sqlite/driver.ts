import path from 'node:path'
import { ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'
import { newToken } from '../../message/ids.js'
import type { MailJob } from '../../message/messageState.js'
import type {
  Consumer,
  EnqueueResult,
  DriverOptions,
  QueueDriver,
  QueueTransfer,
  QueueStats,
} from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { shownCounts } from '../listing.js'
import type { ChangeResult, SharedRecords } from '../records.js'
import { packState, sealerFor, unpackHead, unpackState } from '../rowCodec.js'
import { type Mutation, StoredMutations } from '../storedMutations.js'
import type { StoredRow } from '../storedRow.js'
import { Subscriptions } from '../subscriptions.js'
import { DelivererLock } from './delivererLock.js'
import { OutboxClient } from './outboxClient.js'
import { OutboxConsumer } from './outboxConsumer.js'
import type { Report } from './outboxProtocol.js'
import { OutboxQueries } from './outboxQueries.js'
import { outboxTransfer } from './outboxTransfer.js'
import { Acceptor } from './sqliteAcceptor.js'

export interface SqliteQueueOptions extends DriverOptions {
  /** Path of the SQLite file. */
  file: string
  /** Maximum size of the file in bytes; a larger file accepts no messages. @default limited by the disk only */
  maxSize?: number
  logger: Logger
  /** Identifies this process's deliveries in the file, and its delivery journal next to it; see workers/deliveryJournal. @default a new one */
  token?: string
}

/**
 * A queue in one file that outlives the process. The outbox thread does all work on the file; a receipt means that the message
 * is on disk. Of several processes on one file one delivers, see {@link DelivererLock}; when it ends, another takes over.
 */
export class SqliteQueue implements QueueDriver {
  readonly durable = true
  readonly records: SharedRecords
  readonly #cipher: RowCipher | undefined
  readonly #options: SqliteQueueOptions
  readonly #subscriptions = new Subscriptions({
    onFirst: (id) => this.#client.send('subscribe', { id, on: true }),
    onLast: (id) => this.#client.send('subscribe', { id, on: false }),
  })
  #client!: OutboxClient
  #queries!: OutboxQueries
  #mutations!: StoredMutations
  transfer!: QueueTransfer
  #acceptor!: Acceptor
  #outboxConsumer: OutboxConsumer | undefined
  #lock: DelivererLock | undefined
  #markDelivering!: () => void
  /** Resolves once this process is the deliverer. */
  readonly #delivering = new Promise<void>((resolve) => (this.#markDelivering = resolve))
  readonly #unavailable: ConditionLog
  readonly #refusing: ConditionLog
  #paused = false

  private constructor(options: SqliteQueueOptions) {
    this.#options = options
    const records: SharedRecords = {
      write: (changes) => this.#client.request('writeRecords', { changes }),
      read: (ranges) => this.#client.request('readRecords', { ranges }),
    }
    this.records = options.encryption?.records(records) ?? records
    this.#cipher = options.encryption?.rows
    this.#unavailable = new ConditionLog(options.logger, {
      begins: "The queue can't store anything at the moment",
      level: 'error',
      ends: 'The queue stores messages again',
    })
    this.#refusing = new ConditionLog(options.logger, {
      begins: 'The queue accepts no new messages; accepted ones are still delivered',
      level: 'warn',
      ends: 'The queue accepts new messages again',
    })
  }

  /** @throws ThreadpostError `START_FAILED` if the file is damaged, locked, not writable, or belongs to a newer version or another program */
  static async open(options: SqliteQueueOptions): Promise<SqliteQueue> {
    const queue = new SqliteQueue(options)
    const { limit, maxSize, retain, token = newToken() } = options
    const file = path.resolve(options.file)
    const setup = { file, limit, retain, token, ...(maxSize === undefined ? {} : { maxSize }) }
    queue.#client = await OutboxClient.start(setup, {
      report: (report) => queue.#receive(report),
      unavailable: (problem) => queue.#unavailable.report(problem),
      refusing: (problem) => queue.#refusing.report(problem),
      restarted: () => queue.#restart(),
    })
    queue.#queries = new OutboxQueries(queue.#client, queue.#cipher, {
      paused: () => queue.#paused,
      isPrefetched: (seq) => queue.#outboxConsumer?.isPrefetched(seq) === true,
    })
    queue.#mutations = new StoredMutations({
      read: (id) => queue.#queries.read(id),
      write: (mutation) => queue.#write(mutation),
      changed: options.onChange,
      recordsOf: options.recordsOf,
      data: retain.data,
      maxAge: options.maxAge,
      cipher: queue.#cipher,
      withdrawPrefetched: ({ seq }) => queue.#outboxConsumer?.withdrawPrefetched(seq),
      cancelDelivery: (id) => queue.#outboxConsumer?.cancelDelivery(id),
    })
    queue.transfer = outboxTransfer(queue.#client, retain.keys, queue.#cipher)
    queue.#acceptor = new Acceptor(queue.#client, options.onChange, retain.keys, queue.#cipher)
    // The first report says whether the queue is paused.
    await queue.stats()
    return queue
  }

  get search(): 'index' | 'scan' {
    return this.#queries.search
  }

  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    return this.#acceptor.accept(jobs)
  }

  async start(consumer: Consumer): Promise<void> {
    this.#lock = await DelivererLock.open(path.resolve(this.#options.file))
    this.#outboxConsumer = new OutboxConsumer(
      this.#client,
      consumer,
      this.#options,
      this.#acceptor.cachedJobs,
      this.#cipher,
    )
    this.#outboxConsumer.pause(this.#paused)
    const outboxConsumer = this.#outboxConsumer
    this.#lock.onceHeld(() => {
      outboxConsumer.start()
      this.#markDelivering()
    })
  }

  readonly find: QueueDriver['find'] = (id) => this.#queries.find(id)
  readonly load: QueueDriver['load'] = (id) => this.#queries.load(id)
  readonly list: QueueDriver['list'] = (query) => this.#queries.list(query)
  readonly act: QueueDriver['act'] = async (id, action) => (await this.#mutations.apply(id, action))()
  readonly change: QueueDriver['change'] = (id, action) => this.#mutations.apply(id, action)

  async pause(): Promise<void> {
    await this.#client.request('pause', { paused: true })
  }

  async resume(): Promise<void> {
    await this.#client.request('pause', { paused: false })
  }

  /** While another process is the deliverer, waits until this one is. */
  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    await this.#delivering
    return this.#client.request('wakeHeld', { transports, most })
  }

  async stats(): Promise<QueueStats> {
    const { counts, accepted, oldest, paused, commits } = await this.#client.request('stats', {})
    const prefetched = this.#outboxConsumer?.prefetched ?? 0
    counts.sending -= prefetched
    counts.queued += prefetched
    return { ...shownCounts(counts, paused), accepted, oldest, paused, commits }
  }

  subscribe(id: string): () => void {
    return this.#subscriptions.subscribe(id)
  }

  async drain(deadline: number): Promise<void> {
    await this.#outboxConsumer?.drain(deadline)
  }

  async close(): Promise<void> {
    try {
      await this.#outboxConsumer?.close()
      await this.#client.close()
    } finally {
      this.#lock?.release()
      this.#unavailable.close()
      this.#refusing.close()
    }
  }

  #receive(report: Report): void {
    this.#setPaused(report.paused)
    for (const row of report.expired) this.#notify(this.#open(row))
    for (const row of report.settledElsewhere.map((sealed) => this.#open(sealed)))
      if (this.#subscriptions.has(unpackHead(row).id)) this.#notify(row, { elsewhere: true })
    if (report.orphaned.length > 0) {
      this.#options.logger.warn(
        { messages: report.orphaned.length },
        report.orphaned.some(({ restored }) => restored)
          ? 'The queue is an older copy that was restored: its messages may have been sent since, and are marked uncertain'
          : 'Taking over the messages of a process that died',
      )
      this.#outboxConsumer?.recover(report.orphaned.map((row) => this.#open(row)))
    }
    if (report.claimed.length > 0)
      this.#outboxConsumer?.receive(report.claimed.map((row) => ('id' in row ? row : this.#open(row))))
  }

  #notify(row: StoredRow, origin: { elsewhere?: true } = {}): void {
    const job = unpackHead(row)
    const message = { job, state: unpackState(row, job), ...origin }
    // The thread has stored the expiry already.
    const records = this.#options.recordsOf?.(message) ?? []
    if (records.length > 0) this.#client.send('writeRecords', { changes: records })
    this.#options.onChange(message)
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    this.#outboxConsumer?.pause(paused)
  }

  #restart(): void {
    for (const id of this.#subscriptions.ids()) this.#client.send('subscribe', { id, on: true })
    if (this.#lock?.held === true) this.#outboxConsumer?.start()
  }

  async #write({ id, row, state, dropContent, records, replacement }: Mutation): Promise<ChangeResult> {
    const { seq, rev, status: from } = row
    const packed = packState(state, sealerFor(id, this.#cipher))
    const request = { seq, rev, from, state: packed, drop: dropContent, records }
    const result = await this.#client.request('write', replacement ? { ...request, replacement } : request)
    if (replacement !== undefined && result === 'written') this.#acceptor.cachedJobs.take(id)
    return result
  }

  #open<R extends { head: string }>(row: R): R {
    return this.#cipher?.open(row) ?? row
  }
}

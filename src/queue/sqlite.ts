import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { isId } from '../ids.js'
import type { Logger } from '../logger.js'
import { type MailJob, type MessageState, type Status } from '../record.js'
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
import { cursorOf, limitOf } from './listing.js'
import { type Report, STATUS_NUMBERS, type StatusNumber, type StoredRow } from './outboxWire.js'
import { Acceptor } from './sqlite/acceptor.js'
import { Deliveries } from './sqlite/deliveries.js'
import { OutboxLink } from './sqlite/link.js'
import { packState, showRow, statusOf, unpackHead, unpackLoaded, unpackState } from './rows.js'

export interface SqliteQueueOptions {
  /** Path of the file. */
  file: string
  /** Bytes the file may have when a message is taken in. @default no limit but the disk's */
  maxSize?: number
  /** Messages not yet settled, at most. */
  limit: number
  maxAge: number
  retain: Retention
  changed: ChangeListener
  logger: Logger
  /** Names this process's notes beside the file; see workers/witness. */
  token?: string
}

/** Names the notes of one mailer; unique among all that ever opened the file. */
export function newToken(): string {
  return randomBytes(6).toString('hex')
}

/**
 * One file that outlives the process. All its work is done in the outbox thread; a receipt means that the message is
 * on disk. Of several processes on one file one delivers, and another takes over when it ends.
 */
export class SqliteQueue implements QueueDriver {
  readonly durable = true
  readonly #options: SqliteQueueOptions
  readonly #followed = new Map<string, number>()
  #link!: OutboxLink
  #acceptance!: Acceptor
  #deliveries: Deliveries | undefined
  #paused = false

  private constructor(options: SqliteQueueOptions) {
    this.#options = options
  }

  /** @throws ThreadpostError `START_FAILED` when the file is damaged, newer, locked, of another program or not writable. */
  static async open(options: SqliteQueueOptions): Promise<SqliteQueue> {
    const queue = new SqliteQueue(options)
    const { limit, maxSize, retain, token = newToken() } = options
    const file = path.resolve(options.file)
    const setup = { file, limit, retain, token, ...(maxSize === undefined ? {} : { maxSize }) }
    queue.#link = await OutboxLink.start(setup, {
      report: (report) => queue.#receive(report),
      trouble: (problem) => queue.#tell(problem),
      restarted: () => queue.#restart(),
    })
    queue.#acceptance = new Acceptor(queue.#link, options.changed, retain.keys)
    // The first answer brings the state of the file along.
    await queue.stats()
    return queue
  }

  enqueue(jobs: readonly MailJob[]): Promise<Enqueued[]> {
    return this.#acceptance.accept(jobs)
  }

  start(consumer: Consumer): Promise<void> {
    const { changed, retain } = this.#options
    this.#deliveries = new Deliveries(this.#link, consumer, changed, retain.data, this.#acceptance.atHand)
    this.#deliveries.pause(this.#paused)
    this.#deliveries.start()
    return Promise.resolve()
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
    const limit = limitOf(query)
    const before = cursorOf(query)
    const { q = '' } = query
    if (isWholeId(q)) return this.#listOne(q, query)
    const { rows, cursor } = await this.#link.request('list', {
      query: {
        statuses: query.status === undefined ? null : this.#statusesShownAs(query.status),
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
    await this.#link.request('pause', { paused: true })
  }

  async resume(): Promise<void> {
    await this.#link.request('pause', { paused: false })
  }

  async stats(): Promise<QueueStats> {
    const { counts, accepted, oldest, paused, commits } = await this.#link.request('stats', {})
    const stocked = this.#deliveries?.stocked ?? 0
    counts.sending -= stocked
    counts.queued += stocked
    if (paused) {
      counts.held += counts.queued
      counts.queued = 0
    }
    return { ...counts, accepted, oldest, paused, commits }
  }

  follow(id: string): () => void {
    const followers = this.#followed.get(id) ?? 0
    this.#followed.set(id, followers + 1)
    if (followers === 0) this.#link.send('follow', { id, on: true })
    return () => {
      const left = (this.#followed.get(id) ?? 1) - 1
      if (left > 0) this.#followed.set(id, left)
      else if (this.#followed.delete(id)) this.#link.send('follow', { id, on: false })
    }
  }

  async drain(deadline: number): Promise<void> {
    await this.#deliveries?.drain(deadline)
  }

  async close(): Promise<void> {
    await this.#deliveries?.close()
    await this.#link.close()
  }

  #receive(report: Report): void {
    this.#setPaused(report.paused)
    for (const row of report.expired) this.#announce(row)
    for (const row of report.settledElsewhere) if (this.#followed.has(idOf(row))) this.#announce(row)
    if (report.lost.length > 0) {
      this.#options.logger.warn(
        { messages: report.lost.length },
        'Taking over messages of a process that died',
      )
      this.#deliveries?.lost(report.lost)
    }
    if (report.taken.length > 0) this.#deliveries?.arrived(report.taken)
  }

  #announce(row: StoredRow): void {
    const job = unpackHead(row)
    this.#options.changed({ job, state: unpackState(row, job) })
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused
    this.#deliveries?.pause(paused)
  }

  #tell(problem: string | undefined): void {
    if (problem === undefined) this.#options.logger.info({}, 'The queue stores messages again')
    else this.#options.logger.error({ problem }, 'The queue can store nothing just now')
  }

  #restart(): void {
    for (const id of this.#followed.keys()) this.#link.send('follow', { id, on: true })
    this.#deliveries?.start()
  }

  /** Changes a message by a person's wish; tried again when somebody else changed it meanwhile. */
  async #act(id: string, action: (state: MessageState, now: number) => void): Promise<Message> {
    for (;;) {
      const row = await this.#link.request('find', { id })
      if (row === null) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      const withdrawn = this.#deliveries?.withdraw(row.seq)
      const from = row.status
      if (withdrawn !== undefined) state.status = 'queued'
      try {
        action(state, Date.now())
      } catch (error) {
        if (withdrawn !== undefined)
          await this.#link.request('release', { rows: [{ seq: row.seq, rev: row.rev, lost: false }] })
        throw error
      }
      const drop = losesContent(state.status, this.#options.retain.data)
      const ask = { seq: row.seq, rev: row.rev, from, state: packState(state), drop }
      if ((await this.#link.request('write', ask)) === 'stale') continue
      this.#options.changed({ job, state })
      return this.#show({ ...row, ...ask.state })
    }
  }

  async #listOne(id: string, { status }: ListQuery): Promise<MessagePage> {
    const message = await this.find(id)
    return {
      messages: message === undefined || (status ?? message.status) !== message.status ? [] : [message],
    }
  }

  /** What waits in line is held for as long as the queue is paused, and what is in stock isn't being sent yet. */
  #show(row: StoredRow): Message {
    let shown = statusOf(row)
    if (shown === 'sending' && this.#deliveries?.isStocked(row.seq) === true) shown = 'queued'
    if (this.#paused && shown === 'queued') shown = 'held'
    return showRow(row, shown, this.#paused)
  }

  #statusesShownAs(status: Status): StatusNumber[] {
    if (!this.#paused) return [STATUS_NUMBERS[status]]
    if (status === 'queued') return []
    return status === 'held' ? [STATUS_NUMBERS.held, STATUS_NUMBERS.queued] : [STATUS_NUMBERS[status]]
  }
}

function idOf(row: StoredRow): string {
  return unpackHead(row).id
}

function isWholeId(q: string): boolean {
  return isId(q)
}

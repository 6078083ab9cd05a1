/**
 * The contract of a queue. A driver stores messages and decides when each is due; it knows nothing of threads, SMTP or
 * templates. `test/support/queueSuite.ts` is this contract as tests: a new driver is complete when it passes them.
 */
import type { Reported } from '../feedback/deliveryStates.js'
import type { MailJob, MessageState, Settlement, Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { Evidence } from '../protocol/evidence.js'
import type { Outcome } from '../protocol/outcome.js'
import type { HistogramSnapshot } from '../structures/histogram.js'
import type { Allowances } from '../transports/rateLimiter.js'
import type { Validator } from '../validation.js'
import type { ManualAction } from './actions.js'
import type { QueueEncryption } from './encryption/queueEncryption.js'
import type { RecordChange, SharedRecords } from './records.js'
import type { StoredRow, WholeRow } from './storedRow.js'

/** A message as the queue holds it. The driver owns the state; everything else only reads it. */
export interface QueuedMessage {
  readonly job: MailJob
  readonly state: Readonly<MessageState>
  /** Slot of this delivery in the delivery journal, if the queue reads that after a crash. Reserved until the outcome is stored. */
  readonly journalSlot?: number
  /** Present if the change is what delivery reports made known of recipients; the status may have changed as well. */
  readonly reported?: Reported | undefined
  /** Present if another process made the change, which this one follows: see `subscribe()`. */
  readonly elsewhere?: true
}

/** The result of enqueueing one job. */
export type EnqueueResult =
  | { result: 'queued' }
  /** The same id or idempotency key was enqueued before, and the fingerprints don't differ. */
  | { result: 'duplicate'; id: string; messageId: string }
  /** The same id or idempotency key was enqueued with other content: both have fingerprints, and these differ. */
  | { result: 'conflict' }
  /** The queue holds as many unsettled messages as its limit allows. */
  | { result: 'full' }
  /** The queue can't store anything at the moment. `accepted` is present if the message may be accepted nevertheless. */
  | { result: 'unavailable'; problem: string; accepted?: 'unknown' }

/**
 * A transaction of the application, for `send(mail, { tx })`: the mail is stored if the transaction commits, and only then. A
 * client of pg that is inside a transaction is one.
 */
export interface Transaction {
  /**
   * Runs a statement inside the transaction.
   * @param text one statement, with the parameter `$1`, once
   * @param values the value of the parameter, a text
   * @returns the rows, or an object that has them as `rows`
   */
  query(text: string, values: unknown[]): PromiseLike<unknown>
}

/** The code that delivers; the queue calls it. */
export interface Consumer {
  /** Maximum number of concurrent deliveries. It changes over time, so the driver reads it before each delivery. */
  readonly slots: number
  /** Calls back whenever there are more slots although no delivery has ended. */
  onMoreSlots?(callback: () => void): void
  /**
   * Makes one delivery attempt. Never rejects: every outcome is a settlement. A message held with a `nextAttemptAt` is
   * due again at that time, like a deferred one.
   */
  deliver(message: QueuedMessage): Promise<Settlement>
  /**
   * Cancels a delivery in progress.
   * @returns whether the message certainly won't be sent. If so, the driver cancels the message at once and ignores the
   *   settlement of `deliver()`; if not, it is too late to cancel.
   */
  cancel(id: string): boolean
  /**
   * Decides what happens to a message whose process died while delivering it. Only durable queues call it.
   * @param evidence how far the delivery got, if known; `'restored'` if the queue is a restored copy that doesn't know of it
   * @param losses how many processes in a row died while delivering the message, this one included
   * @returns the settlement, or undefined if the message certainly was not sent: then the driver requeues it
   */
  recover(
    message: QueuedMessage,
    evidence: Evidence | 'restored' | undefined,
    losses: number,
  ): Settlement | undefined
}

/** Called after each change of a message, once the change is as safe as the queue promises. Must not throw. */
export type ChangeListener = (message: QueuedMessage) => void

/**
 * Returns the records that are stored with a change of a message: in the same commit where the queue has one, else before it, so
 * that none is lost with the process. Must not throw.
 */
export type RecordsOf = (message: QueuedMessage) => readonly RecordChange[]

/** A mail that was submitted past `send()`: in SQL. */
export interface Submission {
  id: string
  /** Milliseconds since the epoch. */
  acceptedAt: number
  /** The mail as JSON, not checked yet. */
  mail: string
}

/** Checks a submission as `send()` does. Resolves to the job, or to the outcome with which its message fails. */
export type Admit = (submission: Submission) => Promise<{ job: MailJob } | { refused: Outcome }>

/** The options that every driver takes. */
export interface DriverOptions {
  /** Maximum number of unsettled messages. */
  limit: number
  /** Milliseconds until a message expires that is retried after its expiry. */
  maxAge: number
  retain: Retention
  onChange: ChangeListener
  /** Called for each change to another status than `queued` and `sending`, and for delivery reports; for other changes perhaps. @default no records */
  recordsOf?: RecordsOf | undefined
  /** For queues into which mail can be submitted past `send()`. @default such mail stays in the queue */
  admit?: Admit
  /** Encrypts what is stored. @default everything is stored clear */
  encryption?: QueueEncryption
}

export interface RetentionOptions {
  /** Maximum number of settled messages kept. @default 10_000 */
  count?: number
  /** Milliseconds for which a settled message is kept. @default 604_800_000 (7 days) */
  age?: number
  /**
   * Whether the data, bodies and attachments outlive the sending. `'until-settled'` drops them once a message is sent; a
   * message that failed, expired or was cancelled keeps them, since it can be retried.
   * @default 'until-settled'
   */
  data?: 'until-settled' | 'kept'
  /**
   * Milliseconds for which an idempotency key is remembered after its message was accepted, whether or not the message
   * is still kept; never less than the message may wait. @default 86_400_000 (1 day)
   */
  keys?: number
}

export type Retention = Required<RetentionOptions>

/** Checks the option `retain` and fills in the defaults. */
export function resolveRetention(check: Validator, value: unknown): Retention {
  const retain = check.object(value, 'retain', ['count', 'age', 'data', 'keys'])
  return {
    count: check.integer(retain['count'] ?? 10_000, 'retain.count', 0),
    age: check.duration(retain['age'] ?? 7 * 24 * 60 * 60 * 1000, 'retain.age'),
    data: check.oneOf(retain['data'] ?? 'until-settled', 'retain.data', ['until-settled', 'kept']),
    keys: check.duration(retain['keys'] ?? 24 * 60 * 60 * 1000, 'retain.keys'),
  }
}

export interface ListQuery {
  /** Only messages with this status. @default any */
  status?: Status
  /** Text to find in recipients, subject, template name, tags and message id, ignoring case. @default any */
  q?: string
  /** Address of a recipient, ignoring case. @default any */
  recipient?: string
  /** One of the message's tags. @default any */
  tag?: string
  /** Name of the template. @default any */
  template?: string
  /** Accepted at this time or later, in ms since the epoch. @default any */
  since?: number
  /** Accepted at this time or earlier, in ms since the epoch. @default any */
  until?: number
  /** Maximum number of messages on a page, up to 500. @default 50 */
  limit?: number
  /** The `cursor` of the previous page. @default the newest page */
  cursor?: string
}

export interface MessagePage {
  /** Newest first. */
  messages: Message[]
  /** Present if there may be more messages. A page may be shorter than its limit, or empty, and still have a cursor. */
  cursor?: string
}

export type StatusCounts = Record<Status, number>

export interface QueueStats extends StatusCounts {
  /** Messages ever accepted by this queue: all that are counted by status, and those no longer kept. */
  accepted: number
  /** Milliseconds for which the longest-waiting due message has waited. */
  oldest: number
  paused: boolean
  /** Figures on commits since this process opened the queue, if the queue commits in groups. */
  commits?: CommitStats
}

export interface CommitStats {
  /** Milliseconds per commit. */
  time: HistogramSnapshot
  /** Messages inserted, claimed or changed per commit. */
  size: HistogramSnapshot
}

/** `known`: its id exists; `conflict`: it is open, and another message has its idempotency key; `full`: there is no room for it. */
export type TransferResult = 'stored' | 'known' | 'conflict' | 'full'

/** The way of messages to another queue, with their state: see `moveQueue.ts`. Each method throws `QUEUE_UNAVAILABLE`. */
export interface QueueTransfer {
  /** Reads messages newest first, below a position; none only if there are no more. */
  list(before: number, limit: number): Promise<StoredRow[]>
  /** Reads messages with the content that they still have; undefined where there is none. */
  read(ids: readonly string[]): Promise<(WholeRow | undefined)[]>
  /** Stores messages of another queue, each id once. Neither applies the limit of messages nor calls the change listener. */
  insert(rows: readonly WholeRow[]): Promise<TransferResult[]>
  /** Removes messages unless they are being sent or have changed since they were read. @returns for each whether it was removed */
  remove(rows: readonly StoredRow[]): Promise<boolean[]>
}

export interface QueueDriver {
  /** The rate limits of transports, if several processes share them through the queue. @default each process keeps its own */
  readonly allowances?: Allowances
  /** Whether messages outlive the process. */
  readonly durable: boolean
  /** How `list({ q })` finds text: with an index, or by reading the messages from the newest on, in pages that may be empty. */
  readonly search: 'index' | 'scan'
  /** Messages that this process accepted and could not store in the queue yet, if it keeps such messages elsewhere. */
  readonly spooled?: number
  /** The entries that the processes on this queue share besides messages. */
  readonly records: SharedRecords
  /** The way of messages from and to other queues. @default the queue has none, since its messages end with the process */
  readonly transfer?: QueueTransfer
  /**
   * Stores jobs. Resolves once they are as safe as this queue promises, with one result for each job, in order. Never
   * rejects. Calls the change listener for each job that was queued, but not for duplicates.
   */
  enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]>
  /**
   * Stores jobs in the caller's transaction, with one result for each job, in order. They can be found and delivered once it is
   * committed. Doesn't call the change listener. Rejects with the error of the transaction.
   */
  enqueueIn?(tx: Transaction, jobs: readonly MailJob[]): Promise<EnqueueResult[]>
  /**
   * Starts handing out due messages: higher priorities first, then the older ones, never more at a time than the consumer has
   * slots. Called at most once; a process that only enqueues never calls it.
   */
  start(consumer: Consumer): Promise<void>
  /** Returns the message without its content, or undefined if there is none with this id. */
  find(id: string): Promise<Message | undefined>
  /** Returns the job with all its content; `'dropped'` if the retention has dropped that; undefined if there is no such message. */
  load(id: string): Promise<MailJob | 'dropped' | undefined>
  /** Returns one page, newest first. @throws ThreadpostError `INVALID_MESSAGE` for an invalid `limit` or `cursor` */
  list(query: ListQuery): Promise<MessagePage>
  /**
   * Changes a message as an operator or a delivery report asks: see `actions.ts`. A message in delivery can be cancelled if that
   * certainly won't send it. Calls the change listener unless nothing has changed.
   * @returns the message with the change
   * @throws ThreadpostError `NOT_FOUND`; `CONFLICT` if its status rules the action out
   */
  act(id: string, action: ManualAction): Promise<Message>
  /** Like `act()`, for reports, of which there are many: nobody looks at the message. */
  change(id: string, action: ManualAction): Promise<unknown>
  /** Stops handing out messages until `resume()`, in every process on the queue. Deliveries in progress continue. */
  pause(): Promise<void>
  /** Ends the pause. */
  resume(): Promise<void>
  /** Returns counts by status and the age of the oldest due message. */
  stats(): Promise<QueueStats>
  /**
   * Makes messages due at once that are held for a transport's budget, or because it is paused: higher priorities first, then roughly in the order in
   * which they would be due. Only for a process that delivers.
   * @param transports names as in the jobs
   * @param most maximum number of messages to wake
   * @returns how many were woken; fewer than `most` if there are no more. Rejects while the queue is unreachable
   */
  wakeHeld(transports: readonly string[], most: number): Promise<number>
  /**
   * For tests: advances the clock. Each message is delivered, or expires, when its time comes, and so is everything that
   * follows from that within the time. Resolves once no delivery is in progress.
   */
  advance?(ms: number): Promise<void>
  /**
   * Makes the driver call the change listener when the message settles, even if another process settles it.
   * @returns a function that ends the subscription; calling it again has no effect
   */
  subscribe(id: string): () => void
  /**
   * Stops handing out messages and waits up to `deadline` ms for the deliveries in progress. A queue that isn't durable
   * continues to hand out due messages until then.
   */
  drain(deadline: number): Promise<void>
  /** Stores the remaining outcomes and releases all resources. Called after `drain()`, once every delivery has ended. */
  close(): Promise<void>
}

/**
 * The contract of a queue. A driver keeps messages and decides when each is due; it knows nothing of pools,
 * SMTP or templates. `test/support/queueSuite.ts` is this contract as tests: a new driver is done when it passes.
 */
import type { MailJob, MessageState, Settlement, Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { Evidence } from '../protocol/evidence.js'
import type { HistogramSnapshot } from '../structures/histogram.js'
import type { Allowances } from '../transports/budgets.js'
import type { Retention } from './retention.js'

/** A message as the queue holds it. The state is the driver's; others only read it. */
export interface QueuedMessage {
  readonly job: MailJob
  readonly state: Readonly<MessageState>
  /** Where the notes of this delivery are kept, if the queue reads them after a crash; nobody else's until it is stored. */
  readonly note?: number
}

export type Enqueued =
  | { result: 'queued' }
  /** The same key or id was queued before, and nothing tells of other content. */
  | { result: 'duplicate'; id: string; messageId: string }
  /** The same key or id came with other content: both are fingerprinted, and differ. */
  | { result: 'conflict' }
  | { result: 'full' }
  /** The queue can't store anything just now. */
  | { result: 'unavailable'; problem: string }

export interface Consumer {
  /** Deliveries the driver may have open at a time; looked at anew before each, for it changes. */
  readonly slots: number
  /**
   * Delivers once. Never rejects: whatever happens is in the settlement. A message that is held with a
   * `nextAttemptAt` is due again then, like a deferred one.
   */
  deliver(message: QueuedMessage): Promise<Settlement>
  /**
   * Takes back a message whose delivery is under way.
   * @returns whether it certainly won't be sent: the message is cancelled at once, and what `deliver()` still comes
   *   to is of no interest. False means that it is too late.
   */
  cancel(id: string): boolean
  /**
   * Decides on a message that a process died with, where the queue outlives processes.
   * @param evidence how far the delivery got, if there is any
   * @param losses process deaths in a row that the message was in the hands of, this one included
   * @returns undefined when it certainly was not sent: it goes back in line
   */
  lost(message: QueuedMessage, evidence: Evidence | undefined, losses: number): Settlement | undefined
}

/** Told after a change is as safe as the queue promises. Must not throw. */
export type ChangeListener = (message: QueuedMessage) => void

/** What every queue is given. */
export interface DriverOptions {
  /** Messages not yet settled, at most. */
  limit: number
  /** Milliseconds that a message which is retried after its expiry may wait. */
  maxAge: number
  retain: Retention
  changed: ChangeListener
}

export interface ListQuery {
  /** Only those that stand so. @default any */
  status?: Status
  /** Text looked for in recipients, subject, template and tags, or a whole id. @default any */
  q?: string
  /** Address of a recipient, in whatever case. @default any */
  recipient?: string
  /** One of its tags. @default any */
  tag?: string
  /** Name of the template. @default any */
  template?: string
  /** Accepted at this time or later, in ms since the epoch. @default any */
  since?: number
  /** Accepted at this time or earlier, in ms since the epoch. @default any */
  until?: number
  /** Messages of one page, at most 500. @default 50 */
  limit?: number
  /** That of the page before. @default the newest page */
  cursor?: string
}

export interface MessagePage {
  /** Newest first. */
  messages: Message[]
  /** Present when there may be more; a page can be shorter than its limit, or empty, and still have one. */
  cursor?: string
}

export type StatusCounts = Record<Status, number>

export interface QueueStats extends StatusCounts {
  /** Messages ever accepted by this queue: the sum of all statuses, and of those no longer kept. */
  accepted: number
  /** Milliseconds the longest-waiting due message has waited. */
  oldest: number
  paused: boolean
  /** How the queue stores what it is given, where it commits in groups: since this process opened it. */
  commits?: CommitStats
}

export interface CommitStats {
  /** Milliseconds of each commit. */
  time: HistogramSnapshot
  /** Messages taken in, handed out or changed by each commit. */
  size: HistogramSnapshot
}

export interface QueueDriver {
  /** How the rates of transports are kept where several processes deliver. @default each process keeps them by itself */
  readonly allowances?: Allowances
  readonly durable: boolean
  /** One answer for each job, in order, once they are as safe as this queue promises. Never rejects. */
  enqueue(jobs: readonly MailJob[]): Promise<Enqueued[]>
  /** Begins to hand out due messages: higher priority first, then the older. */
  start(consumer: Consumer): Promise<void>
  find(id: string): Promise<Message | undefined>
  /** The job with all its content; `dropped` where the retention has dropped that. */
  load(id: string): Promise<MailJob | 'dropped' | undefined>
  list(query: ListQuery): Promise<MessagePage>
  /** @throws ThreadpostError `NOT_FOUND`; `CONFLICT` when its envelope was sent already, or it is settled. */
  cancel(id: string): Promise<Message>
  /** Puts a message back in line. @throws ThreadpostError `NOT_FOUND`; `CONFLICT` when it is sending, sent or in line. */
  retry(id: string): Promise<Message>
  /** Settles a message that is held or deferred as sent. @throws ThreadpostError `NOT_FOUND`, `CONFLICT`. */
  markSent(id: string): Promise<Message>
  /** Hands out nothing more until `resume()`. */
  pause(): Promise<void>
  resume(): Promise<void>
  stats(): Promise<QueueStats>
  /**
   * Makes messages due at once that are held for a transport's budget: of higher priority first, then about in the order in
   * which they would be due. For a process that delivers.
   * @param transports as the messages name them
   * @param most how many at most
   * @returns how many it woke; fewer than `most` where there are no more. Rejects while the queue can't be asked
   */
  wakeHeld(transports: readonly string[], most: number): Promise<number>
  /**
   * For tests: lets time pass that nobody waits for. Each message is delivered, or expires, when its time comes, and whatever
   * follows from that within the time as well. Resolves when nothing is under way.
   */
  advance?(ms: number): Promise<void>
  /** Has the change listener told of the message's settlement even if another process brings it about. @returns the end of it */
  follow(id: string): () => void
  /**
   * Hands out nothing more and waits for the deliveries under way, at most `deadline` ms. A queue that isn't durable
   * goes on handing out what is due until then.
   */
  drain(deadline: number): Promise<void>
  /** After the drain, when every delivery has ended one way or the other: keeps what they came to, and lets go. */
  close(): Promise<void>
}

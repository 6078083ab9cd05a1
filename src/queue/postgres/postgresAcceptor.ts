import { type MailJob, newState } from '../../message/messageState.js'
import { RequestBatcher } from '../../structures/batcher.js'
import type { ChangeListener, EnqueueResult } from '../driver.js'
import { mayHaveCommitted, postgresProblem } from './postgresConnections.js'
import type { KnownMessage, PackedMessage, Run } from './postgresRows.js'
import type { PostgresStore } from './postgresStore.js'
import { QueueRoom } from './queueRoom.js'

/** Messages in one statement at most. */
const MAX_BATCH = 100
/** Characters of heads, contents and files in one statement at most; a larger message has a statement of its own. */
const MAX_SIZE = 4 * 1024 * 1024
/** Statements that run at a time: while they run, others gather. */
const MAX_RUNNING = 2

interface AcceptorOptions {
  /** Open messages at most. */
  limit: number
  changed: ChangeListener
}

/**
 * Accepts messages: those that arrive while a statement runs share the next one. Messages with an idempotency key share none
 * with others: the insertion of a key waits for a transaction that has inserted the same key and is not committed.
 */
export class PostgresAcceptor {
  readonly #store: PostgresStore
  readonly #options: AcceptorOptions
  readonly #plain: RequestBatcher<MailJob, EnqueueResult>
  readonly #keyed: RequestBatcher<MailJob, EnqueueResult>
  readonly #room: QueueRoom

  constructor(store: PostgresStore, options: AcceptorOptions) {
    this.#store = store
    this.#options = options
    this.#room = new QueueRoom(options.limit, async () => {
      await store.fold()
      return store.open()
    })
    this.#plain = new RequestBatcher(MAX_BATCH, (jobs) => this.#acceptBatch(jobs), MAX_RUNNING)
    this.#keyed = new RequestBatcher(MAX_BATCH, (jobs) => this.#acceptBatch(jobs), MAX_RUNNING)
  }

  accept(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    // A call has one batcher, so that its messages are inserted in their order.
    const batcher = jobs.some(({ idempotencyKey }) => idempotencyKey !== undefined)
      ? this.#keyed
      : this.#plain
    return Promise.all(jobs.map((job) => batcher.request(job)))
  }

  /** Inserts in a caller's transaction. Nobody learns of the messages before it is committed. */
  async acceptIn(run: Run, jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results: EnqueueResult[] = []
    for (const part of this.#parts(jobs)) results.push(...(await this.#insert(part, run)))
    return results
  }

  async #acceptBatch(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const results: EnqueueResult[] = []
    for (const part of this.#parts(jobs)) results.push(...(await this.#insertSafely(part)))
    for (const [index, job] of jobs.entries())
      if (results[index]?.result === 'queued') this.#options.changed({ job, state: newState(job) })
    return results
  }

  async #insertSafely(part: readonly PackedMessage[]): Promise<EnqueueResult[]> {
    try {
      return await this.#insert(part, this.#store.quick)
    } catch (error) {
      const problem = postgresProblem(error)
      const unknown = mayHaveCommitted(error)
      return part.map(() => ({ result: 'unavailable', problem, ...(unknown ? { accepted: 'unknown' } : {}) }))
    }
  }

  async #insert(part: readonly PackedMessage[], run: Run): Promise<EnqueueResult[]> {
    const most = this.#room.take(part.length) ? null : this.#options.limit
    const others = await this.#store.insert(part, most, run)
    return part.map((packed, index): EnqueueResult => {
      const other = others.get(index)
      if (other === undefined) return { result: 'queued' }
      return other.isFull ? { result: 'full' } : resultOf(packed, other.known)
    })
  }

  /** Splits messages into what one statement takes: neither too much, nor an id or a key twice. */
  *#parts(jobs: readonly MailJob[]): Generator<PackedMessage[], void, undefined> {
    const seen = new Set<string>()
    let part: PackedMessage[] = []
    let size = 0
    for (const job of jobs) {
      const packed = this.#store.pack(job)
      const { id, key, head, content, files } = packed
      size += head.length + content.length + files.length
      const again = seen.has(id) || (key !== null && seen.has(`key ${key}`))
      if (part.length > 0 && (again || size > MAX_SIZE || part.length === MAX_BATCH)) {
        yield part
        part = []
        size = 0
        seen.clear()
      }
      seen.add(id)
      if (key !== null) seen.add(`key ${key}`)
      part.push(packed)
    }
    if (part.length > 0) yield part
  }
}

function resultOf(packed: PackedMessage, known: KnownMessage | undefined): EnqueueResult {
  if (known === undefined)
    return { result: 'unavailable', problem: 'The idempotency key was just forgotten. Send the mail again' }
  const { id, messageId, fingerprint } = known
  // The fingerprint of a mail that was submitted in SQL has another form, and says nothing about this one.
  const comparable = fingerprint !== null && !fingerprint.startsWith('sql:') && packed.fingerprint !== null
  const forms = [packed.fingerprint, ...(packed.otherFingerprints ?? [])]
  const differs = comparable && !forms.includes(fingerprint)
  return differs ? { result: 'conflict' } : { result: 'duplicate', id, messageId }
}

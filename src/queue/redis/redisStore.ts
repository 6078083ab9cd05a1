import type { Redis } from 'ioredis'
import { type MailJob, MAX_PRIORITY, STATUSES, type Status } from '../../message/messageState.js'
import { RequestBatcher } from '../../structures/batcher.js'
import type { RequestPermits } from '../distributedRateLimiter.js'
import type { EnqueueResult, TransferResult } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { statusesShownAs } from '../listing.js'
import type { ChangeResult, RecordChange, RecordRange, SharedRecord } from '../records.js'
import { packState, sealerFor, unpackFiles } from '../rowCodec.js'
import { storeWithRecords } from '../storedMutations.js'
import type { ReadRows } from '../storedQueries.js'
import type { LoadedRow } from '../storedRow.js'
import { unavailableMessage } from './redisConnections.js'
import {
  type Claim,
  type FoundMessage,
  type FoundWakeUp,
  isPresent,
  packChange,
  packMessage,
  type RecordReply,
  type RedisRow,
  type Reply,
  type RowValues,
  type StateChange,
  unpackClaim,
  unpackRecord,
  unpackRow,
} from './redisRows.js'
import { scriptArguments, type ScriptName, type ScriptRecord } from './scripts.js'

/** The reply to a change: its result, and the name of the message's wake-up. */
type ChangeReply = [result: ChangeResult, wake?: string]

interface MaintainOptions {
  /** Milliseconds for which this process counts as alive. */
  alive: number
  /** Settled messages that are kept at most. */
  count: number
  /** Milliseconds for which a settled message is kept at most. */
  age: number
  /** Milliseconds after which a message without a job is an orphan. */
  orphanedAfter: number
}

type Maintained = Record<'expired' | 'orphans', FoundMessage[]>

interface RedisStoreOptions {
  /** All keys begin with it. */
  prefix: string
  /** Name of this process. */
  owner: string
  /** Open messages at most. */
  limit: number
  /** Milliseconds for which an idempotency key is remembered at least. */
  keepKey: number
  /** Settled messages that are kept at most. */
  count: number
  /** Of an encrypted queue. */
  cipher: RowCipher | undefined
}

/** Messages in one command at most. */
const MAX_BATCH = 50

/** Milliseconds for which a revoked command is refused: it waits in a buffer at most, and Redis reads that when it runs again. */
const REMEMBER_REVOKED = 600_000

/** The messages in Redis: a typed method for each script. Claims and settlements of one turn share a command. */
export class RedisStore {
  readonly #quick: Redis
  readonly #patient: Redis
  readonly #options: RedisStoreOptions
  readonly #claims: RequestBatcher<string, Claim>
  readonly #settlements: RequestBatcher<StateChange, ChangeReply>
  #operations = 0

  constructor({ quick, patient }: { quick: Redis; patient: Redis }, options: RedisStoreOptions) {
    this.#quick = quick
    this.#patient = patient
    this.#options = options
    this.#claims = new RequestBatcher(MAX_BATCH, (ids) => this.#claimAll(ids))
    this.#settlements = new RequestBatcher(MAX_BATCH, (changes) => this.#store(changes, this.#patient))
  }

  /** @param operation name of the command, by which {@link revoke} removes the messages again */
  async enqueue(jobs: readonly MailJob[], operation: string): Promise<EnqueueResult[]> {
    const own = [this.#options.limit, operation]
    const records = jobs.map((job) => packMessage(job, this.#options.keepKey, this.#options.cipher))
    const replies = (await this.#run(this.#quick, 'enqueue', own, records)) as [string, string?, string?][]
    return replies.map(([reply, id = '', messageId = '']): EnqueueResult => {
      if (reply === 'accepted') return { result: 'queued' }
      if (reply === 'duplicate') return { result: reply, id, messageId }
      if (reply === 'revoked')
        return { result: 'unavailable', problem: unavailableMessage('no answer in time') }
      return { result: reply as 'conflict' | 'full' }
    })
  }

  /**
   * Takes back what a command of {@link enqueue} accepted or will accept, however long Redis is away.
   * @returns false if the delivery of a message has begun
   */
  async revoke(ids: readonly string[], operation: string): Promise<boolean> {
    return (await this.#run(this.#patient, 'revoke', [operation, REMEMBER_REVOKED, ...ids])) === 'revoked'
  }

  /** Notes that wake-ups have their jobs. */
  async jobsAdded(names: readonly string[]): Promise<void> {
    await this.#patient.zrem(`${this.#options.prefix}adding`, ...names)
  }

  /** Claims a message for delivery by this process. @param wake name of a wake-up: the message is its own, or one whose turn it is */
  claim(wake: string): Promise<Claim> {
    return this.#claims.request(wake)
  }

  /** Finds wake-ups of messages that can be claimed now, in any job: by priority, and those of a group by their order. */
  async findReady(most: number): Promise<FoundWakeUp[]> {
    const found = (await this.#run(this.#quick, 'findReady', [Date.now(), most, MAX_PRIORITY])) as [
      string,
      number,
    ][]
    return found.map(([wake, priority]) => ({ wake, priority }))
  }

  /** Stores the result of a delivery, however long Redis is away. */
  async settle(change: StateChange): Promise<ChangeResult> {
    const [result] = await this.#settlements.request(change)
    return result
  }

  /**
   * Makes messages due that are held for a budget.
   * @param indexes see {@link heldIndex}; the first one is read first
   */
  async wakeHeld(indexes: readonly string[], most: number): Promise<FoundMessage[]> {
    const woken = await this.#run(this.#quick, 'wakeHeld', [Date.now(), most, ...indexes])
    return (woken as [string, RowValues][]).map(this.#found)
  }

  /** Stores a state that a caller waits for. */
  async update(change: StateChange): Promise<ChangeReply> {
    const [reply = ['stale']] = await this.#store([change], this.#quick)
    return reply
  }

  /** Shows that this process is alive, removes old messages, and finds expired messages and orphans. */
  async maintain({ alive, count, age, orphanedAfter }: MaintainOptions): Promise<Maintained> {
    const now = Date.now()
    const own = [this.#options.owner, alive, now, count, age, orphanedAfter]
    const [expired, orphans] = (await this.#run(this.#quick, 'maintain', own)) as [
      [string, RowValues][],
      [string, RowValues][],
    ]
    return { expired: expired.map(this.#found), orphans: orphans.map(this.#found) }
  }

  async find(ids: readonly string[]): Promise<ReadRows<RedisRow | undefined>> {
    const [paused, rows] = (await this.#run(this.#quick, 'find', ids)) as [number, (RowValues | null)[]]
    return {
      paused: paused === 1,
      rows: rows.map((values) => (values === null ? undefined : unpackRow(values, this.#options.cipher))),
    }
  }

  /** A message with the content that it still has. */
  async load(id: string): Promise<LoadedRow | undefined> {
    const key = `${this.#options.prefix}m:${id}`
    const [head, content, files] = await this.#quick.hmget(key, 'head', 'content', 'files')
    if (typeof head !== 'string') return undefined
    const row = { head, content: content === '' ? null : (content ?? null), attachments: unpackFiles(files) }
    return this.#options.cipher?.open(row) ?? row
  }

  /** Newest first, below a position. While the queue is paused, queued messages are listed as held. */
  async list(before: number, limit: number, status: Status | undefined): Promise<ReadRows> {
    const below = before === Infinity ? '+inf' : `(${before}`
    const stored = (paused: boolean) =>
      (status === undefined ? STATUSES : statusesShownAs(status, paused)).join(' ')
    const own = [below, limit, stored(false), stored(true)]
    const [paused, rows] = (await this.#run(this.#quick, 'list', own)) as [number, RowValues[]]
    return {
      paused: paused === 1,
      rows: rows
        .filter(isPresent)
        .map((values) => unpackRow(values, this.#options.cipher))
        .sort((a, b) => b.seq - a.seq)
        .slice(0, limit),
    }
  }

  async stats(): Promise<{
    paused: boolean
    accepted: number
    /** Milliseconds for which the oldest due message has waited. */
    oldest: number
    counts: Record<Status, number>
  }> {
    const [paused, accepted, oldest, counts] = (await this.#run(this.#quick, 'stats', [
      Date.now(),
      ...STATUSES,
    ])) as [number, number, number, number[]]
    const byStatus = Object.fromEntries(STATUSES.map((status, index) => [status, counts[index] ?? 0]))
    return { paused: paused === 1, accepted, oldest, counts: byStatus as Record<Status, number> }
  }

  /** Stores messages of another queue. */
  async transfer(messages: readonly ScriptRecord<'transfer'>[]): Promise<TransferResult[]> {
    return (await this.#run(this.#quick, 'transfer', [this.nextOperation()], messages)) as TransferResult[]
  }

  /** Removes messages that another queue has now. @returns the wake-up of each; '' if it was not removed */
  async discard(messages: readonly ScriptRecord<'discard'>[]): Promise<string[]> {
    return (await this.#run(this.#quick, 'discard', [], messages)) as string[]
  }

  /** Asks for permits of a transport with a rate, and returns others, for all processes together. */
  readonly requestPermits: RequestPermits = async ({ transport, most, wanted, name, lease, returned }) => {
    const own = [transport, most, wanted, name, lease, ...returned.flatMap(({ id, after }) => [id, after])]
    const [granted, next] = (await this.#run(this.#quick, 'takePermits', own)) as [number, string]
    return { granted, next: Number(next) < 0 ? undefined : Number(next) }
  }

  async writeRecords(changes: readonly RecordChange[]): Promise<void> {
    await this.#run(this.#quick, 'writeRecords', [], changes.map(packChange))
  }

  async readRecords(ranges: readonly RecordRange[]): Promise<SharedRecord[][]> {
    const own = ranges.flatMap(({ from, to, limit = -1 }) => [from, to, limit])
    const replies = (await this.#run(this.#quick, 'readRecords', own)) as RecordReply[][]
    return replies.map((records) => records.map(unpackRecord))
  }

  /** Notes that this process delivers nothing more. */
  async deregister(): Promise<void> {
    const { prefix, owner } = this.#options
    await this.#quick.del(`${prefix}w:${owner}`)
  }

  /** A name for a command, by which Redis recognizes it if the client sends it twice. */
  nextOperation(): string {
    return `${this.#options.owner}.${++this.#operations}`
  }

  async #claimAll(wakes: readonly string[]): Promise<Claim[]> {
    const records = wakes.map((wake) => ({ wake, op: this.nextOperation() }))
    const { owner, cipher } = this.#options
    const replies = await this.#run(this.#patient, 'claim', [owner, Date.now()], records)
    return (replies as [Claim['action'], RowValues | string][]).map((reply) => unpackClaim(reply, cipher))
  }

  #store(changes: readonly StateChange[], redis: Redis): Promise<ChangeReply[]> {
    const update = () => this.#updateAll(changes, redis)
    return storeWithRecords(changes, (records) => this.writeRecords(records), update)
  }

  async #updateAll(changes: readonly StateChange[], redis: Redis): Promise<ChangeReply[]> {
    const { owner, count, cipher } = this.#options
    const records = changes.map((change): ScriptRecord<'update'> => {
      const packed = packState(change.state, sealerFor(change.id, cipher))
      const { dueAt, expiresAt, nextAttemptAt, settledAt, rest } = packed
      return {
        id: change.id,
        rev: change.rev,
        op: this.nextOperation(),
        status: change.state.status,
        rest: rest ?? '',
        due: dueAt,
        exp: expiresAt,
        next: nextAttemptAt ?? '',
        settled: settledAt ?? '',
        drop: change.dropContent ? 1 : 0,
        losses: change.losses,
        job: change.needsJob ? 1 : 0,
        budget: change.heldIndex ?? '',
        head: change.replacement?.head ?? '',
        forget: JSON.stringify(change.replacement?.forget ?? []),
      }
    })
    return (await this.#run(redis, 'update', [owner, Date.now(), count], records)) as ChangeReply[]
  }

  readonly #found = ([id, values]: [string, RowValues]): FoundMessage => ({
    id,
    row: unpackRow(values, this.#options.cipher),
  })

  #run<N extends ScriptName>(
    redis: Redis,
    name: N,
    own: readonly (string | number)[],
    records?: readonly ScriptRecord<N>[],
  ): Promise<Reply> {
    const commands = redis as unknown as Record<ScriptName, (...args: (string | number)[]) => Promise<Reply>>
    return commands[name](this.#options.prefix, ...scriptArguments(name, own, records))
  }
}

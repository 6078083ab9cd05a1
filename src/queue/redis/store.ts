import type { Redis } from 'ioredis'
import { type MailJob, type MessageState, STATUSES, type Status } from '../../message/messageState.js'
import { Batcher } from '../../structures/batcher.js'
import type { EnqueueResult } from '../driver.js'
import { packJob, packState } from '../rowCodec.js'
import type { LoadedRow, StoredRow } from '../storedRow.js'
import { type Beginning, beginningOf, type Fields, filesOf, packFile, type Reply, rowOf } from './replies.js'
import type { ScriptName } from './scripts.js'

/** A state to be stored. */
export interface Change {
  id: string
  /** The change it was made from. */
  rev: number
  state: MessageState
  /** Whether the content goes. */
  drop: boolean
  /** Process deaths in a row, kept until a delivery ends otherwise. */
  losses: number
  /** Whether it needs a job anew. */
  schedule: boolean
  /** Where it stands among those held for a budget, if it is. */
  held?: string
}

export interface Found {
  id: string
  row: StoredRow
}

interface Sweep {
  expired: Found[]
  orphans: Found[]
}

interface SweepOptions {
  /** Milliseconds for which this process counts as alive. */
  alive: number
  count: number
  age: number
  /** Milliseconds after which a message without a job is one that was forgotten. */
  adding: number
}

/** Messages in one command, so that none holds up the others. */
const LOT = 50

/** The messages in Redis: every command of `scripts.ts`, typed. What is asked in one turn is one command. */
export class RedisStore {
  readonly #quick: Redis
  readonly #patient: Redis
  readonly #prefix: string
  readonly #owner: string
  readonly #keepKey: number
  readonly #limit: number
  readonly #count: number
  readonly #begin: Batcher<string, Beginning>
  readonly #write: Batcher<Change, 'written' | 'stale'>
  #ops = 0

  constructor(
    { quick, patient }: { quick: Redis; patient: Redis },
    options: { prefix: string; owner: string; limit: number; keepKey: number; count: number },
  ) {
    this.#quick = quick
    this.#patient = patient
    this.#prefix = options.prefix
    this.#owner = options.owner
    this.#limit = options.limit
    this.#keepKey = options.keepKey
    this.#count = options.count
    this.#begin = new Batcher(LOT, (ids) => this.#beginAll(ids))
    this.#write = new Batcher(LOT, (changes) => this.#writeAll(changes, this.#patient))
  }

  /** Takes messages in. @param op names the command: by it `revoke()` takes them back */
  accept(jobs: readonly MailJob[], op: string): Promise<EnqueueResult[]> {
    const args: (string | number)[] = [this.#limit, op, Date.now()]
    for (const job of jobs) args.push(...this.#accepted(job))
    return this.#run(this.#quick, 'accept', args).then((answers) =>
      (answers as string[][]).map(([result, id = '', messageId = '']): EnqueueResult =>
        result === 'duplicate' ? { result, id, messageId } : { result: result as 'queued' },
      ),
    )
  }

  async revoke(ids: readonly string[], op: string): Promise<void> {
    await this.#run(this.#patient, 'revoke', [op, ...ids])
  }

  /** The messages have their jobs. */
  async added(ids: readonly string[]): Promise<void> {
    await this.#patient.zrem(`${this.#prefix}adding`, ...ids)
  }

  begin(id: string): Promise<Beginning> {
    return this.#begin.ask(id)
  }

  /** Stores what a delivery came to, however long it takes. */
  settle(change: Change): Promise<'written' | 'stale'> {
    return this.#write.ask(change)
  }

  /** Makes messages due that are held for a budget. @param held where they stand, the first looked at first */
  async wake(held: readonly string[], most: number): Promise<Found[]> {
    const woken = (await this.#run(this.#quick, 'wake', [Date.now(), most, ...held])) as [string, Fields][]
    return woken.map(read)
  }

  /** Stores a state that a caller wants. */
  async change(change: Change): Promise<'written' | 'stale'> {
    const [answer = 'stale'] = await this.#writeAll([change], this.#quick)
    return answer
  }

  async sweep({ alive, count, age, adding }: SweepOptions): Promise<Sweep> {
    const now = Date.now()
    const [expired, orphans] = (await this.#run(this.#quick, 'sweep', [
      this.#owner,
      alive,
      now,
      count,
      age,
      now - adding,
    ])) as [[string, Fields][], [string, Fields][]]
    return { expired: expired.map(read), orphans: orphans.filter(([, row]) => row[3] !== null).map(read) }
  }

  async look(ids: readonly string[]): Promise<{ paused: boolean; rows: (StoredRow | undefined)[] }> {
    const [paused, rows] = (await this.#run(this.#quick, 'look', [...ids])) as [number, (Fields | null)[]]
    return { paused: paused === 1, rows: rows.map((fields) => (fields === null ? undefined : rowOf(fields))) }
  }

  /** A message with what is left of its content. */
  async load(id: string): Promise<LoadedRow | undefined> {
    const [head, content, files] = await this.#quick.hmget(
      `${this.#prefix}m:${id}`,
      'head',
      'content',
      'files',
    )
    if (typeof head !== 'string') return undefined
    return { head, content: content === '' ? null : (content ?? null), attachments: filesOf(files) }
  }

  /** Newest first below a place; those in line are among the held as long as the queue is paused. */
  async page(
    before: number,
    limit: number,
    status: Status | undefined,
  ): Promise<{ paused: boolean; rows: StoredRow[] }> {
    const below = before === Infinity ? '+inf' : `(${before}`
    const [paused, rows] = (await this.#run(this.#quick, 'page', [below, limit, status ?? ''])) as [
      number,
      Fields[],
    ]
    return {
      paused: paused === 1,
      rows: rows
        .filter((fields) => fields[3] !== null)
        .map(rowOf)
        .sort((a, b) => b.seq - a.seq)
        .slice(0, limit),
    }
  }

  async stats(): Promise<{
    paused: boolean
    accepted: number
    oldest: number
    counts: Record<Status, number>
  }> {
    const [paused, accepted, oldest, counts] = (await this.#run(this.#quick, 'stats', [
      Date.now(),
      ...STATUSES,
    ])) as [number, number, number, number[]]
    return {
      paused: paused === 1,
      accepted,
      oldest,
      counts: Object.fromEntries(STATUSES.map((status, index) => [status, counts[index] ?? 0])) as Record<
        Status,
        number
      >,
    }
  }

  /** Times at which messages of a transport may go, for all processes together. */
  async reserve(
    transport: string,
    interval: number,
    count: number,
  ): Promise<{ taken: boolean; after: number }> {
    const [taken, after] = (await this.#run(this.#quick, 'reserve', [transport, interval, count])) as [
      number,
      string,
    ]
    return { taken: taken === 1, after: Number(after) }
  }

  async goodbye(): Promise<void> {
    await this.#quick.del(`${this.#prefix}w:${this.#owner}`)
  }

  /** Names a command, so that Redis knows it again when it comes twice. */
  op(): string {
    return `${this.#owner}.${++this.#ops}`
  }

  async #beginAll(ids: readonly string[]): Promise<Beginning[]> {
    const args: (string | number)[] = [this.#owner, Date.now()]
    for (const id of ids) args.push(id, this.op())
    const answers = await this.#run(this.#patient, 'begin', args)
    return (answers as [Beginning['do'], Fields | string][]).map(beginningOf)
  }

  async #writeAll(changes: readonly Change[], redis: Redis): Promise<('written' | 'stale')[]> {
    const args: (string | number)[] = [this.#owner, Date.now(), this.#count]
    for (const { id, rev, state, drop, losses, schedule, held } of changes) {
      const { dueAt, expiresAt, nextAttemptAt, settledAt, rest } = packState(state)
      args.push(id, rev, this.op(), state.status, rest ?? '', dueAt, expiresAt)
      args.push(nextAttemptAt ?? '', settledAt ?? '', drop ? 1 : 0, losses, schedule ? 1 : 0, held ?? '')
    }
    return (await this.#run(redis, 'write', args)) as ('written' | 'stale')[]
  }

  #accepted(job: MailJob): (string | number)[] {
    const row = packJob(job, this.#keepKey)
    const { id, messageId, head, content, attachments: files } = row
    const { notBefore, expiresAt, key, fingerprint: print, keyUntil } = row
    const ttl = Math.max(1, Math.ceil(keyUntil - Date.now()))
    const due = Math.max(notBefore ?? 0, job.acceptedAt)
    const bytes = files === null ? '' : JSON.stringify(files.map(packFile))
    return [id, messageId, print ?? '', key ?? '', ttl, head, content, bytes, due, expiresAt, notBefore ?? '']
  }

  #run(redis: Redis, name: ScriptName, args: (string | number)[]): Promise<Reply> {
    const commands = redis as unknown as Record<ScriptName, (...args: (string | number)[]) => Promise<Reply>>
    return commands[name](this.#prefix, ...args)
  }
}

/** Where a message stands that is held for its transport's budget. */
export function heldPlace(transport: string, priority: number): string {
  return `${priority}:${transport}`
}

function read([id, fields]: [string, Fields]): Found {
  return { id, row: rowOf(fields) }
}

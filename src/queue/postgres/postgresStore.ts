import { isId } from '../../message/ids.js'
import type { MailJob, Status } from '../../message/messageState.js'
import { RequestBatcher } from '../../structures/batcher.js'
import type { RequestPermits } from '../distributedRateLimiter.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { statusesShownAs } from '../listing.js'
import type { ChangeResult, RecordChange, RecordRange, SharedRecord } from '../records.js'
import { unpackFiles } from '../rowCodec.js'
import { storeWithRecords } from '../storedMutations.js'
import type { MessageReader, ReadRows } from '../storedQueries.js'
import { type LoadedRow, STATUS_NUMBERS, type StoredRow } from '../storedRow.js'
import { ClaimPosition } from './claimPosition.js'
import type { Patience, PostgresConnections } from './postgresConnections.js'
import {
  type ClaimedMessages,
  openClaim,
  type NotInserted,
  type NotInsertedRow,
  type PackedChange,
  type PackedMessage,
  packMessage,
  packPostgresChange,
  packRange,
  type PostgresChange,
  type PostgresClaim,
  type PostgresRow,
  type Run,
  type StatsRow,
  unpackStats,
} from './postgresRows.js'
import { PRUNE_AFTER, type Statement, type StatementName, statementsFor } from './statements.js'

/** Messages in one statement at most. */
const MAX_BATCH = 100
/** Settlements that run at a time: while one runs, others gather. */
const MAX_SETTLEMENTS = 1
/** Larger than the position of any message. */
const MAX_POSITION = Number.MAX_SAFE_INTEGER

interface PostgresStoreOptions {
  schema: string
  /** Name of this process. */
  owner: string
  /** Settled messages that are kept at most. */
  count: number
  /** Milliseconds for which an idempotency key is remembered at least. */
  keepKey: number
  /** Of an encrypted queue. */
  cipher: RowCipher | undefined
}

/** The messages in Postgres: a typed method for each statement. */
export class PostgresStore implements MessageReader {
  readonly #connections: PostgresConnections
  readonly #options: PostgresStoreOptions
  readonly #statements: Record<StatementName, Statement>
  readonly #settlements: RequestBatcher<PostgresChange, ChangeResult>
  readonly #position = new ClaimPosition()
  #operations = 0
  /** Messages that were changed since this process looked for settled ones beyond the number that is kept. */
  #sincePruned = 0

  constructor(connections: PostgresConnections, options: PostgresStoreOptions) {
    this.#connections = connections
    this.#options = options
    this.#statements = statementsFor(options.schema)
    this.#settlements = new RequestBatcher(MAX_BATCH, (all) => this.#store(all, 'patient'), MAX_SETTLEMENTS)
  }

  pack(job: MailJob): PackedMessage {
    return packMessage(job, this.#options.keepKey, this.#options.cipher)
  }

  /** A statement for a caller, on a connection of the queue. */
  readonly quick: Run = (statement, values) => this.#connections.run(statement, values, 'quick')

  /**
   * Inserts messages, each id and each key once.
   * @param most open messages at most, or null: there is room for all
   * @returns those that were not inserted, by their position
   */
  async insert(
    messages: readonly PackedMessage[],
    most: number | null,
    run: Run,
  ): Promise<Map<number, NotInserted>> {
    const input = JSON.stringify(messages.map((message, nth) => ({ nth, most, ...message })))
    const rows = (await run(this.#statements.enqueue, [input])) as NotInsertedRow[]
    return new Map(
      rows.map(({ nth, full, ...row }) => [nth, { isFull: full, known: row.id === null ? undefined : row }]),
    )
  }

  /** The number of open messages. */
  async open(): Promise<number> {
    return (await this.#run<{ open: number }>('open', [], 'quick'))[0]?.open ?? 0
  }

  async claim(most: number): Promise<ClaimedMessages> {
    const rows = await this.#run<
      PostgresClaim & { alive: boolean; later: number | null; seq: number | null }
    >('claim', [most, this.#options.owner, ...this.#position.parameters], 'patient')
    const [first] = rows
    const messages = rows.filter(({ seq }) => (seq as number | null) !== null)
    return {
      alive: first?.alive === true,
      more: this.#position.advance(messages, most),
      later: first?.later ?? undefined,
      messages: messages.map((row) => openClaim(row, this.#options.cipher)),
    }
  }

  /** Stores the result of a delivery; those of one moment share a statement. */
  settle(change: PostgresChange): Promise<ChangeResult> {
    return this.#settlements.request(change)
  }

  /** Stores a state that a caller waits for. */
  async update(change: PostgresChange): Promise<ChangeResult> {
    const [result = 'stale'] = await this.#store([change], 'quick')
    return result
  }

  /** Makes a submitted mail that this process has claimed a message as any other, unless another has its key. @returns that one */
  admit({ seq, rev }: PostgresRow, packed: PackedMessage): Promise<NotInsertedRow[]> {
    return this.#run('admit', [JSON.stringify({ ...packed, seq, rev })], 'patient')
  }

  /** Whether a change is stored whose answer was lost. */
  async wasStored(change: PostgresChange): Promise<boolean> {
    return (await this.#run('stored', [JSON.stringify([this.#packChange(change)])], 'patient')).length > 0
  }

  /** Lets messages be claimed whose time has come. */
  async promote(): Promise<void> {
    await this.#run('promote', [Date.now()], 'patient')
  }

  async wakeHeld(transports: readonly string[], most: number): Promise<number> {
    const rows = await this.#run<{ woken: number }>('wakeHeld', [[...transports], Date.now(), most], 'quick')
    return rows[0]?.woken ?? 0
  }

  async heartbeat(follows: boolean): Promise<void> {
    await this.#run('heartbeat', [this.#options.owner, follows], 'quick')
  }

  /** Notes that this process delivers and follows nothing more. */
  async deregister(): Promise<void> {
    await this.#run('deregister', [this.#options.owner], 'quick')
  }

  /** Messages whose process died while delivering them. */
  async lost(): Promise<PostgresRow[]> {
    return this.#open(await this.#run<PostgresRow>('lost', [this.#options.owner], 'patient'))
  }

  /** Undoes claims of this process whose answer was lost. @param known `seq` of the messages that it has claimed */
  async unclaim(known: readonly number[]): Promise<void> {
    await this.#run('unclaim', [this.#options.owner, [...known]], 'patient')
  }

  /** Messages that wait and have expired. */
  async expired(): Promise<PostgresRow[]> {
    return this.#open(await this.#run<PostgresRow>('expired', [Date.now()], 'patient'))
  }

  /** Deletes old messages, keys and records. @returns whether there may be more */
  async prune(age: number): Promise<boolean> {
    const now = Date.now()
    const rows = await this.#run<{ pruned: number }>('prune', [Math.floor(now - age), now], 'patient')
    return (rows[0]?.pruned ?? 0) >= 1_000
  }

  /** Adds up the counts. */
  async fold(): Promise<void> {
    await this.#run('fold', [], 'patient')
  }

  async find(ids: readonly string[]): Promise<ReadRows<StoredRow | undefined>> {
    const known = ids.filter(isId)
    if (known.length === 0) return { paused: false, rows: ids.map(() => undefined) }
    const rows = await this.#run<PostgresRow & { paused: boolean; seq: number | null }>(
      'find',
      [JSON.stringify(known)],
      'quick',
    )
    const present = this.#open(rows.filter(({ seq }) => (seq as number | null) !== null))
    const byId = new Map(present.map((row) => [row.id, row]))
    return { paused: rows[0]?.paused === true, rows: ids.map((id) => byId.get(id)) }
  }

  async load(id: string): Promise<LoadedRow | undefined> {
    if (!isId(id)) return undefined
    const [row] = await this.#run<{ head: string; content: string | null; files: string | null }>(
      'load',
      [id],
      'quick',
    )
    if (row === undefined) return undefined
    const [opened] = this.#open([
      { head: row.head, content: row.content, attachments: unpackFiles(row.files) },
    ])
    return opened
  }

  async list(before: number, limit: number, status: Status | undefined): Promise<ReadRows> {
    const below = Math.min(before, MAX_POSITION)
    const stored = (paused: boolean): number[] =>
      status === undefined ? [] : statusesShownAs(status, paused).map((name) => STATUS_NUMBERS[name])
    const rows =
      status === undefined
        ? await this.#run<PostgresRow & { paused: boolean }>('listAll', [below, limit], 'patient')
        : await this.#run<PostgresRow & { paused: boolean }>(
            'listStatus',
            [below, limit, stored(false), stored(true)],
            'patient',
          )
    return { paused: rows[0]?.paused === true, rows: this.#open(rows) }
  }

  async stats(): ReturnType<MessageReader['stats']> {
    return unpackStats((await this.#run<StatsRow>('stats', [], 'quick'))[0], Date.now())
  }

  async pause(): Promise<void> {
    await this.#run('pause', [], 'quick')
  }

  async resume(): Promise<void> {
    await this.#run('resume', [], 'quick')
  }

  /** Returns those of the ids whose message is settled. */
  async settled(ids: readonly string[]): Promise<string[]> {
    const rows = await this.#run<{ id: string }>('settled', [JSON.stringify(ids)], 'quick')
    return rows.map(({ id }) => id)
  }

  async writeRecords(changes: readonly RecordChange[]): Promise<void> {
    await this.#run('writeRecords', [JSON.stringify(changes)], 'quick')
  }

  async readRecords(ranges: readonly RecordRange[]): Promise<SharedRecord[][]> {
    const rows = await this.#run<Omit<SharedRecord, 'document'> & { nth: number; document: string | null }>(
      'readRecords',
      [JSON.stringify(ranges.map(packRange))],
      'quick',
    )
    const lists: SharedRecord[][] = ranges.map(() => [])
    for (const { nth, key, age, numbers, document } of rows)
      lists[nth - 1]?.push({ key, age, numbers, ...(document === null ? {} : { document }) })
    return lists
  }

  /** Asks for permits of a transport with a rate, and returns others, for all processes together. */
  readonly requestPermits: RequestPermits = async ({ transport, most, wanted, name, lease, returned }) => {
    const [row] = await this.#run<{ granted: number; next: number | null }>(
      'permits',
      [transport, most, wanted, name, lease, JSON.stringify(returned)],
      'quick',
    )
    return { granted: row?.granted ?? 0, next: row?.next ?? undefined }
  }

  /** A name that no request had before. */
  nextOperation(): string {
    return `${this.#options.owner}.${++this.#operations}`
  }

  #store(changes: readonly PostgresChange[], patience: Patience): Promise<ChangeResult[]> {
    const update = () => this.#update(changes, patience)
    return storeWithRecords(changes, (records) => this.writeRecords(records), update)
  }

  async #update(changes: readonly PostgresChange[], patience: Patience): Promise<ChangeResult[]> {
    const { count, owner } = this.#options
    const input = JSON.stringify(changes.map((change) => this.#packChange(change)))
    this.#sincePruned += changes.length
    const prunes = this.#sincePruned >= Math.min(PRUNE_AFTER, count / 20)
    if (prunes) this.#sincePruned = 0
    const rows = await this.#run<{ seq: number }>('update', [input, prunes ? count : null, owner], patience)
    const written = new Set(rows.map(({ seq }) => seq))
    return changes.map(({ row }) => (written.has(row.seq) ? 'written' : 'stale'))
  }

  /** An update that is repeated must store the same: see {@link wasStored}. */
  #packChange(change: PostgresChange): PackedChange {
    return (change.packed ??= packPostgresChange(change, this.#options.cipher))
  }

  #open<R extends { head: string }>(rows: R[]): R[] {
    const { cipher } = this.#options
    return cipher === undefined ? rows : rows.map((row) => cipher.open(row))
  }

  #run<Row>(name: StatementName, values: readonly unknown[], patience: Patience): Promise<Row[]> {
    return this.#connections.run<Row>(this.#statements[name], values, patience)
  }
}

import type { Transaction } from 'better-sqlite3'
import type {
  InsertResult,
  Answer,
  CachedRow,
  Report,
  Request,
  StatsRow,
  TransferResult,
  TransferRow,
} from '../../src/queue/sqlite/outboxProtocol.js'
import { type ClaimedRow, STATUS_NUMBERS, unpackRow } from '../../src/queue/storedRow.js'
import { Histogram } from '../../src/structures/histogram.js'
import { isEnvironmentError, isStorageError } from './databaseFile.js'
import type { Parts } from './outboxParts.js'

const TIME_BOUNDS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000]
const SIZE_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000]
/** Settled messages deleted per commit, in addition to two for each request. */
const PRUNE_STEP = 50
/** Maximum number of messages of each kind that one commit changes without a request while space is short. */
const SMALL_STEP = 20

const WRITES = [
  'enqueue',
  'write',
  'release',
  'pause',
  'wakeHeld',
  'writeRecords',
  'transfer',
  'discard',
] as const

/** The requests that change the file. */
export type Write = Extract<Request, { kind: (typeof WRITES)[number] }>

export function isWrite(request: Request): request is Write {
  return (WRITES as readonly string[]).includes(request.kind)
}

/**
 * Runs all waiting requests in one transaction. Everything that it reports is on disk. In the same transaction the deliverer
 * promotes due messages, expires late ones and claims as many as it may, so that one commit can both accept and claim a message.
 */
export class GroupCommit {
  readonly #parts: Parts
  readonly #transaction: Transaction<(work: () => void) => void>
  readonly #time = new Histogram(TIME_BOUNDS)
  readonly #size = new Histogram(SIZE_BOUNDS)
  /** Number of messages that may be claimed. */
  credit = 0
  /** The reason why the last commit failed: a full disk, a lock, a damaged file. */
  problem: string | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#transaction = parts.db.transaction((work: () => void) => {
      work()
    })
  }

  run(writes: readonly Write[], report: Report): void {
    let error = this.#attempt(writes, report)
    if (isStorageError(error)) {
      this.#parts.capacity.freeSpace(this.#parts.deliverer.allowed)
      error = this.#attempt(writes, report)
    }
    if (error !== undefined) this.#failed(error, writes, report)
  }

  /** Runs one transaction. @returns the error if nothing was stored; undefined if everything was */
  #attempt(writes: readonly Write[], report: Report): unknown {
    const { counters, readyQueue, deliverer, pruner, capacity, log, pendingWork } = this.#parts
    const now = Date.now()
    const start = performance.now()
    let pruned = 0
    const answers: Report['answers'] = []
    let expired: Report['expired'] = []
    let taken: (ClaimedRow | CachedRow)[] = []
    // After a failed commit, requests come first; a separate commit tries whether messages can be claimed.
    const claims = this.problem === undefined || writes.length === 0
    const most = capacity.inUse || this.problem !== undefined ? SMALL_STEP : Infinity
    try {
      this.#transaction.immediate(() => {
        counters.load()
        if (this.problem !== undefined) counters.touch()
        if (writes.some(({ kind }) => kind === 'enqueue' || kind === 'transfer'))
          capacity.measure(counters.unsettled)
        for (const write of writes) answers.push([write.n, this.#apply(write, now)])
        if (writes.length > 0) pendingWork.invalidate()
        if (deliverer.active) {
          if (claims) {
            readyQueue.promote(now, most)
            expired = readyQueue.expire(now, most)
            if (this.credit > 0 && !counters.paused)
              taken = readyQueue.claim(Math.min(this.credit, most), now)
          }
          if (taken.length > 0) counters.addClaims(taken.length)
          pruned = pruner.prune(Math.min(most, PRUNE_STEP + 2 * writes.length), now)
        }
        counters.store()
      })
    } catch (error) {
      readyQueue.undoClaims(taken)
      pendingWork.invalidate()
      counters.reload()
      return error
    }
    if (pruned > 0 || writes.some(removes)) log.noteDropped()
    if (taken.length > 0) this.#parts.claimCounter.follow(counters.claims)
    this.#time.observe(performance.now() - start)
    this.#size.observe(writes.reduce((sum, write) => sum + sizeOf(write), taken.length + expired.length))
    for (const write of writes) this.#endClaims(write)
    this.credit -= taken.length
    if (claims) this.problem = undefined
    report.claimed.push(...taken)
    report.expired.push(...expired)
    report.answers.push(...answers)
    return undefined
  }

  stats(): StatsRow['commits'] {
    return { time: this.#time.snapshot(), size: this.#size.snapshot() }
  }

  /** Whether a commit would change anything even without a request. Only reads. */
  hasWork(now: number): boolean {
    const { counters, readyQueue, deliverer, pruner } = this.#parts
    if (!deliverer.active || this.problem !== undefined) return false
    if (this.credit > 0 && !counters.paused && readyQueue.waiting(now)) return true
    return readyQueue.nextChange() <= now || pruner.isDue(now)
  }

  #apply(write: Write, now: number): Answer<Write['kind']> {
    const { counters, inserter, messages, pruner, readyQueue, records, searchIndex } = this.#parts
    switch (write.kind) {
      case 'enqueue':
        return write.rows.map((row) => inserter.insert(unpackRow(row), now))
      case 'write': {
        const answer = messages.write(write, now)
        if (answer === 'written' && write.replacement !== undefined) {
          const { replacement } = write
          searchIndex.replace(write.seq, () => messages.replace(write.seq, replacement))
        } else if (answer === 'written' && write.reindex === true) searchIndex.update(write.seq)
        if (answer === 'written' && write.records !== undefined) records.write(write.records, now)
        return answer
      }
      case 'release':
        for (const { seq, rev, lost } of write.rows) readyQueue.requeue(seq, rev, lost)
        return null
      case 'transfer':
        return write.rows.map((moved) => this.#transfer(moved, now))
      case 'discard':
        return write.rows.map(({ seq, rev }) => pruner.discard(seq, rev))
      case 'pause':
        counters.paused = write.paused
        return null
      case 'wakeHeld':
        return readyQueue.wakeHeld(write.transports, write.most, now)
      case 'writeRecords':
        records.write(write.changes, now)
        return undefined
    }
  }

  #transfer(moved: TransferRow, now: number): TransferResult {
    const { inserter, messages } = this.#parts
    const inserted = inserter.transfer(moved, now)
    if (typeof inserted === 'string') return inserted
    const { state, dropped: drop, losses } = moved
    messages.write({ seq: inserted, rev: 0, from: STATUS_NUMBERS.queued, state, drop, losses }, now)
    return 'stored'
  }

  #acceptEach({ n, rows }: Extract<Write, { kind: 'enqueue' }>, report: Report): void {
    const answer = rows.map((row): InsertResult => {
      const single: Report = { ...report, answers: [], failures: [] }
      this.run([{ n, kind: 'enqueue', rows: [row] }], single)
      const [failure] = single.failures
      if (failure !== undefined) return { result: 'unavailable', problem: failure[1] }
      return (single.answers[0]?.[1] as InsertResult[])[0] ?? null
    })
    report.answers.push([n, answer])
  }

  #endClaims(write: Write): void {
    const { readyQueue } = this.#parts
    if (write.kind === 'write') readyQueue.endClaim(write.seq)
    if (write.kind === 'release') for (const { seq } of write.rows) readyQueue.endClaim(seq)
  }

  #failed(error: unknown, writes: readonly Write[], report: Report): void {
    const problem = error instanceof Error ? error.message : String(error)
    const [first] = writes
    if (!isEnvironmentError(error) && first !== undefined) {
      // One of the requests can't be stored; the others can.
      if (writes.length > 1) for (const write of writes) this.run([write], report)
      else if (first.kind === 'enqueue' && first.rows.length > 1) this.#acceptEach(first, report)
      else report.failures.push([first.n, problem])
      return
    }
    this.problem = problem
    const stored = isStorageError(error) && writes.length > 1 ? this.#storeSome(writes, report) : 0
    for (const { n } of writes.slice(stored)) report.failures.push([n, problem])
  }

  /** Stores requests one by one: some may fit, and their deletions make space for others. @returns how many succeeded, from the first */
  #storeSome(writes: readonly Write[], report: Report): number {
    const refused = writes.findIndex((write) => this.#attempt([write], report) !== undefined)
    return refused < 0 ? writes.length : refused
  }
}

/** Whether the request removes content from the file. */
function removes(write: Write): boolean {
  return (
    write.kind === 'discard' || (write.kind === 'write' && (write.drop || write.replacement !== undefined))
  )
}

/** Number of messages in a request. */
function sizeOf(write: Write): number {
  if (write.kind === 'writeRecords') return 0
  return 'rows' in write ? write.rows.length : 1
}

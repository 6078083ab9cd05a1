import type { Transaction } from 'better-sqlite3'
import type {
  Acceptance,
  Answer,
  KnownRow,
  Report,
  Request,
  StatsRow,
} from '../../src/queue/sqlite/outboxProtocol.js'
import type { TakenRow } from '../../src/queue/storedRow.js'
import { Histogram } from '../../src/structures/histogram.js'
import type { Parts } from './parts.js'
import { isEnvironmentError, isStorageError } from './storageError.js'

const TIME_BOUNDS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000]
const SIZE_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000]
/** Settled messages forgotten by one commit, beyond two for each it writes. */
const FORGET = 50
/** Messages of each kind that one commit changes on its own account while there is hardly any room. */
const FEW = 20

/** Requests that change the file. */
export type Write = Extract<Request, { kind: 'enqueue' | 'write' | 'release' | 'pause' | 'wakeHeld' }>

export function isWrite(request: Request): request is Write {
  return ['enqueue', 'write', 'release', 'pause', 'wakeHeld'].includes(request.kind)
}

/**
 * One transaction for all that waits: what it reports is on disk. The deliverer lets due messages into the line, ends
 * late ones and hands out what it may in the same transaction, so that a message can be accepted and handed out by
 * one commit.
 */
export class GroupCommit {
  readonly #parts: Parts
  readonly #transaction: Transaction<(work: () => void) => void>
  readonly #time = new Histogram(TIME_BOUNDS)
  readonly #size = new Histogram(SIZE_BOUNDS)
  /** Messages that may be handed out. */
  credit = 0
  /** Why the last commit failed: a full disk, a lock, a damaged file. */
  trouble: string | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#transaction = parts.db.transaction((work: () => void) => {
      work()
    })
  }

  run(writes: readonly Write[], report: Report): void {
    let error = this.#attempt(writes, report)
    if (isStorageError(error)) {
      this.#parts.room.makeRoom(this.#parts.lock.mayDeliver)
      error = this.#attempt(writes, report)
    }
    if (error !== undefined) this.#failed(error, writes, report)
  }

  /** One transaction. @returns why nothing of it was stored; undefined when all of it is */
  #attempt(writes: readonly Write[], report: Report): unknown {
    const { tally, line, lock, forgetting, room } = this.#parts
    const now = Date.now()
    const start = performance.now()
    const answers: Report['answers'] = []
    let expired: Report['expired'] = []
    let taken: (TakenRow | KnownRow)[] = []
    // In trouble, what was asked for comes first, and a commit of its own tries whether messages can be claimed.
    const claims = this.trouble === undefined || writes.length === 0
    const most = room.inUse || this.trouble !== undefined ? FEW : Infinity
    try {
      this.#transaction.immediate(() => {
        tally.load()
        if (this.trouble !== undefined) tally.touch()
        if (writes.some(({ kind }) => kind === 'enqueue')) room.measure(tally.unsettled)
        for (const write of writes) answers.push([write.n, this.#apply(write, now)])
        if (lock.held) {
          if (claims) {
            line.promote(now, most)
            expired = line.expire(now, most)
            if (this.credit > 0 && !tally.paused) taken = line.take(Math.min(this.credit, most), now)
          }
          forgetting.forget(Math.min(most, FORGET + 2 * writes.length), now)
        }
        tally.store()
      })
    } catch (error) {
      line.undo(taken)
      tally.reload()
      return error
    }
    this.#time.observe(performance.now() - start)
    this.#size.observe(writes.reduce((sum, write) => sum + sizeOf(write), taken.length + expired.length))
    for (const write of writes) this.#takeBack(write)
    this.credit -= taken.length
    if (claims) this.trouble = undefined
    report.taken.push(...taken)
    report.expired.push(...expired)
    report.answers.push(...answers)
    return undefined
  }

  stats(): StatsRow['commits'] {
    return { time: this.#time.snapshot(), size: this.#size.snapshot() }
  }

  /** Whether a commit would change something, even without a request. Reads only. */
  hasWork(now: number): boolean {
    const { tally, line, lock, forgetting } = this.#parts
    if (!lock.held || this.trouble !== undefined) return false
    if (this.credit > 0 && !tally.paused && line.waiting(now)) return true
    return line.nextChange() <= now || forgetting.due(now)
  }

  #apply(write: Write, now: number): Answer<Write['kind']> {
    const { tally, intake, records, line } = this.#parts
    switch (write.kind) {
      case 'enqueue':
        return write.rows.map((row) => intake.accept(row, now))
      case 'write':
        return records.write(write, now)
      case 'release':
        for (const { seq, rev, lost } of write.rows) line.release(seq, rev, lost)
        return null
      case 'pause':
        tally.paused = write.paused
        return null
      case 'wakeHeld':
        return line.wakeHeld(write.transports, write.most, now)
    }
  }

  #acceptEach({ n, rows }: Extract<Write, { kind: 'enqueue' }>, report: Report): void {
    const answer = rows.map((row): Acceptance => {
      const alone: Report = { ...report, answers: [], failures: [] }
      this.run([{ n, kind: 'enqueue', rows: [row] }], alone)
      const [failure] = alone.failures
      if (failure !== undefined) return { result: 'unavailable', problem: failure[1] }
      return (alone.answers[0]?.[1] as Acceptance[])[0] ?? null
    })
    report.answers.push([n, answer])
  }

  #takeBack(write: Write): void {
    const { line } = this.#parts
    if (write.kind === 'write') line.back(write.seq)
    if (write.kind === 'release') for (const { seq } of write.rows) line.back(seq)
  }

  #failed(error: unknown, writes: readonly Write[], report: Report): void {
    const problem = error instanceof Error ? error.message : String(error)
    const [first] = writes
    if (!isEnvironmentError(error) && first !== undefined) {
      // One of them can't be stored; the others can.
      if (writes.length > 1) for (const write of writes) this.run([write], report)
      else if (first.kind === 'enqueue' && first.rows.length > 1) this.#acceptEach(first, report)
      else report.failures.push([first.n, problem])
      return
    }
    this.trouble = problem
    const stored = isStorageError(error) && writes.length > 1 ? this.#storeSome(writes, report) : 0
    for (const { n } of writes.slice(stored)) report.failures.push([n, problem])
  }

  /** Where all together don't fit, some may, and what they delete makes room for others. @returns how many, from the first */
  #storeSome(writes: readonly Write[], report: Report): number {
    const refused = writes.findIndex((write) => this.#attempt([write], report) !== undefined)
    return refused < 0 ? writes.length : refused
  }
}

/** Messages that a request is about. */
function sizeOf(write: Write): number {
  return 'rows' in write ? write.rows.length : 1
}

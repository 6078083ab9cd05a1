import { ClockWatch } from '../../src/clock.js'
import type {
  Answer,
  FromOutbox,
  Report,
  Request,
  RequestKind,
} from '../../src/queue/sqlite/outboxProtocol.js'
import { isStorageError } from './databaseFile.js'
import { GroupCommit, isWrite, type Write } from './groupCommit.js'
import { IdleTasks } from './idleTasks.js'
import type { Parts } from './outboxParts.js'
import { readPage } from './pageReader.js'

/** Maximum number of requests per commit, which bounds how long each waits for the reads. */
const MAX_GROUP = 1_000
/** Milliseconds after a commit in which outcomes are collected for the next: no caller waits for them, and commits are expensive. */
const LAZY_DELAY = 3
/** Milliseconds between checks for other processes' commits and clock changes. */
const TICK = 100

/** Requests for whose answer no caller waits. */
const LAZY: ReadonlySet<RequestKind> = new Set(['write', 'credit', 'writeRecords'])

type ReadRequest = Exclude<Request, Write>

/** Answers the requests of the main thread. All that arrive during one commit go into the next. */
export class OutboxEngine {
  readonly #parts: Parts
  readonly #commit: GroupCommit
  readonly #idleTasks: IdleTasks
  readonly #post: (message: FromOutbox) => void
  readonly #closed: () => void
  readonly #subscribed = new Set<string>()
  readonly #clock = new ClockWatch()
  readonly #timer: NodeJS.Timeout
  #pending: Request[] = []
  #scheduled = false
  #delayed: NodeJS.Timeout | undefined
  #lastCycle = 0
  /** Maximum number of deliveries that this process records in its journal at a time. */
  #journalSlots = 0
  /** Requests since the last tick. */
  #traffic = 0
  /** SQLite's `data_version`, which changes with the commits of other connections. */
  #lastDataVersion: unknown
  #reportedProblem: string | undefined
  #reportedRefusal: string | undefined
  #reportedPaused: boolean

  constructor(parts: Parts, post: (message: FromOutbox) => void, closed: () => void) {
    this.#parts = parts
    this.#commit = new GroupCommit(parts)
    this.#idleTasks = new IdleTasks(parts)
    this.#post = post
    this.#closed = closed
    this.#lastDataVersion = this.#dataVersion()
    this.#reportedPaused = parts.counters.paused
    this.#timer = setInterval(() => this.#tick(), TICK)
  }

  receive(requests: readonly Request[]): void {
    let patient = true
    for (const request of requests) {
      this.#pending.push(request)
      patient &&= LAZY.has(request.kind)
    }
    const wait = this.#lastCycle + LAZY_DELAY - performance.now()
    if (!patient || wait <= 0) this.#schedule()
    else this.#delayed ??= setTimeout(() => this.#schedule(), wait)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#cycle()
    })
  }

  #cycle(): void {
    clearTimeout(this.#delayed)
    this.#delayed = undefined
    const report = this.#newReport()
    const group = this.#pending.length > MAX_GROUP ? this.#pending.splice(0, MAX_GROUP) : this.#pending
    if (group === this.#pending) this.#pending = []
    this.#traffic += group.length
    const writes: Write[] = []
    const reads: ReadRequest[] = []
    for (const request of group) {
      if (isWrite(request)) writes.push(request)
      else if (request.kind === 'credit') this.#commit.credit += request.slots
      else reads.push(request)
    }
    if (writes.length > 0 || this.#commit.hasWork(Date.now())) this.#commit.run(writes, report)
    for (const request of reads) this.#serve(request, report)
    this.#lastCycle = performance.now()
    this.#send(report)
    if (this.#pending.length > 0 || this.#commit.hasWork(Date.now())) this.#schedule()
  }

  #serve(request: ReadRequest, report: Report): void {
    const { n } = request
    try {
      report.answers.push([n, this.#read(request, report)])
    } catch (error) {
      report.failures.push([n, (error as Error).message])
    }
  }

  #read(request: ReadRequest, report: Report): Answer<RequestKind> {
    const { db, counters, messages, readyQueue, records } = this.#parts
    switch (request.kind) {
      case 'find':
        return messages.find(request.id)
      case 'load':
        return messages.load(request.id)
      case 'list':
        counters.load()
        return readPage(db, counters, request.query)
      case 'stats':
        counters.load()
        return {
          counts: counters.counts(),
          accepted: counters.accepted,
          oldest: readyQueue.longestWait(Date.now()),
          paused: counters.paused,
          commits: this.#commit.stats(),
        }
      case 'readRecords':
        return records.read(request.ranges, Date.now())
      case 'subscribe':
        if (request.on) this.#subscribed.add(request.id)
        else this.#subscribed.delete(request.id)
        return null
      case 'credit':
        return null
      case 'stop':
        this.#commit.credit = -Infinity
        return null
      case 'deliver':
        readyQueue.restoreClaims(request.claimed)
        this.#journalSlots = request.journalSlots
        this.#parts.deliverer.allowed = true
        this.#beginDelivery(report)
        return null
      case 'close':
        this.#close()
        return null
    }
  }

  #tick(): void {
    const report = this.#newReport()
    try {
      this.#followClock()
      const version = this.#dataVersion()
      if (version !== this.#lastDataVersion) {
        this.#lastDataVersion = version
        this.#parts.counters.load()
        this.#parts.pendingWork.invalidate()
        this.#findSettled(report)
      }
      const { deliverer, capacity, counters, log } = this.#parts
      if (deliverer.allowed) this.#beginDelivery(report)
      capacity.tick(counters.unsettled)
      // Each tick tries again whether the disk works.
      if (this.#commit.problem !== undefined || this.#commit.hasWork(Date.now())) this.#commit.run([], report)
      // While space is short, the log stays as long as it is: it is written over, and needs no more blocks.
      if (!capacity.inUse && (capacity.refusal === undefined || log.full)) log.tick(this.#traffic === 0)
      this.#idleTasks.tick(this.#traffic)
      this.#traffic = 0
    } catch (error) {
      if (isStorageError(error)) this.#parts.capacity.freeSpace(this.#parts.deliverer.allowed)
      this.#commit.problem ??= (error as Error).message
    }
    this.#send(report)
    if (this.#commit.hasWork(Date.now())) this.#schedule()
  }

  /** Only the deliverer does it, so that it happens once. */
  #followClock(): void {
    const back = this.#clock.setBack()
    if (back > 0 && this.#parts.deliverer.active) this.#parts.readyQueue.clockSetBack(back)
  }

  /** Takes over the deliveries of dead processes. If the disk doesn't allow it, the next tick tries again; nothing is claimed before. */
  #beginDelivery(report: Report): void {
    const { deliverer, recovery, readyQueue, pendingWork } = this.#parts
    if (deliverer.active) return
    recovery.begin(this.#journalSlots)
    const orphans = recovery.orphans((seq) => readyQueue.isClaimed(seq))
    report.orphaned.push(...orphans)
    // The next tick looks for more.
    if (orphans.length > 0) return
    pendingWork.invalidate()
    deliverer.active = true
  }

  #findSettled(report: Report): void {
    for (const id of this.#subscribed) {
      const row = this.#parts.messages.findSettled(id)
      if (row === null) continue
      this.#subscribed.delete(id)
      report.settledElsewhere.push(row)
    }
  }

  #newReport(): Report {
    const paused = this.#parts.counters.paused
    return {
      kind: 'report',
      answers: [],
      failures: [],
      claimed: [],
      expired: [],
      settledElsewhere: [],
      orphaned: [],
      paused,
    }
  }

  #send(report: Report): void {
    const { problem } = this.#commit
    if (problem !== this.#reportedProblem) {
      this.#reportedProblem = problem
      this.#post({ kind: 'unavailable', problem: problem ?? null })
    }
    const { refusal } = this.#parts.capacity
    if (refusal !== this.#reportedRefusal) {
      this.#reportedRefusal = refusal
      this.#post({ kind: 'refusing', problem: refusal ?? null })
    }
    report.paused = this.#parts.counters.paused
    const { answers, failures, claimed, expired, settledElsewhere, orphaned, paused } = report
    const size =
      answers.length +
      failures.length +
      claimed.length +
      expired.length +
      settledElsewhere.length +
      orphaned.length
    if (size === 0 && paused === this.#reportedPaused) return
    this.#reportedPaused = paused
    this.#post(report)
  }

  #dataVersion(): unknown {
    return this.#parts.db.pragma('data_version', { simple: true })
  }

  #close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#delayed)
    const { db, deliverer, recovery, claimCounter } = this.#parts
    this.#idleTasks.stop()
    claimCounter.close()
    if (deliverer.active) recovery.discardOwn()
    setImmediate(() => {
      db.close()
      this.#closed()
    })
  }
}

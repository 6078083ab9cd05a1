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
import type { Parts } from './parts.js'

/** Requests in one commit at most: bounds the time each of them waits for the others. */
const GROUP = 1_000
/** Milliseconds after a commit for which outcomes wait for company: nobody waits for them, and a commit is dear. */
const LAZY = 3
/** How often other processes' commits and the clock are looked at, in ms. */
const TICK = 100

type Other = Exclude<Request, Write>

/** Takes requests and answers them. All that arrived while the last commit ran goes into the next one. */
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
  /** Notes of deliveries that this process may need at a time. */
  #journalSlots = 0
  /** Requests since the last tick. */
  #traffic = 0
  /** As SQLite counts other connections' commits. */
  #version: unknown
  #announced: string | undefined
  #announcedRefusal: string | undefined
  #reportedPaused: boolean

  constructor(parts: Parts, post: (message: FromOutbox) => void, closed: () => void) {
    this.#parts = parts
    this.#commit = new GroupCommit(parts)
    this.#idleTasks = new IdleTasks(parts)
    this.#post = post
    this.#closed = closed
    this.#version = this.#dataVersion()
    this.#reportedPaused = parts.counters.paused
    this.#timer = setInterval(() => this.#tick(), TICK)
  }

  receive(requests: readonly Request[]): void {
    let patient = true
    for (const request of requests) {
      this.#pending.push(request)
      patient &&= request.kind === 'write' || request.kind === 'credit'
    }
    const wait = this.#lastCycle + LAZY - performance.now()
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
    const group = this.#pending.length > GROUP ? this.#pending.splice(0, GROUP) : this.#pending
    if (group === this.#pending) this.#pending = []
    this.#traffic += group.length
    const writes: Write[] = []
    const others: Other[] = []
    for (const request of group) {
      if (isWrite(request)) writes.push(request)
      else if (request.kind === 'credit') this.#commit.credit += request.slots
      else others.push(request)
    }
    if (writes.length > 0 || this.#commit.hasWork(Date.now())) this.#commit.run(writes, report)
    for (const request of others) this.#serve(request, report)
    this.#lastCycle = performance.now()
    this.#send(report)
    if (this.#pending.length > 0 || this.#commit.hasWork(Date.now())) this.#schedule()
  }

  #serve(request: Other, report: Report): void {
    const { n } = request
    try {
      report.answers.push([n, this.#read(request, report)])
    } catch (error) {
      report.failures.push([n, (error as Error).message])
    }
  }

  #read(request: Other, report: Report): Answer<RequestKind> {
    const { counters, messages, pageReader, readyQueue } = this.#parts
    switch (request.kind) {
      case 'find':
        return messages.find(request.id)
      case 'load':
        return messages.load(request.id)
      case 'list':
        counters.load()
        return pageReader.page(request.query)
      case 'stats':
        counters.load()
        return {
          counts: counters.counts(),
          accepted: counters.accepted,
          oldest: readyQueue.longestWait(Date.now()),
          paused: counters.paused,
          commits: this.#commit.stats(),
        }
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
        this.#parts.lock.mayDeliver = true
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
      if (version !== this.#version) {
        this.#version = version
        this.#parts.counters.load()
        this.#findSettled(report)
      }
      const { lock, capacity, counters } = this.#parts
      if (lock.mayDeliver) this.#beginDelivery(report)
      capacity.tick(counters.unsettled)
      // Once a tick it is tried again whether the disk is well.
      if (this.#commit.problem !== undefined || this.#commit.hasWork(Date.now())) this.#commit.run([], report)
      this.#idleTasks.tick(this.#traffic)
      this.#traffic = 0
    } catch (error) {
      if (isStorageError(error)) this.#parts.capacity.freeSpace(this.#parts.lock.mayDeliver)
      this.#commit.problem ??= (error as Error).message
    }
    this.#send(report)
    if (this.#commit.hasWork(Date.now())) this.#schedule()
  }

  /** Of several processes the deliverer does it, so that it is done once. */
  #followClock(): void {
    const back = this.#clock.setBack()
    if (back > 0 && this.#parts.lock.held) this.#parts.readyQueue.clockSetBack(back)
  }

  /** Where the disk doesn't allow it, it is tried again with the next tick: nothing is handed out before. */
  #beginDelivery(report: Report): void {
    const { lock, recovery, readyQueue } = this.#parts
    if (lock.held) return
    recovery.begin(this.#journalSlots)
    report.orphaned.push(...recovery.orphans((seq) => readyQueue.isClaimed(seq)))
    lock.held = true
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
    if (problem !== this.#announced) {
      this.#announced = problem
      this.#post({ kind: 'unavailable', problem: problem ?? null })
    }
    const { refusal } = this.#parts.capacity
    if (refusal !== this.#announcedRefusal) {
      this.#announcedRefusal = refusal
      this.#post({ kind: 'refusing', problem: refusal ?? null })
    }
    report.paused = this.#parts.counters.paused
    const { answers, failures, claimed, expired, settledElsewhere, orphaned, paused } = report
    const says =
      answers.length +
      failures.length +
      claimed.length +
      expired.length +
      settledElsewhere.length +
      orphaned.length
    if (says === 0 && paused === this.#reportedPaused) return
    this.#reportedPaused = paused
    this.#post(report)
  }

  #dataVersion(): unknown {
    return this.#parts.db.pragma('data_version', { simple: true })
  }

  #close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#delayed)
    const { db, lock, recovery } = this.#parts
    this.#idleTasks.stop()
    if (lock.held) recovery.discardOwn()
    setImmediate(() => {
      db.close()
      this.#closed()
    })
  }
}

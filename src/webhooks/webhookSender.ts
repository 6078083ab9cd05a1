import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import type { RecordChange, SharedRecord, SharedRecords } from '../queue/records.js'
import { Batcher } from '../structures/batcher.js'
import { sharedAbort } from '../structures/sharedAbort.js'
import { EndpointHealth } from './endpointHealth.js'
import type { WebhookEndpoint } from './webhookOptions.js'
import { postWebhook, type WebhookAnswer } from './webhookRequest.js'
import {
  counted,
  deliveredChanges,
  dueRange,
  failedChanges,
  failedRange,
  laneRange,
  placeOf,
  postponed,
  removed,
  retryChanges,
  type StoredEvent,
  toEvent,
} from './webhookStore.js'

/** Events that are read at a time, and kept in memory until they are sent. */
const WINDOW = 50
/** Milliseconds before reading or storing is tried again. */
const RETRY_DELAY = 1_000
/** Milliseconds, at most, after which an event is looked at again that no key of this process opens. */
const UNREADABLE_DELAY = 60_000
/** Events that are listed as given up, and how many more are looked at in one step when the oldest ones are deleted. */
const MAX_FAILED = 1_000
const PRUNE_STEP = 5_000

/** The figures of this process. */
export interface SenderCounts {
  delivered: number
  /** Attempts that failed. */
  failures: number
  givenUp: number
}

export interface SenderParts {
  records: SharedRecords
  logger: Logger
  /** Whether this process, of all on the queue, sends to the endpoint now. */
  leads: () => boolean
}

/** The permit for an attempt, and the event to send. */
interface Task extends StoredEvent {
  due: string
}

interface Result {
  due: string
  lane: string
  changes: RecordChange[]
}

/**
 * Sends the events of one endpoint, in order within each lane, while this process leads. An event stays stored until its result
 * is; a process that ends leaves it to the next one, which sends it under the same id.
 *
 *     stored ── due, its lane is free ──► ready ── a request is free ──► sent ──► delivered, retried later, or given up ──► stored
 */
export class WebhookSender {
  readonly counts: SenderCounts = { delivered: 0, failures: 0, givenUp: 0 }
  readonly #endpoint: WebhookEndpoint
  readonly #parts: SenderParts
  readonly health: EndpointHealth
  readonly #givingUp: ConditionLog
  readonly #abort = sharedAbort()
  readonly #results = new Batcher<Result>(() => void this.#store(this.#results.take()))
  /** Keys of the permits in memory. */
  readonly #claimed = new Set<string>()
  /** Lanes with an event in memory. */
  readonly #lanes = new Set<string>()
  #ready: Task[] = []
  #running = 0
  #reading = false
  #mayHaveMore = false
  #finishing = false
  #timer: NodeJS.Timeout | undefined
  #wakesAt = Infinity
  #onIdle: (() => void) | undefined

  constructor(endpoint: WebhookEndpoint, parts: SenderParts) {
    this.#endpoint = endpoint
    this.#parts = parts
    this.health = new EndpointHealth(endpoint, parts.logger)
    this.#givingUp = new ConditionLog(parts.logger, {
      begins: 'An event for a webhook was given up, and is listed as failed',
      level: 'error',
      ends: 'No more events for the webhook are given up',
    })
  }

  /** Looks for events: some may be due now. */
  wake(): void {
    this.#mayHaveMore = true
    this.#pump()
  }

  get idle(): boolean {
    return this.#claimed.size === 0 && !this.#reading && !(this.#mayHaveMore && this.#mayRun)
  }

  /** Resolves when there is nothing to send at present. */
  untilIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = () => {
        if (this.idle) resolve()
      }
      this.#pump()
    })
  }

  /** Sends nothing more. @returns a promise that resolves when the requests under way have ended and their results are stored */
  finish(): Promise<void> {
    this.#finishing = true
    return this.untilIdle()
  }

  /** Aborts the requests under way. */
  close(): void {
    this.#finishing = true
    clearTimeout(this.#timer)
    this.#abort.abort()
    this.health.close()
    this.#givingUp.close()
  }

  get #free(): number {
    return this.health.limit - this.#running
  }

  get #mayRun(): boolean {
    return !this.#finishing && this.health.limit > 0 && this.#parts.leads()
  }

  #pump(): void {
    if (this.#mayRun) {
      while (this.#free > 0 && this.#ready.length > 0) void this.#send(this.#ready.shift()!)
      if (this.#free > 0 && this.#mayHaveMore && !this.#reading) void this.#read()
    } else {
      for (const task of this.#ready.splice(0)) this.#release(task)
      this.#mayHaveMore = true
    }
    this.#onIdle?.()
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#mayHaveMore = false
    const { id } = this.#endpoint
    const { records } = this.#parts
    const now = Date.now()
    const limit = this.#claimed.size + WINDOW
    const claims: { due: string; lane: string }[] = []
    try {
      const [found = []] = await records.read([dueRange(id, now, limit)])
      if (found.length === limit) this.#mayHaveMore = true
      for (const { key: due } of found) {
        const { lane } = placeOf(due)
        if (this.#claimed.has(due) || this.#lanes.has(lane)) continue
        this.#claimed.add(due)
        this.#lanes.add(lane)
        claims.push({ due, lane })
      }
      const heads =
        claims.length === 0 ? [] : await records.read(claims.map(({ lane }) => laneRange(id, lane)))
      for (const [index, claim] of claims.entries()) this.#take(claim, heads[index]?.[0], now)
    } catch {
      // The queue reports its own failures.
      for (const claim of claims) this.#release(claim)
      this.#wakeIn(RETRY_DELAY)
    }
    this.#reading = false
    this.#pump()
  }

  #take({ due, lane }: { due: string; lane: string }, head: SharedRecord | undefined, now: number): void {
    const { id, maxDelay } = this.#endpoint
    if (head?.document === undefined) {
      // Without its document, an event is sealed with a key that another process has.
      const later = postponed(id, due, now + Math.min(UNREADABLE_DELAY, maxDelay))
      this.#results.add({ due, lane, changes: head === undefined ? [removed(due)] : later })
      return
    }
    const event = toEvent(head)
    if (event.next > now) {
      // An earlier event of the lane waits for its next attempt, and this one for that event.
      this.#results.add({ due, lane, changes: postponed(id, due, event.next) })
      this.#wakeIn(event.next - now)
    } else this.#ready.push({ ...event, due })
  }

  async #send(task: Task): Promise<void> {
    this.#running++
    const { id, body } = task
    const { timeout } = this.#endpoint
    const answer = await postWebhook(this.#endpoint, { id, body, timeout, signal: this.#abort.signal })
    this.#running--
    if (answer.problem !== undefined && this.#abort.signal.aborted) this.#release(task)
    else
      this.#results.add({ due: task.due, lane: task.lane, changes: this.#settle(task, answer, Date.now()) })
    this.#pump()
  }

  #settle(task: Task, answer: WebhookAnswer, now: number): RecordChange[] {
    const { id, name, maxAge, maxDelay } = this.#endpoint
    const { problem, status, retryAfter = 0 } = answer
    if (problem === undefined) {
      this.counts.delivered++
      return [...deliveredChanges(id, task, task.due), ...this.health.succeeded()]
    }
    this.counts.failures++
    const changes = this.health.failed(answer, now)
    const tries = task.tries + 1
    const first = task.first === 0 ? now : task.first
    const next = now + Math.max(Math.min(retryAfter, maxDelay), this.#backoff(tries))
    if (status !== 410 && next <= first + maxAge) {
      this.#wakeIn(next - now)
      return [...changes, ...retryChanges(id, { ...task, tries, first, next }, task.due)]
    }
    const { lane, order, id: event, body } = task
    this.counts.givenUp++
    if (status !== 410) this.#givingUp.happened({ webhook: name, event, tries, problem })
    const failed = { lane, order, id: event, body, tries, problem, failedAt: now }
    return [...changes, ...failedChanges(id, failed, task.due)]
  }

  /** Exponential backoff, of which the last half is random. */
  #backoff(tries: number): number {
    const { baseDelay, maxDelay } = this.#endpoint
    const delay = Math.min(maxDelay, baseDelay * 2 ** (tries - 1))
    return Math.ceil(delay / 2 + (Math.random() * delay) / 2)
  }

  /** Stores results, however long that takes: until then, their events count as under way. */
  async #store(results: readonly Result[]): Promise<void> {
    try {
      await this.#parts.records.write(results.flatMap(({ changes }) => changes))
    } catch {
      if (!this.#abort.signal.aborted) {
        setTimeout(() => void this.#store(results), RETRY_DELAY).unref()
        return
      }
    }
    for (const result of results) this.#release(result)
    this.#mayHaveMore = true
    this.#pump()
  }

  #release({ due, lane }: { due: string; lane: string }): void {
    this.#claimed.delete(due)
    this.#lanes.delete(lane)
  }

  /** Deletes the oldest of the events that were given up if there are too many, and corrects their number. */
  async prune(failed: number): Promise<void> {
    const { id } = this.#endpoint
    const { records } = this.#parts
    const limit = MAX_FAILED + PRUNE_STEP
    const [found = []] = await records.read([failedRange(id, limit)])
    const old = found.slice(MAX_FAILED)
    const left = found.length === limit ? failed - old.length : found.length - old.length
    if (old.length > 0 || left !== failed)
      await records.write([
        ...old.map(({ key }) => removed(key)),
        counted(id, { failed: left - failed, dropped: old.length }),
      ])
  }

  #wakeIn(delay: number): void {
    const at = performance.now() + delay
    if (this.#abort.signal.aborted || at >= this.#wakesAt) return
    clearTimeout(this.#timer)
    this.#wakesAt = at
    const timer = setTimeout(
      () => {
        this.#wakesAt = Infinity
        this.wake()
      },
      Math.min(delay + 1, 60_000),
    )
    this.#timer = timer.unref()
  }
}

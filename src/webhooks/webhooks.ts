import { waitAtMost } from '../clock.js'
import { ThreadpostError } from '../errors.js'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import type { Redaction } from '../logging/redaction.js'
import type { ChangeListener, QueueDriver, RecordsOf } from '../queue/driver.js'
import type { SharedRecords } from '../queue/records.js'
import type { WebhookReading } from '../telemetry/alerts.js'
import type { Events } from '../telemetry/events.js'
import { EventRecorder, type RecordingEndpoint } from './eventRecorder.js'
import { WebhookLeases } from './webhookLeases.js'
import type { WebhookEndpoint } from './webhookOptions.js'
import { WebhookSender } from './webhookSender.js'
import { statusOf, type WebhookMeasures, type WebhookStatus } from './webhookStatus.js'
import {
  anyEventRange,
  counted,
  type EndpointState,
  failedRange,
  leaseRange,
  redeliveryChanges,
  stateRange,
  toFailed,
  toState,
  troubled,
} from './webhookStore.js'

export interface WebhooksParts {
  /** Maximum number of events that wait for one endpoint. */
  limit: number
  redaction: Redaction
  logger: Logger
  /** Names this process. */
  token: string
}

interface Known extends RecordingEndpoint {
  sender: WebhookSender
  /** As of the last look. */
  state: EndpointState
  /** Whether this process is the first of those that would send. */
  first: boolean
}

/** Milliseconds between two looks at what other processes stored. */
const LOOK_AFTER = 1_000
/** Milliseconds between two deletions of old failed events. */
const PRUNE_AFTER = 60_000
/** Failures that are shown, and failures that are read at a time to send them again. */
const SHOWN_FAILURES = 20
const REDELIVERY_STEP = 200
/** Milliseconds for requests when the mailer closes: with a queue that keeps the events, and with one that doesn't. */
const GRACE = { durable: 2_000, memory: 5_000 }

/**
 * Sends the mailer's events to endpoints. Events of messages are stored with the change of the message, so that none is lost with
 * the process. Of all processes on the queue that have the endpoint, the one that was first sends to it; when it ends, the next
 * one does. Reached as `mailer.webhooks`.
 */
export class Webhooks {
  readonly #limit: number
  readonly #leases: WebhookLeases
  readonly #known: Known[]
  readonly #recorder: EventRecorder
  #records: SharedRecords | undefined
  #durable = false
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #closed = false
  #prunedAt = performance.now()

  /** @internal */
  constructor(endpoints: readonly WebhookEndpoint[], { limit, redaction, logger, token }: WebhooksParts) {
    this.#limit = limit
    this.#leases = new WebhookLeases(
      endpoints.map(({ id }) => id),
      token,
    )
    this.#known = endpoints.map((endpoint) => this.#knownOf(endpoint, logger))
    this.#recorder = new EventRecorder({
      endpoints: this.#known,
      limit,
      redaction,
      logger,
      write: (changes) => this.#open.write(changes),
      stored: () => this.#wakeAll(),
    })
  }

  /**
   * The records that announce a change of a message. The queue stores them with it.
   * @internal
   */
  readonly recordsOf: RecordsOf = (message) => this.#recorder.recordsOf(message)

  /**
   * Returns a listener that calls another one and then looks for the records that were stored with the change.
   * @internal
   */
  after(listener: ChangeListener): ChangeListener {
    return (message) => {
      listener(message)
      this.#recorder.changed()
    }
  }

  /**
   * Starts sending.
   * @internal
   */
  connect(queue: Pick<QueueDriver, 'records' | 'durable'>, events: Events): void {
    this.#records = queue.records
    this.#durable = queue.durable
    this.#recorder.listenTo(events)
    this.#timer = setInterval(() => void this.#look(), LOOK_AFTER).unref()
    void this.#look()
  }

  /**
   * Returns the endpoints, in the order of the option, with their last failures.
   * @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async list(): Promise<WebhookStatus[]> {
    const ranges = this.#known.flatMap(({ endpoint: { id } }) => [
      stateRange(id),
      failedRange(id, SHOWN_FAILURES),
    ])
    const found = await this.#open.read(ranges)
    return this.#known.map(({ endpoint }, index) =>
      statusOf(endpoint, toState(found[2 * index]?.[0]), found[2 * index + 1] ?? []),
    )
  }

  /**
   * Sends the failed events of an endpoint again, each under its id, and enables the endpoint if it is disabled.
   * @param id of the endpoint
   * @param options.event the `webhook-id` of the only event to send @default all failed ones
   * @returns how many events are sent again
   * @throws ThreadpostError `NOT_FOUND`, `QUEUE_UNAVAILABLE`, `CLOSED`
   */
  async redeliver(id: string, { event }: { event?: string | undefined } = {}): Promise<number> {
    if (!this.#known.some(({ endpoint }) => endpoint.id === id))
      throw new ThreadpostError('NOT_FOUND', 'There is no such webhook.')
    const records = this.#open
    const range = failedRange(id, REDELIVERY_STEP)
    let count = 0
    for (let { from } = range, more = true; more;) {
      const [found = []] = await records.read([{ ...range, from }])
      const chosen = found.filter((record) => event === undefined || toFailed(record).id === event)
      const now = Date.now()
      if (chosen.length > 0)
        await records.write(chosen.flatMap((record) => redeliveryChanges(id, record, now)))
      count += chosen.length
      more = found.length === REDELIVERY_STEP
      from = `${found.at(-1)?.key}!`
    }
    if (event !== undefined && count === 0)
      throw new ThreadpostError('NOT_FOUND', 'There is no such failed event.')
    const [[state] = []] = await records.read([stateRange(id)])
    if (toState(state).trouble?.state === 'disabled') await records.write([troubled(id, undefined)])
    void this.#look()
    return count
  }

  /**
   * The figures of this process.
   * @internal
   */
  measures(): WebhookMeasures[] {
    return this.#known.map(({ endpoint, sender, dropped, waiting, disabled }) => ({
      webhook: endpoint.id,
      ...sender.counts,
      dropped,
      waiting: Math.max(0, waiting),
      disabled,
    }))
  }

  /**
   * The readings of the alert rule.
   * @internal
   */
  readings(): WebhookReading[] {
    return this.#known.flatMap(({ endpoint: { name: webhook }, sender, waiting }): WebhookReading[] => {
      const { trouble } = sender.health
      if (trouble !== undefined) return [{ webhook, ...trouble, since: Date.parse(trouble.since) }]
      if (waiting < this.#limit) return []
      return [{ webhook, state: 'full', since: Date.now(), problem: 'limits.webhooks is reached.' }]
    })
  }

  /**
   * Sends nothing more, and lets requests under way end.
   * @param deadline ms for them at most
   * @internal
   */
  async close(deadline: number): Promise<void> {
    if (this.#closed || this.#records === undefined) return
    clearInterval(this.#timer)
    await this.#looking
    await this.#recorder.flush()
    // Events in memory end with the process, so they are sent if their receivers answer.
    const ended = this.#known.map(({ sender }) => (this.#durable ? sender.finish() : sender.untilIdle()))
    const grace = Math.min(deadline, GRACE[this.#durable ? 'durable' : 'memory'])
    await waitAtMost(
      Promise.all(ended).then(() => undefined),
      grace,
    )
    for (const { sender, full } of this.#known) {
      sender.close()
      full.close()
    }
    await this.#leases.release(this.#records).catch(() => undefined)
    this.#closed = true
  }

  #knownOf(endpoint: WebhookEndpoint, logger: Logger): Known {
    const records: SharedRecords = {
      read: (ranges) => this.#open.read(ranges),
      write: (changes) => this.#open.write(changes),
    }
    const leads = (): boolean => known.first && (!this.#durable || this.#leases.good)
    const known: Known = {
      endpoint,
      sender: new WebhookSender(endpoint, { records, logger, leads }),
      state: toState(undefined),
      first: false,
      waiting: 0,
      dropped: 0,
      full: new ConditionLog(logger, {
        begins: 'Events for a webhook are dropped: limits.webhooks is reached',
        level: 'error',
        ends: 'Events for the webhook are stored again',
      }),
      get disabled() {
        return this.sender.health.trouble?.state === 'disabled'
      },
    }
    return known
  }

  /** Looks at what other processes stored: events, leases, and the conditions of the endpoints. Never rejects. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce()
      .catch(() => {
        // The queue reports its own failures.
      })
      .finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #lookOnce(): Promise<void> {
    const records = this.#open
    if (this.#durable) await this.#leases.renew(records)
    const revisions = this.#known.map(({ sender }) => sender.health.revision)
    const found = await records.read(
      this.#known.flatMap(({ endpoint: { id } }) => [stateRange(id), leaseRange(id), anyEventRange(id)]),
    )
    for (const [index, known] of this.#known.entries()) {
      const { endpoint, sender } = known
      const [states = [], leases = [], events = []] = found.slice(3 * index)
      known.first = !this.#durable || this.#leases.isFirst(endpoint.id, leases)
      known.state = toState(states[0])
      known.waiting = known.state.stored
      sender.health.adopt(known.state.trouble, revisions[index] ?? 0)
      if (known.waiting < this.#limit) known.full.end({ webhook: endpoint.name })
      if (events.length > 0) sender.wake()
      // The events and their number were read together: a number without events is left from a process that died.
      else if (known.first && known.waiting !== 0 && sender.idle)
        await records.write([counted(endpoint.id, { stored: -known.waiting })])
    }
    await this.#prune()
    await this.#recorder.flush()
  }

  async #prune(): Promise<void> {
    const now = performance.now()
    if (now - this.#prunedAt < PRUNE_AFTER) return
    this.#prunedAt = now
    for (const { first, sender, state } of this.#known)
      if (first && state.failed !== 0) await sender.prune(state.failed)
  }

  #wakeAll(): void {
    for (const { sender } of this.#known) sender.wake()
  }

  get #open(): SharedRecords {
    if (this.#records === undefined || this.#closed)
      throw new ThreadpostError('CLOSED', 'The mailer is closed')
    return this.#records
  }
}

import { randomUUID } from 'node:crypto'
import type { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import type { Redaction } from '../logging/redaction.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { RecordChange } from '../queue/records.js'
import { Batcher } from '../structures/batcher.js'
import { type Events, messageEvent } from '../telemetry/events.js'
import { WEBHOOK_TYPES, type WebhookEndpoint, type WebhookEvent } from './webhookOptions.js'
import { ALERTS, counted, newEvent, orderOf } from './webhookStore.js'

/** An endpoint, as far as recording needs it. */
export interface RecordingEndpoint {
  endpoint: WebhookEndpoint
  /** Whether the endpoint gets no more events. */
  readonly disabled: boolean
  /** Events that wait for the endpoint: as of the last look, with what this process has added since. */
  waiting: number
  /** Events that this process did not store. */
  dropped: number
  full: ConditionLog
}

export interface EventRecorderParts {
  endpoints: readonly RecordingEndpoint[]
  /** Maximum number of events that wait for one endpoint. */
  limit: number
  redaction: Redaction
  logger: Logger
  write: (changes: readonly RecordChange[]) => Promise<void>
  /** Called when events were stored, once in a turn. */
  stored: () => void
}

/** Events that wait in memory until the queue stores them, at most; those of messages are stored with the message. */
const MAX_UNSTORED = 1_000

/** Turns what happens into records, one event for each endpoint that wants it. */
export class EventRecorder {
  readonly #parts: EventRecorderParts
  readonly #added = new Batcher<RecordChange[]>(() => void this.flush())
  #unstored: RecordChange[][] = []
  #storing: Promise<void> | undefined
  #recorded = false

  constructor(parts: EventRecorderParts) {
    this.#parts = parts
  }

  /** Records the events that no change of a message comes with. */
  listenTo(events: Events): void {
    events.on('suppressed', (event) => this.#add('suppressed', event.id, event.attempt, event))
    events.on('alert', (alert) => this.#add('alert', ALERTS, 0, alert))
    events.on('alert-cleared', (alert) => this.#add('alert-cleared', ALERTS, 0, alert))
  }

  /** The records that announce a change of a message. The queue stores them with it. Never throws. */
  recordsOf(message: QueuedMessage): RecordChange[] {
    const changes: RecordChange[] = []
    try {
      this.#recordMessage(changes, message)
    } catch (error) {
      this.#parts.logger.error({ err: error, id: message.job.id }, 'An event for webhooks could not be built')
    }
    if (changes.length > 0) this.#recorded = true
    return changes
  }

  /** The queue has stored a change of a message, and its records. */
  changed(): void {
    if (!this.#recorded) return
    this.#recorded = false
    setImmediate(() => this.#parts.stored())
  }

  /** Stores the events of {@link listenTo}; those that the queue can't take now are stored later. Never rejects. */
  flush(): Promise<void> {
    this.#storing ??= this.#store().finally(() => (this.#storing = undefined))
    return this.#storing
  }

  #recordMessage(changes: RecordChange[], message: QueuedMessage): void {
    const { job, state, reported, elsewhere } = message
    if (elsewhere === true) return
    const attempt = state.attempts.length
    const { redaction } = this.#parts
    for (const { recipient, delivery } of reported?.changes ?? [])
      this.#record(changes, delivery.state, job.id, attempt, () =>
        redaction.event({ ...messageEvent(message), recipient, delivery }),
      )
    if (reported?.settled === false || state.status === 'queued' || state.status === 'sending') return
    this.#record(changes, state.status, job.id, attempt, () => redaction.event(messageEvent(message)))
  }

  #record(
    changes: RecordChange[],
    event: WebhookEvent,
    lane: string,
    attempt: number,
    build: () => object,
  ): void {
    let written: { id: string; body: string; order: string } | undefined
    const now = Date.now()
    for (const recording of this.#parts.endpoints) {
      const { endpoint, disabled, full } = recording
      if (!endpoint.events.has(event)) continue
      if (disabled || recording.waiting >= this.#parts.limit) {
        recording.dropped++
        changes.push(counted(endpoint.id, { dropped: 1 }))
        if (!disabled) full.begin({ webhook: endpoint.name })
        continue
      }
      written ??= {
        id: `msg_${randomUUID()}`,
        body: JSON.stringify({
          type: WEBHOOK_TYPES[event],
          timestamp: new Date(now).toISOString(),
          data: build(),
        }),
        order: orderOf(attempt, now),
      }
      recording.waiting++
      changes.push(...newEvent(endpoint.id, { ...written, lane }, now))
    }
  }

  #add(event: WebhookEvent, lane: string, attempt: number, data: object): void {
    const changes: RecordChange[] = []
    this.#record(changes, event, lane, attempt, () => data)
    if (changes.length > 0) this.#added.add(changes)
  }

  async #store(): Promise<void> {
    let batch: RecordChange[][] = []
    try {
      // Others are added while some are stored.
      while ((batch = [...this.#unstored, ...this.#added.take()]).length > 0) {
        this.#unstored = []
        await this.#parts.write(batch.flat())
        this.#parts.stored()
      }
    } catch {
      this.#unstored = batch.slice(-MAX_UNSTORED)
      const lost = batch.length - this.#unstored.length
      if (lost > 0)
        this.#parts.logger.error({ events: lost }, "Events for webhooks are lost: the queue can't store them")
    }
  }
}

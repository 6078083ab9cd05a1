import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import type { Delivery, DeliveryState } from '../feedback/deliveryStates.js'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import { hideSecrets } from '../logging/secrets.js'
import {
  type HeldReason,
  type RecipientState,
  shownRecipients,
  type SuppressedRecipient,
  type Status,
} from '../message/messageState.js'
import type { Outcome, SmtpReply } from '../protocol/outcome.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { TransportError } from '../transports/breaker.js'
import { Validator } from '../validation.js'
import type { Alert, ClearedAlert } from './alerts.js'

/** The fields of every event about a message. Its data and bodies are never included. */
export interface MessageEvent {
  id: string
  messageId: string
  status: Status
  template?: string
  transport: string
  recipients: RecipientState[]
  tags: string[]
  /** Number of attempts so far. */
  attempt: number
  /** The outcome of the last attempt. */
  outcome?: {
    result: Outcome['result']
    code: Outcome['code']
    message: string
    phase: Outcome['phase']
    reply?: SmtpReply
  }
  /** Time of the next attempt, ISO 8601; present while `deferred`, or `held` by the breaker or a budget. */
  nextAttemptAt?: string
  /** Present while `held`. */
  heldReason?: HeldReason
  /** The context of the request that sent the message. Listeners run in it. */
  context?: JsonObject
}

export interface BreakerOpenEvent extends TransportError {
  transport: string
}

export interface BreakerClosedEvent {
  transport: string
  /** Time the breaker was open, in ms. */
  openFor: number
}

export interface SlowedEvent {
  transport: string
  /** The new rate in messages per second. It increases again as long as the server doesn't object. */
  rate: number
}

export interface ThreadEvent {
  /** Id of the worker thread, as in an attempt's `thread`. */
  thread: number
}

/** A recipient of a message is suppressed: nothing is sent to it. */
export interface SuppressedEvent extends MessageEvent {
  /** The recipient's address. */
  recipient: string
  suppression: Omit<SuppressedRecipient, 'address'>
}

/** Something became known of a recipient after the next server accepted the message. */
export interface DeliveryEvent extends MessageEvent {
  /** The recipient's address. */
  recipient: string
  delivery: Delivery
}

/** The statuses that only an attempt leads to. */
type AttemptedStatus = 'deferred' | 'partial' | 'failed'

/** An event that follows an attempt; its outcome is always present. */
export type AttemptedEvent = MessageEvent & Required<Pick<MessageEvent, 'outcome'>>

export type MailerEvents = Record<Exclude<Status, AttemptedStatus>, MessageEvent> &
  Record<AttemptedStatus, AttemptedEvent> &
  Record<DeliveryState, DeliveryEvent> & {
    /** Nothing is sent to a recipient, because it is on the list of suppressed addresses. Emitted once for each recipient. */
    suppressed: SuppressedEvent
    'thread-started': ThreadEvent
    'thread-died': ThreadEvent & { reason: string }
    /** A transport can't be reached, refuses the credentials or offers no secure connection: its messages are held. */
    'breaker-open': BreakerOpenEvent
    'breaker-closed': BreakerClosedEvent
    /** A server asked for fewer messages: with a 4.7.x code, with the text of a 4xx reply ("too many connections", "rate"), or with HTTP 429. */
    'transport-slowed': SlowedEvent
    /** A rule of `alerts` found a problem. Emitted once, until the alert is cleared. */
    alert: Alert
    'alert-cleared': ClearedAlert
  }

export type Listener<E> = (event: E) => unknown

/** The names of all events. */
const NAMES = Object.keys({
  queued: true,
  sending: true,
  sent: true,
  partial: true,
  failed: true,
  expired: true,
  cancelled: true,
  deferred: true,
  held: true,
  delivered: true,
  delayed: true,
  bounced: true,
  complained: true,
  unsubscribed: true,
  suppressed: true,
  'thread-started': true,
  'thread-died': true,
  'breaker-open': true,
  'breaker-closed': true,
  'transport-slowed': true,
  alert: true,
  'alert-cleared': true,
} satisfies Record<keyof MailerEvents, true>)

const check: Validator = new Validator('INVALID_OPTIONS')

/** A typed event emitter that isolates listeners: an error that one throws or rejects with is logged. */
export class Events {
  readonly #emitter = new EventEmitter({ captureRejections: false }).setMaxListeners(0)
  readonly #logger: Logger
  /** By event name. */
  readonly #failures = new Map<string, ConditionLog>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  on<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): void {
    this.#emitter.on(...checked(name, listener))
  }

  once<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): void {
    this.#emitter.once(...checked(name, listener))
  }

  off<K extends keyof MailerEvents>(name: K, listener: Listener<MailerEvents[K]>): void {
    this.#emitter.off(...checked(name, listener))
  }

  /** Builds the event only if it has listeners. */
  emit<K extends keyof MailerEvents>(name: K, build: () => MailerEvents[K]): void {
    if (this.#emitter.listenerCount(name) === 0) return
    const event = build()
    for (const listener of this.#emitter.rawListeners(name) as Listener<MailerEvents[K]>[]) {
      try {
        const result = listener.call(this.#emitter, event)
        if (result instanceof Promise) result.catch((error: unknown) => this.#reportFailure(name, error))
      } catch (error) {
        this.#reportFailure(name, error)
      }
    }
  }

  #reportFailure(name: string, error: unknown): void {
    let failures = this.#failures.get(name)
    if (failures === undefined) {
      failures = new ConditionLog(this.#logger, {
        begins: 'An event listener failed',
        level: 'error',
        ends: 'The event listener works again',
      })
      this.#failures.set(name, failures)
    }
    if (!failures.happened({ err: error, event: name })) return
    process.emitWarning(
      `A listener of threadpost's "${name}" event failed: ${hideSecrets(inspect(error))}`,
      'ThreadpostWarning',
    )
  }
}

/** @throws ThreadpostError `INVALID_OPTIONS`: a misspelled event would never be emitted */
function checked<K extends keyof MailerEvents>(
  name: K,
  listener: Listener<MailerEvents[K]>,
): [name: K, listener: Listener<MailerEvents[K]>] {
  check.oneOf(name, 'event', NAMES)
  check.callback(listener, 'listener')
  return [name, listener]
}

export function messageEvent({ job, state }: QueuedMessage): MessageEvent {
  const event: MessageEvent = {
    id: job.id,
    messageId: job.messageId,
    status: state.status,
    transport: job.transport,
    recipients: shownRecipients(state),
    tags: [...job.tags],
    attempt: state.attempts.length,
  }
  if (job.content.kind === 'template') event.template = job.content.name
  const last = state.attempts.at(-1)?.outcome
  if (last !== undefined && state.status !== 'queued' && state.status !== 'sending') {
    const { result, code, message, phase, reply } = last
    event.outcome = { result, code, message, phase, ...(reply === undefined ? {} : { reply: { ...reply } }) }
  }
  if (state.nextAttemptAt !== undefined) event.nextAttemptAt = new Date(state.nextAttemptAt).toISOString()
  if (state.heldReason !== undefined) event.heldReason = state.heldReason
  if (job.context !== undefined) event.context = structuredClone(job.context)
  return event
}

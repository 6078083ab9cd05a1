import type { SharedRecord } from '../queue/records.js'
import type { WebhookEndpoint, WebhookEvent, WebhookType } from './webhookOptions.js'
import { ALERTS, type EndpointState, summaryOf, toFailed } from './webhookStore.js'

/** An event that was given up, or that a receiver answered with 410. */
export interface WebhookFailure {
  /** The `webhook-id` of the event. */
  id: string
  type: WebhookType
  /** The id of the message; absent for an alert. */
  message?: string
  /** Time of the event, ISO 8601. */
  at: string
  /** Time of the last attempt, ISO 8601. */
  failedAt: string
  /** Number of attempts. */
  attempts: number
  problem: string
}

/** An endpoint, as `webhooks.list()` returns it. Its counts are of all processes on the queue. */
export interface WebhookStatus {
  id: string
  /** The URL without its query, and without long parts of its path, which may be secret. */
  url: string
  events: WebhookEvent[]
  /** `failing`: the last attempt failed; `disabled`: the receiver answered 410, and gets nothing more. */
  state: 'working' | 'failing' | 'disabled'
  /** Since when it is failing or disabled, ISO 8601. */
  since?: string
  problem?: string
  /** Events that wait to be sent. */
  waiting: number
  delivered: number
  /** Events that were given up and can be sent again; they are kept for 7 days, the last 1,000 at least. */
  failed: number
  /** Events that were not stored: `limits.webhooks` was reached, or the endpoint is disabled. And failed ones that were not kept. */
  dropped: number
  /** The last 20 events that were given up, the latest first. */
  failures: WebhookFailure[]
}

/** Figures of an endpoint for `stats()`: of this process since the mailer was created. */
export interface WebhookMeasures {
  /** The id of the endpoint. */
  webhook: string
  delivered: number
  /** Attempts that failed. */
  failures: number
  /** Events that were given up. */
  givenUp: number
  /** Events that were not stored. */
  dropped: number
  /** Events of all processes that wait to be sent. */
  waiting: number
  disabled: boolean
}

export function statusOf(
  { id, name, events }: WebhookEndpoint,
  state: EndpointState,
  failures: readonly SharedRecord[],
): WebhookStatus {
  const { trouble, stored, failed, delivered, dropped } = state
  return {
    id,
    url: name,
    events: [...events],
    ...(trouble ?? { state: 'working' }),
    waiting: Math.max(0, stored),
    delivered,
    failed: Math.max(failed, failures.length),
    dropped,
    failures: failures.map(toFailure),
  }
}

function toFailure(record: SharedRecord): WebhookFailure {
  const { id, body, lane, tries, problem, failedAt } = toFailed(record)
  const { type, timestamp } = summaryOf(body)
  return {
    id,
    type,
    ...(lane === ALERTS ? {} : { message: lane }),
    at: timestamp,
    failedAt: new Date(failedAt).toISOString(),
    attempts: tries,
    problem,
  }
}

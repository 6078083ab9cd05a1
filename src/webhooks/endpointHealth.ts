import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import type { RecordChange } from '../queue/records.js'
import type { WebhookEndpoint } from './webhookOptions.js'
import type { WebhookAnswer } from './webhookRequest.js'
import { type Trouble, troubled } from './webhookStore.js'

/** Failures in a row after which one request at a time finds out whether the receiver works again. */
const MANY_FAILURES = 5

/**
 * The condition of an endpoint, as its answers show it:
 *
 *     working ── failed() ──► failing ── succeeded() ──► working
 *        └────────┴── failed() with 410 (Standard Webhooks) ──► disabled ── adopt(): events are redelivered ──► working
 */
export class EndpointHealth {
  readonly #endpoint: WebhookEndpoint
  readonly #logger: Logger
  readonly #failing: ConditionLog
  #trouble: Trouble | undefined
  #revision = 0
  #failuresInARow = 0
  /** On `performance.now()`'s clock: the receiver asked for no requests until then. */
  #pausedUntil = 0

  constructor(endpoint: WebhookEndpoint, logger: Logger) {
    this.#endpoint = endpoint
    this.#logger = logger
    this.#failing = new ConditionLog(logger, {
      begins: 'A webhook does not accept events; they are sent again later',
      level: 'warn',
      ends: 'The webhook accepts events again',
    })
  }

  /** Undefined while the endpoint works. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** Changes with each change of the condition that this process finds. */
  get revision(): number {
    return this.#revision
  }

  /** Takes over the stored condition. @param revision as of before it was read: what this process found since then is newer */
  adopt(trouble: Trouble | undefined, revision: number): void {
    if (revision === this.#revision) this.#trouble = trouble
  }

  /** Number of requests that may be under way. */
  get limit(): number {
    if (this.#trouble?.state === 'disabled' || performance.now() < this.#pausedUntil) return 0
    return this.#failuresInARow >= MANY_FAILURES ? 1 : this.#endpoint.concurrency
  }

  /** @returns the changes to store */
  succeeded(): RecordChange[] {
    this.#failuresInARow = 0
    this.#failing.end({ webhook: this.#endpoint.name })
    return this.#trouble?.state === 'failing' ? [this.#become(undefined)] : []
  }

  /** @returns the changes to store */
  failed({ problem = '', status, retryAfter }: WebhookAnswer, now: number): RecordChange[] {
    const { name, maxDelay } = this.#endpoint
    this.#failuresInARow++
    if (retryAfter !== undefined) this.#pausedUntil = performance.now() + Math.min(retryAfter, maxDelay)
    const state = status === 410 ? 'disabled' : 'failing'
    if (state === 'failing') this.#failing.begin({ webhook: name, problem })
    if (this.#trouble?.state === state || this.#trouble?.state === 'disabled') return []
    if (state === 'disabled')
      this.#logger.error({ webhook: name, problem }, 'A webhook is gone (410), and gets no more events')
    return [this.#become({ state, since: new Date(now).toISOString(), problem })]
  }

  close(): void {
    this.#failing.close()
  }

  #become(trouble: Trouble | undefined): RecordChange {
    this.#trouble = trouble
    this.#revision++
    return troubled(this.#endpoint.id, trouble)
  }
}

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import type { WebhookTarget } from '../webhooks/webhookOptions.js'
import { postWebhook } from '../webhooks/webhookRequest.js'

export interface WebhookOptions {
  /** An `https` URL, or an `http` URL on this machine. */
  url: string
  /** The key shared with the receiver: `whsec_` followed by 24 to 64 bytes in base64. Several, at most five, while it is being replaced. */
  secret: string | string[]
}

/** Time limit of one request, in ms. */
const REQUEST_TIMEOUT = 10_000
/** Pauses between the tries, in ms. */
const PAUSES = [1_000, 5_000, 30_000, 120_000]
/** Number of waiting events beyond which the oldest is dropped. */
const MAX_WAITING = 100

/**
 * Posts events to a URL, one after the other, signed according to https://www.standardwebhooks.com. A failed request is
 * repeated a few times under the same id.
 */
export class AlertWebhook {
  readonly #target: WebhookTarget
  readonly #tooSlow: ConditionLog
  readonly #refused: ConditionLog
  readonly #waiting: { id: string; body: string }[] = []
  readonly #abort = new AbortController()
  #sending: Promise<void> | undefined

  constructor(target: WebhookTarget, logger: Logger) {
    this.#target = target
    this.#tooSlow = new ConditionLog(logger, {
      begins: 'The webhook is too slow; the oldest alert was dropped',
      level: 'warn',
      ends: 'The webhook is fast enough again',
    })
    this.#refused = new ConditionLog(logger, {
      begins: 'The webhook did not accept an alert, which was dropped',
      level: 'error',
      ends: 'The webhook accepts alerts again',
    })
  }

  send(type: string, data: object): void {
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data })
    this.#waiting.push({ id: `msg_${randomUUID()}`, body })
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift()
      this.#tooSlow.happened({})
    }
    this.#sending ??= this.#deliverAll()
  }

  /** Drops the waiting events and aborts the current request. */
  async close(): Promise<void> {
    this.#waiting.length = 0
    this.#abort.abort()
    await this.#sending
  }

  async #deliverAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await this.#deliver(next.id, next.body)
    this.#sending = undefined
  }

  async #deliver(id: string, body: string): Promise<void> {
    const { signal } = this.#abort
    for (const wait of [...PAUSES, undefined]) {
      const { problem } = await postWebhook(this.#target, { id, body, timeout: REQUEST_TIMEOUT, signal })
      if (problem === undefined) this.#refused.end()
      if (problem === undefined || signal.aborted) return
      if (wait === undefined) this.#refused.begin({ problem })
      else await pause(wait, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }
}

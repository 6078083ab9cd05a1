import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import { isLoopback } from '../loopback.js'
import type { Validator } from '../validation.js'

export interface WebhookOptions {
  /** An `https` URL, or an `http` URL on this machine. */
  url: string
  /** The key shared with the receiver: `whsec_` followed by 24 to 64 bytes in base64. */
  secret: string
}

export interface WebhookTarget {
  url: string
  key: Buffer
}

/** Time limit of one request, in ms. */
const REQUEST_TIMEOUT = 10_000
/** Pauses between the tries, in ms. */
const PAUSES = [1_000, 5_000, 30_000, 120_000]
/** Number of waiting events beyond which the oldest is dropped. */
const MAX_WAITING = 100

export function resolveWebhook(check: Validator, value: unknown, path: string): WebhookTarget {
  const input = check.object(value, path, ['url', 'secret'])
  const url = check.string(input['url'], `${path}.url`)
  if (!URL.canParse(url)) check.fail(`${path}.url`, "must be a URL such as 'https://alerts.example/hook'")
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname)))
    check.fail(`${path}.url`, 'must be https, or http on this machine')
  const secret = check.string(input['secret'], `${path}.secret`)
  const text = secret.replace(/^whsec_/, '')
  const key = Buffer.from(text, 'base64')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < 24 || key.length > 64)
    check.fail(`${path}.secret`, "must be 'whsec_' followed by 24 to 64 bytes in base64")
  return { url, key }
}

/**
 * Posts events to a URL, one after the other, signed according to https://www.standardwebhooks.com. A failed request is
 * repeated a few times under the same id.
 */
export class Webhook {
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
      ends: 'The webhook keeps up again',
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
      const problem = await this.#post(id, body)
      if (problem === undefined) this.#refused.end()
      if (problem === undefined || signal.aborted) return
      if (wait === undefined) this.#refused.begin({ problem })
      else await pause(wait, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** @returns the problem if there is one, without the URL, which may contain a secret */
  async #post(id: string, body: string): Promise<string | undefined> {
    const timestamp = String(Math.floor(Date.now() / 1_000))
    const signature = createHmac('sha256', this.#target.key)
      .update(`${id}.${timestamp}.${body}`)
      .digest('base64')
    const controller = new AbortController()
    const abort = (): void => controller.abort()
    this.#abort.signal.addEventListener('abort', abort)
    const timer = setTimeout(abort, REQUEST_TIMEOUT).unref()
    try {
      const response = await fetch(this.#target.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
        redirect: 'manual',
        signal: controller.signal,
      })
      await response.body?.cancel()
      return response.ok ? undefined : `the receiver answered ${response.status}`
    } catch {
      return 'the receiver could not be reached or did not answer in time'
    } finally {
      clearTimeout(timer)
      this.#abort.signal.removeEventListener('abort', abort)
    }
  }
}

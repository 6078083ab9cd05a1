import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import { isLoopback } from '../transports/providers.js'
import type { Validator } from '../validation.js'

export interface WebhookOptions {
  /** `https`, or `http` on this machine. */
  url: string
  /** `whsec_` and base64 of 24 to 64 bytes, shared with the receiver. */
  secret: string
}

export interface WebhookTarget {
  url: string
  key: Buffer
}

/** Milliseconds: one try, and the pauses between them. */
const LIMIT = 10_000
const PAUSES = [1_000, 5_000, 30_000, 120_000]
/** Messages that wait to be sent, beyond which the oldest is given up. */
const MOST_WAITING = 100

export function resolveWebhook(check: Validator, value: unknown, path: string): WebhookTarget {
  const given = check.object(value, path, ['url', 'secret'])
  const url = check.string(given['url'], `${path}.url`)
  if (!URL.canParse(url)) check.fail(`${path}.url`, "is not a URL such as 'https://alerts.example/hook'")
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname)))
    check.fail(`${path}.url`, 'must be https, or http on this machine')
  const secret = check.string(given['secret'], `${path}.secret`)
  const text = secret.replace(/^whsec_/, '')
  const key = Buffer.from(text, 'base64')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < 24 || key.length > 64)
    check.fail(`${path}.secret`, "must be 'whsec_' and base64 of 24 to 64 bytes")
  return { url, key }
}

/**
 * Sends what happened to a URL, one after the other, signed as https://www.standardwebhooks.com describes. Each is
 * tried a few times under the same id.
 */
export class Webhook {
  readonly #target: WebhookTarget
  readonly #tooSlow: ConditionLog
  readonly #refusing: ConditionLog
  readonly #waiting: { id: string; body: string }[] = []
  readonly #abort = new AbortController()
  #sending: Promise<void> | undefined

  constructor(target: WebhookTarget, logger: Logger) {
    this.#target = target
    this.#tooSlow = new ConditionLog(logger, {
      begins: 'The webhook is too slow: the oldest alert is given up',
      level: 'warn',
      ends: 'The webhook keeps up again',
    })
    this.#refusing = new ConditionLog(logger, {
      begins: 'The webhook did not take an alert: it is given up',
      level: 'error',
      ends: 'The webhook takes alerts again',
    })
  }

  send(type: string, data: object): void {
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data })
    this.#waiting.push({ id: `msg_${randomUUID()}`, body })
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting.shift()
      this.#tooSlow.happened({})
    }
    this.#sending ??= this.#work()
  }

  /** Tries nothing further. */
  async close(): Promise<void> {
    this.#waiting.length = 0
    this.#abort.abort()
    await this.#sending
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
      await this.#insist(next.id, next.body)
    this.#sending = undefined
  }

  async #insist(id: string, body: string): Promise<void> {
    const { signal } = this.#abort
    for (const wait of [...PAUSES, undefined]) {
      const problem = await this.#post(id, body)
      if (problem === undefined) this.#refusing.end()
      if (problem === undefined || signal.aborted) return
      if (wait === undefined) this.#refusing.begin({ problem })
      else await pause(wait, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** @returns what went wrong, without the URL, which may hold a secret */
  async #post(id: string, body: string): Promise<string | undefined> {
    const timestamp = String(Math.floor(Date.now() / 1_000))
    const signature = createHmac('sha256', this.#target.key)
      .update(`${id}.${timestamp}.${body}`)
      .digest('base64')
    const own = new AbortController()
    const end = (): void => own.abort()
    this.#abort.signal.addEventListener('abort', end)
    const timer = setTimeout(end, LIMIT).unref()
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
        signal: own.signal,
      })
      await response.body?.cancel()
      return response.ok ? undefined : `it answered ${response.status}`
    } catch {
      return 'it could not be reached, or did not answer in time'
    } finally {
      clearTimeout(timer)
      this.#abort.signal.removeEventListener('abort', end)
    }
  }
}

import { createHmac } from 'node:crypto'
import { ownVersion } from '../version.js'
import type { WebhookTarget } from './webhookOptions.js'

/** The answer of a receiver. A problem never names the URL, which may contain a secret. */
export interface WebhookAnswer {
  /** Present unless the receiver accepted the event. */
  problem?: string
  /** Absent if there was no answer. */
  status?: number
  /** Milliseconds for which the receiver asked to wait. */
  retryAfter?: number
}

export interface WebhookRequest {
  id: string
  body: string
  /** Milliseconds that the receiver has to answer. */
  timeout: number
  /** Aborts the request. */
  signal: AbortSignal
}

/** Posts an event, signed according to https://www.standardwebhooks.com, once. Follows no redirect. Never rejects. */
export async function postWebhook(
  target: WebhookTarget,
  { id, body, timeout, signal }: WebhookRequest,
): Promise<WebhookAnswer> {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  signal.addEventListener('abort', abort)
  if (signal.aborted) abort()
  const timer = setTimeout(abort, timeout).unref()
  try {
    const response = await fetch(target.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': `threadpost/${ownVersion()}`,
        ...signedHeaders(target.keys, id, body),
      },
      body,
      redirect: 'manual',
      signal: controller.signal,
    })
    await response.body?.cancel()
    return answerOf(response)
  } catch {
    return { problem: 'The receiver could not be reached or did not answer in time.' }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

/** The headers that identify and sign a request: a signature for each key, separated by spaces. */
function signedHeaders(keys: readonly Buffer[], id: string, body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  )
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  }
}

function answerOf({ ok, status, headers }: Response): WebhookAnswer {
  if (ok) return { status }
  const redirected = status >= 300 && status < 400
  const answer: WebhookAnswer = {
    problem: `The receiver answered ${status}${redirected ? '; redirects are not followed' : ''}.`,
    status,
  }
  const retryAfter = status === 429 || status === 503 ? delayOf(headers.get('retry-after')) : undefined
  if (retryAfter !== undefined) answer.retryAfter = retryAfter
  return answer
}

/** Reads `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date. */
function delayOf(value: string | null): number | undefined {
  if (value === null) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

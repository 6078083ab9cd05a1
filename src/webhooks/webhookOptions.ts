import { createHash } from 'node:crypto'
import { isLoopback } from '../loopback.js'
import type { Validator } from '../validation.js'

/**
 * The events that a webhook can receive, by the names of the mailer's events, and the type of each in the payload. A new type of
 * payload is a row here.
 */
export const WEBHOOK_TYPES = {
  sent: 'message.sent',
  partial: 'message.partial',
  failed: 'message.failed',
  deferred: 'message.deferred',
  held: 'message.held',
  expired: 'message.expired',
  cancelled: 'message.cancelled',
  delivered: 'recipient.delivered',
  delayed: 'recipient.delayed',
  bounced: 'recipient.bounced',
  complained: 'recipient.complained',
  unsubscribed: 'recipient.unsubscribed',
  suppressed: 'recipient.suppressed',
  alert: 'alert.raised',
  'alert-cleared': 'alert.cleared',
} as const

export type WebhookEvent = keyof typeof WEBHOOK_TYPES
export type WebhookType = (typeof WEBHOOK_TYPES)[WebhookEvent]

const WEBHOOK_EVENTS = Object.keys(WEBHOOK_TYPES) as WebhookEvent[]

/** An endpoint that receives the mailer's events over HTTP. */
export interface WebhookEndpointOptions {
  /** An `https` URL, or an `http` URL on this machine. It identifies the endpoint: another URL is another endpoint. */
  url: string
  /**
   * The key shared with the receiver: `whsec_` followed by 24 to 64 bytes in base64. Several, at most five, while it is being replaced:
   * each request then has a signature for each of them.
   */
  secret: string | string[]
  /** The names of the events to send: `sent`, `bounced`, `alert`, … @default all */
  events?: WebhookEvent[]
  /** Milliseconds that the receiver has to answer a request. @default 15_000 */
  timeout?: number
  /** Maximum number of requests at a time. @default 10 */
  concurrency?: number
  /** Milliseconds before the second attempt; each further delay is twice as long, up to `maxDelay`. The last half of a delay is random. @default 5_000 */
  baseDelay?: number
  /** Longest delay between two attempts, in milliseconds, also if the receiver names one (`Retry-After`). @default 3_600_000 (1 hour) */
  maxDelay?: number
  /** Milliseconds after its first attempt at which an event is given up, and listed as failed. @default 86_400_000 (1 day) */
  maxAge?: number
  /** Whether to send to an `http` URL on another machine, in the clear. @default false */
  allowInsecure?: boolean
}

/** Where signed requests go. */
export interface WebhookTarget {
  url: string
  /** The keys that sign each request. */
  keys: Buffer[]
}

/** A resolved endpoint. */
export interface WebhookEndpoint extends WebhookTarget {
  /** Identifies the endpoint in the queue; derived from the URL. */
  id: string
  /** The URL without what may be a secret, for people. */
  name: string
  events: ReadonlySet<WebhookEvent>
  timeout: number
  concurrency: number
  baseDelay: number
  maxDelay: number
  maxAge: number
}

const MAX_ENDPOINTS = 50
const MAX_SECRETS = 5
const MAX_URL = 2_000
const DAY = 24 * 60 * 60 * 1000
const FIELDS = [
  'url',
  'secret',
  'events',
  'timeout',
  'concurrency',
  'baseDelay',
  'maxDelay',
  'maxAge',
  'allowInsecure',
]

/** Checks the option `webhooks` and fills in the defaults. */
export function resolveWebhooks(check: Validator, value: unknown): WebhookEndpoint[] {
  const endpoints = check
    .array(value, 'webhooks', MAX_ENDPOINTS)
    .map((entry, index) => resolveEndpoint(check, entry, `webhooks[${index}]`))
  for (const [index, { id }] of endpoints.entries())
    if (endpoints.findIndex((other) => other.id === id) < index)
      check.fail(`webhooks[${index}].url`, 'is the URL of an earlier entry; list all its events in one entry')
  return endpoints
}

function resolveEndpoint(check: Validator, value: unknown, path: string): WebhookEndpoint {
  const input = check.object(value, path, FIELDS)
  const insecure = check.boolean(input['allowInsecure'] ?? false, `${path}.allowInsecure`)
  const url = resolveUrl(check, input['url'], `${path}.url`, insecure)
  const events = check.array(input['events'] ?? WEBHOOK_EVENTS, `${path}.events`, WEBHOOK_EVENTS.length)
  if (events.length === 0) check.fail(`${path}.events`, 'must name an event; leave it out for all')
  return {
    id: createHash('sha256').update(url).digest('hex').slice(0, 12),
    name: nameOf(new URL(url)),
    url,
    keys: resolveSecrets(check, input['secret'], `${path}.secret`),
    events: new Set(
      events.map((event, index) => check.oneOf(event, `${path}.events[${index}]`, WEBHOOK_EVENTS)),
    ),
    timeout: check.timeout(input['timeout'] ?? 15_000, `${path}.timeout`, 1),
    concurrency: check.integer(input['concurrency'] ?? 10, `${path}.concurrency`, 1, 1_000),
    baseDelay: check.duration(input['baseDelay'] ?? 5_000, `${path}.baseDelay`, 1),
    maxDelay: check.duration(input['maxDelay'] ?? 60 * 60_000, `${path}.maxDelay`, 1),
    maxAge: check.duration(input['maxAge'] ?? DAY, `${path}.maxAge`),
  }
}

/** Checks the URL and the secrets of an object that has both. */
export function resolveTarget(check: Validator, value: unknown, path: string): WebhookTarget {
  const input = check.object(value, path, ['url', 'secret'])
  return {
    url: resolveUrl(check, input['url'], `${path}.url`, false),
    keys: resolveSecrets(check, input['secret'], `${path}.secret`),
  }
}

function resolveUrl(check: Validator, value: unknown, path: string, insecure: boolean): string {
  const text = check.string(value, path, MAX_URL)
  if (!URL.canParse(text)) check.fail(path, "must be a URL such as 'https://acme.example/hook'")
  const url = new URL(text)
  const { protocol, hostname } = url
  if (protocol !== 'https:' && protocol !== 'http:') check.fail(path, 'must be an https URL')
  if (protocol === 'http:' && !insecure && !isLoopback(hostname))
    check.fail(path, 'must be https, or http on this machine')
  if (url.username !== '' || url.password !== '')
    check.fail(path, 'must have no user and no password; the signature shows who sends')
  url.hash = ''
  return url.href
}

function resolveSecrets(check: Validator, value: unknown, path: string): Buffer[] {
  if (!Array.isArray(value)) return [resolveSecret(check, value, path)]
  const secrets = check.array(value, path, MAX_SECRETS)
  if (secrets.length === 0) check.fail(path, 'must name a secret')
  return secrets.map((secret, index) => resolveSecret(check, secret, `${path}[${index}]`))
}

function resolveSecret(check: Validator, value: unknown, path: string): Buffer {
  const text = check.string(value, path, 200).replace(/^whsec_/, '')
  const key = Buffer.from(text, 'base64')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < 24 || key.length > 64)
    check.fail(path, "must be 'whsec_' followed by 24 to 64 bytes in base64")
  return key
}

/** The longest part of a path that is shown: a longer one may be a token. */
const MAX_SHOWN = 16

function nameOf({ origin, pathname }: URL): string {
  const parts = pathname.split('/').map((part) => (part.length > MAX_SHOWN ? '…' : part))
  return `${origin}${parts.join('/')}`
}

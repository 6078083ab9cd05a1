import path from 'node:path'
import { type ArchiveOptions, resolveArchive } from './delivery/archive.js'
import { type RetryOptions, resolveRetry } from './delivery/retry.js'
import { type BounceOptions, resolveBounces } from './feedback/bounceAddress.js'
import { type LimitOptions, resolveLimits } from './limits.js'
import { resolveLogger, type LoggerInput } from './logging/logger.js'
import { type RedactOptions, resolveRedact } from './logging/redaction.js'
import type { Interceptor } from './message/acceptance.js'
import { parseMailbox } from './message/addresses.js'
import { resolveSafeMode, type SafeModeOptions } from './message/safeMode.js'
import { resolveRetention, type RetentionOptions } from './queue/driver.js'
import { type QueueOptions, resolveQueue } from './queue/openQueue.js'
import type { ResolvedOptions } from './resolvedOptions.js'
import { type AlertOptions, resolveAlerts } from './telemetry/alerts.js'
import { resolveTemplates, type TemplateOptions } from './templates/templateOptions.js'
import { type BreakerOptions, resolveBreaker } from './transports/breaker.js'
import { withEhloName } from './transports/defaultEhloName.js'
import { refuseInboxInProduction } from './transports/inboxInProduction.js'
import { resolveTransports } from './transports/transportMap.js'
import type { TransportInput } from './transports/transportOptions.js'
import type { ResolveTransport } from './transports/transportResolver.js'
import { resolveUnsubscribe, type UnsubscribeOptions } from './unsubscribe/unsubscribeLink.js'
import { Validator } from './validation.js'
import { resolveWebhooks, type WebhookEndpointOptions } from './webhooks/webhookOptions.js'

/** Options of {@link createMailer}. Durations are in milliseconds, sizes in bytes. */
export interface MailerOptions {
  /**
   * How mail is sent: `smtp://user:pass@host:587`, `smtps://…`, a mail service such as `postmark:`, `file:./folder`, a nodemailer plugin
   * as `{ module, options }`, or `inbox:` for the embedded inbox, which stores the mail it receives and shows it in the browser.
   * @default none; required, unless `transports` is set or `role` is `'send'`
   * @example transport: { url: 'smtp://smtp.acme.example:587', auth: { user: 'acme', pass: 'secret' }, rate: 50 }
   */
  transport?: TransportInput
  /**
   * Several transports by name, in place of `transport`. Each value is the same as for `transport`; the first one is the default.
   * @default none
   * @example transports: { main: { url: 'smtp://smtp.acme.example:587', failover: 'second' }, second: 'sendgrid://KEY@' }
   */
  transports?: Record<string, TransportInput>
  /**
   * A function that returns the transport of a name that is not in `transports`, such as a tenant's; it may be async. Each
   * process that delivers calls it when a message names the transport, keeps the result (`limits.transports`), and calls it again
   * after the server refused the password. While it throws, returns undefined, or takes longer than 10 s, the messages are held and retried.
   * @default none; a mail with an unknown `transport` is refused
   * @example resolveTransport: async (name) => ({ url: `smtps://mail.${name}.example`, rate: 10 })
   */
  resolveTransport?: ResolveTransport
  /**
   * Whether to start with an `inbox:` transport when the environment variable `NODE_ENV` is `production`. Otherwise the mailer
   * refuses to start, because every mail would count as sent and reach nobody. The library reads no other environment variable.
   * @default false
   * @example allowInboxInProduction: true
   */
  allowInboxInProduction?: boolean
  /**
   * The sender of every mail that has no `from` of its own.
   * @default none; every mail must then have its own
   * @example from: 'Acme <hello@acme.example>'
   */
  from?: string | { name?: string; address: string }
  /**
   * The template folder, and the globals and helpers of the application. Without it, mails can't use `template`.
   * @default none
   * @example templates: { dir: './templates', globals: { brand: 'Acme' }, helpers: './mail-helpers.js' }
   */
  templates?: string | TemplateOptions
  /**
   * Where messages are queued. `memory` is lost when the process ends; `sqlite:./outbox.db` is a file, and every message is
   * on disk before its receipt is returned; `redis://host:6379` and `postgres://host/database` are shared by many machines.
   * @default 'memory'
   * @example queue: 'sqlite:./outbox.db'
   */
  queue?: string | QueueOptions
  /**
   * `'send'` accepts mail but doesn't deliver it: the mailer keeps no threads and needs no transport, because other processes
   * deliver from the same queue. `'deliver'` delivers mail but doesn't accept any.
   * @default 'both'
   * @example role: 'send'
   */
  role?: 'both' | 'send' | 'deliver'
  /**
   * The number of worker threads, at most 64. With 0, the same pipeline runs in the calling thread, without isolation: an endless
   * template or helper blocks the process, an error that a setup module throws later ends it, no message fails with
   * `POISON`, and no message is held with the reason `setup`.
   * @default 1
   * @example threads: 2
   */
  threads?: number
  /**
   * How far to lower the CPU priority of the worker threads, so that the main thread runs first: 0 (not at all) to 19.
   * Linux only.
   * @default 10
   * @example niceness: 0
   */
  niceness?: number
  /**
   * The maximum number of concurrent deliveries of each thread, and of its SMTP connections: 1 to 1,000.
   * @default 10
   * @example concurrency: 20
   */
  concurrency?: number
  /**
   * How often and when to retry a deferred message.
   * @example retry: { attempts: 5, baseDelay: 30_000 }
   */
  retry?: RetryOptions
  /**
   * When to retry a server that is unreachable or rejects the password.
   * @example breaker: { maxProbeDelay: 10_000 }
   */
  breaker?: BreakerOptions
  /**
   * Time in milliseconds after which an unsettled message becomes `expired`.
   * @default 259_200_000 (3 days)
   * @example maxAge: 3_600_000
   */
  maxAge?: number
  /**
   * Whether to send a message again that may or may not have been sent, or to hold it until an operator decides.
   * @default 'retry'
   * @example onUncertain: 'hold'
   */
  onUncertain?: 'retry' | 'hold'
  /**
   * Limits on size, number and time.
   * @example limits: { queue: 10_000, message: 5_000_000 }
   */
  limits?: LimitOptions
  /**
   * How long to keep settled messages, and whether to keep their data.
   * @example retain: { count: 1_000, data: 'kept' }
   */
  retain?: RetentionOptions
  /**
   * The parts of a message to hide wherever it is shown.
   * @example redact: { recipients: true }
   */
  redact?: RedactOptions
  /**
   * A function that is called on each `send()`. The object it returns, such as tenant and user, is added to the message's context.
   * @default none
   * @example context: () => ({ tenant: 'acme' })
   */
  context?: () => object | undefined
  /**
   * A function that sees each mail before it is validated, and may replace it or refuse it with a reason. It may be async.
   * @default none
   * @example intercept: (mail) => (mail.tags?.includes('test') ? { refuse: 'no test mail' } : undefined)
   */
  intercept?: Interceptor
  /**
   * Delivers mail only to the allowed recipients, and redirects all other mail to one address. For staging environments.
   * @default off
   * @example safeMode: { redirectTo: 'staging@acme.example', allow: ['acme.example'] }
   */
  safeMode?: SafeModeOptions
  /**
   * The only folder that `attachments[].path` may name files in. Every client that may send mail, also over HTTP, can attach any file in it.
   * @default none; `path` is refused
   * @example attachmentRoot: './invoices'
   */
  attachmentRoot?: string
  /**
   * Sends bounces to `bounces+TOKEN@…`, where a signed token names the message. A mail's own `envelope.from` takes precedence.
   * @default bounces go to the address in `from`
   * @example bounces: { address: 'bounces@acme.example', secret: 'a-long-random-secret' }
   */
  bounces?: BounceOptions
  /**
   * Where `unsubscribeRouter` is mounted, for mails with `listUnsubscribe: true`, and the secret that signs their links.
   * @default none; `listUnsubscribe: true` is refused
   * @example unsubscribe: { url: 'https://acme.example/unsubscribe', secret: 'a-long-random-secret' }
   */
  unsubscribe?: UnsubscribeOptions
  /**
   * A logger with the methods of pino, at least `info`; `console` works too. Without `warn` or `error`, those lines go to `info`.
   * @default none; nothing is logged
   * @example logger: console
   */
  logger?: LoggerInput
  /**
   * Endpoints that receive the mailer's events over HTTP, signed according to Standard Webhooks.
   * @default none
   * @example webhooks: [{ url: 'https://acme.example/hook', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', events: ['bounced'] }]
   */
  webhooks?: WebhookEndpointOptions[]
  /**
   * A folder that keeps each message as it was sent, as `YYYY-MM-DD/TIME-ID-ATTEMPT.eml`, unencrypted. A message whose file can't be written is
   * sent all the same. `{ dir, maxAge, maxSize }` changes how much is kept: 30 days, and 10 GB.
   * @default none; nothing is archived
   * @example archive: './archive'
   */
  archive?: string | ArchiveOptions
  /**
   * When and where to send alerts; `true` enables every rule with its defaults.
   * @default none
   * @example alerts: { oldest: { age: 300_000 }, threads: false }
   */
  alerts?: boolean | AlertOptions
}

const KEYS = [
  'transport',
  'transports',
  'resolveTransport',
  'allowInboxInProduction',
  'from',
  'templates',
  'queue',
  'role',
  'threads',
  'niceness',
  'concurrency',
  'retry',
  'breaker',
  'maxAge',
  'onUncertain',
  'limits',
  'retain',
  'redact',
  'attachmentRoot',
  'context',
  'intercept',
  'safeMode',
  'bounces',
  'unsubscribe',
  'logger',
  'webhooks',
  'archive',
  'alerts',
] as const satisfies readonly (keyof MailerOptions)[]

const DAY = 24 * 60 * 60 * 1000

/**
 * Validates the options and fills in the defaults. This happens nowhere else.
 * @throws ThreadpostError `INVALID_OPTIONS`, with the path of the field.
 */
export function resolveOptions(input: unknown): ResolvedOptions {
  const check = new Validator('INVALID_OPTIONS')
  const options = check.object(input ?? {}, '', KEYS)

  const role = check.oneOf(options['role'] ?? 'both', 'role', ['both', 'send', 'deliver'])
  const queue = resolveQueue(check, options['queue'] ?? 'memory')
  if (role !== 'both' && queue.kind === 'memory')
    check.fail('role', `'${role}' needs a queue that processes share: sqlite:, redis: or postgres:`)
  const redact = resolveRedact(check, options['redact'] ?? {})
  const transports = resolveTransports(check, options, role)
  refuseInboxInProduction(check, transports, options['allowInboxInProduction'] ?? false)
  const resolved: ResolvedOptions = {
    transports,
    queue,
    role,
    threads: check.integer(options['threads'] ?? 1, 'threads', 0, 64),
    niceness: check.integer(options['niceness'] ?? 10, 'niceness', 0, 19),
    concurrency: check.integer(options['concurrency'] ?? 10, 'concurrency', 1, 1000),
    retry: resolveRetry(check, options['retry'] ?? {}),
    breaker: resolveBreaker(check, options['breaker'] ?? {}),
    maxAge: check.duration(options['maxAge'] ?? 3 * DAY, 'maxAge', 1),
    onUncertain: check.oneOf(options['onUncertain'] ?? 'retry', 'onUncertain', ['retry', 'hold']),
    limits: resolveLimits(check, options['limits'] ?? {}),
    retain: resolveRetention(check, options['retain'] ?? {}),
    redact,
    logger: resolveLogger(check, options['logger'], redact.recipients),
  }
  if (options['resolveTransport'] !== undefined)
    resolved.resolveTransport = check.callback(
      options['resolveTransport'],
      'resolveTransport',
    ) as ResolveTransport
  if (options['attachmentRoot'] !== undefined)
    resolved.attachmentRoot = path.resolve(check.string(options['attachmentRoot'], 'attachmentRoot'))
  if (options['context'] !== undefined)
    resolved.context = check.callback(options['context'], 'context') as () => object | undefined
  if (options['intercept'] !== undefined)
    resolved.intercept = check.callback(options['intercept'], 'intercept') as Interceptor
  if (options['safeMode'] !== undefined) resolved.safeMode = resolveSafeMode(check, options['safeMode'])
  if (options['bounces'] !== undefined) resolved.bounces = resolveBounces(check, options['bounces'])
  const { unsubscribe } = options
  if (unsubscribe !== undefined) resolved.unsubscribe = resolveUnsubscribe(check, unsubscribe)
  if (options['archive'] !== undefined) resolved.archive = resolveArchive(check, options['archive'])
  if (options['webhooks'] !== undefined) resolved.webhooks = resolveWebhooks(check, options['webhooks'])
  const alerts = resolveAlerts(check, options['alerts'])
  if (alerts !== undefined) resolved.alerts = alerts
  if (options['from'] !== undefined) resolved.from = parseMailbox(options['from'], 'from', check)
  resolved.transports = resolved.transports.map((plan) => withEhloName(plan, resolved.from?.address))
  if (options['templates'] !== undefined) resolved.templates = resolveTemplates(check, options['templates'])
  return resolved
}

import { type RetryOptions, type RetryPolicy, resolveRetry } from './delivery/retry.js'
import { type LimitOptions, type Limits, resolveLimits } from './limits.js'
import { resolveLogger, type Logger } from './logging/logger.js'
import { type RedactOptions, resolveRedact } from './logging/redaction.js'
import { parseMailbox } from './message/addresses.js'
import type { Interceptor } from './message/intake.js'
import { resolveSafeMode, type SafeMode, type SafeModeOptions } from './message/safeMode.js'
import type { Mailbox } from './protocol/tasks.js'
import type { TemplateSetup } from './protocol/templateManifest.js'
import { type QueueOptions, type QueueSpec, resolveQueue } from './queue/openQueue.js'
import { type Retention, resolveRetention, type RetentionOptions } from './queue/retention.js'
import { type AlertOptions, type AlertPlan, resolveAlerts } from './telemetry/alerts.js'
import { resolveTemplates, type TemplateOptions } from './templates/templateOptions.js'
import { type BreakerOptions, resolveBreaker } from './transports/breaker.js'
import { resolveTransports } from './transports/transportManager.js'
import type { TransportInput, ResolvedTransport } from './transports/transportOptions.js'
import { Validator } from './validation.js'

/** What {@link createMailer} takes. Durations are in milliseconds, sizes in bytes. */
export interface MailerOptions {
  /**
   * Where mail goes: `smtp://user:pass@host:587`, `smtps://…`, `sendgrid:`, `ses:`, `file:./folder`, a plugin of
   * nodemailer's as `{ module, options }`, or `inbox:` for the embedded inbox, which keeps what it receives and shows it.
   * @default none: it is required, unless there are `transports`, or the role is `'send'`
   * @example transport: { url: 'smtp://smtp.acme.example:587', auth: { user: 'acme', pass: 'secret' }, rate: 50 }
   */
  transport?: TransportInput
  /**
   * Several transports by name, each as `transport` would have it; the first is the default. In place of `transport`.
   * @default none
   * @example transports: { main: { url: 'smtp://smtp.acme.example:587', failover: 'second' }, second: 'sendgrid://KEY@' }
   */
  transports?: Record<string, TransportInput>
  /**
   * Sender of every mail that names none.
   * @default none: each mail must name its own
   * @example from: 'Acme <hello@acme.example>'
   */
  from?: string | { name?: string; address: string }
  /**
   * The folder of templates, and what the application adds to them. Without it only ad-hoc mails can be sent.
   * @default none
   * @example templates: { dir: './templates', globals: { brand: 'Acme' }, helpers: './mail-helpers.js' }
   */
  templates?: string | TemplateOptions
  /**
   * Where mail waits: `memory` is gone with the process; `sqlite:./outbox.db` is a file, and a receipt means on disk;
   * `redis://host:6379` is for many machines.
   * @default 'memory'
   * @example queue: 'sqlite:./outbox.db'
   */
  queue?: string | QueueOptions
  /**
   * `'send'`: takes mail in and delivers none: no thread, no renderer, and no transport is needed, since other processes
   * deliver from the same queue. `'deliver'`: delivers and takes none in.
   * @default 'both'
   * @example role: 'send'
   */
  role?: 'both' | 'send' | 'deliver'
  /**
   * Worker threads, up to 64. 0 runs the same pipeline in the calling thread, where nothing can be stopped or survived: a
   * template or helper without end stops the process, an error that a setup module throws later ends it, no message fails as
   * `POISON`, and no mail is held with the reason `setup`.
   * @default 1
   * @example threads: 2
   */
  threads?: number
  /**
   * How much lower the priority of the threads is than that of the process, so that the web process is served first:
   * 0 (not at all) to 19. Linux only.
   * @default 10
   * @example niceness: 0
   */
  niceness?: number
  /**
   * Deliveries at a time in each thread; also its SMTP connections at most. 1 to 1,000.
   * @default 10
   * @example concurrency: 20
   */
  concurrency?: number
  /**
   * Whether and when a message that was put off is tried again.
   * @example retry: { attempts: 5, baseDelay: 30_000 }
   */
  retry?: RetryOptions
  /**
   * When a server that can't be reached, or refuses the password, is tried again.
   * @example breaker: { maxProbeDelay: 10_000 }
   */
  breaker?: BreakerOptions
  /**
   * Milliseconds after which a message that isn't settled is `expired`.
   * @default 259_200_000 (3 days)
   * @example maxAge: 3_600_000
   */
  maxAge?: number
  /**
   * What to do with a message that may or may not have been sent: send it again, or hold it until somebody decides.
   * @default 'retry'
   * @example onUncertain: 'hold'
   */
  onUncertain?: 'retry' | 'hold'
  /**
   * How much of anything is taken on.
   * @example limits: { queue: 10_000, message: 5_000_000 }
   */
  limits?: LimitOptions
  /**
   * How long settled messages can be found, and what is kept of them.
   * @example retain: { count: 1_000, data: 'kept' }
   */
  retain?: RetentionOptions
  /**
   * What is hidden wherever a message is shown.
   * @example redact: { recipients: true }
   */
  redact?: RedactOptions
  /**
   * Called at each `send()`: what it returns, such as tenant and user, goes with the message as its context.
   * @default none
   * @example context: () => ({ tenant: 'acme' })
   */
  context?: () => object | undefined
  /**
   * Looks at each mail before it is checked: may put another in its place, or refuse it with a reason. May be async.
   * @default none
   * @example intercept: (mail) => (mail.tags?.includes('test') ? { refuse: 'no test mail' } : undefined)
   */
  intercept?: Interceptor
  /**
   * Mail reaches those allowed and nobody else: what is for others is redirected. For staging.
   * @default off
   * @example safeMode: { redirectTo: 'staging@acme.example', allow: ['acme.example'] }
   */
  safeMode?: SafeModeOptions
  /**
   * A pino-shaped logger; `console` will do.
   * @default silent
   * @example logger: console
   */
  logger?: Logger
  /**
   * When to raise an alarm, and where; `true` for all rules as they are.
   * @default none
   * @example alerts: { oldest: { age: 300_000 }, threads: false }
   */
  alerts?: boolean | AlertOptions
}

/** Options after {@link resolveOptions}: complete and checked. */
export interface ResolvedOptions {
  transports: ResolvedTransport[]
  queue: QueueSpec
  role: 'both' | 'send' | 'deliver'
  from?: Mailbox
  templates?: TemplateSetup
  threads: number
  niceness: number
  concurrency: number
  retry: RetryPolicy
  breaker: Required<BreakerOptions>
  maxAge: number
  onUncertain: 'retry' | 'hold'
  limits: Limits
  retain: Retention
  redact: Required<RedactOptions>
  context?: () => object | undefined
  intercept?: Interceptor
  safeMode?: SafeMode
  logger: Logger
  alerts?: AlertPlan
}

const KEYS = [
  'transport',
  'transports',
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
  'context',
  'intercept',
  'safeMode',
  'logger',
  'alerts',
] as const satisfies readonly (keyof MailerOptions)[]

const DAY = 24 * 60 * 60 * 1000

/**
 * Checks the options and fills in the defaults. The only place where this happens.
 * @throws ThreadpostError `INVALID_OPTIONS`, with the path of the field.
 */
export function resolveOptions(input: unknown): ResolvedOptions {
  const check = new Validator('INVALID_OPTIONS')
  const options = check.object(input ?? {}, '', KEYS)

  const role = check.oneOf(options['role'] ?? 'both', 'role', ['both', 'send', 'deliver'])
  const queue = resolveQueue(check, options['queue'] ?? 'memory')
  if (role !== 'both' && queue.kind === 'memory')
    check.fail('role', `'${role}' needs a queue that other processes see: sqlite: or redis:`)
  const redact = resolveRedact(check, options['redact'] ?? {})
  const resolved: ResolvedOptions = {
    transports: resolveTransports(check, options, role),
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
  if (options['context'] !== undefined)
    resolved.context = check.callback(options['context'], 'context') as () => object | undefined
  if (options['intercept'] !== undefined)
    resolved.intercept = check.callback(options['intercept'], 'intercept') as Interceptor
  if (options['safeMode'] !== undefined) resolved.safeMode = resolveSafeMode(check, options['safeMode'])
  const alerts = resolveAlerts(check, options['alerts'])
  if (alerts !== undefined) resolved.alerts = alerts
  if (options['from'] !== undefined) resolved.from = parseMailbox(options['from'], 'from', check)
  if (options['templates'] !== undefined) resolved.templates = resolveTemplates(check, options['templates'])
  return resolved
}

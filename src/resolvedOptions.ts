import type { ArchivePlan } from './delivery/archive.js'
import type { RetryPolicy } from './delivery/retry.js'
import type { BouncePlan } from './feedback/bounceAddress.js'
import type { Limits } from './limits.js'
import type { Logger } from './logging/logger.js'
import type { RedactOptions } from './logging/redaction.js'
import type { Interceptor } from './message/acceptance.js'
import type { SafeMode } from './message/safeMode.js'
import type { Mailbox } from './protocol/tasks.js'
import type { TemplateSetup } from './protocol/templateManifest.js'
import type { Retention } from './queue/driver.js'
import type { QueueSpec } from './queue/openQueue.js'
import type { AlertPlan } from './telemetry/alerts.js'
import type { BreakerOptions } from './transports/breaker.js'
import type { ResolvedTransport } from './transports/transportOptions.js'
import type { ResolveTransport } from './transports/transportResolver.js'
import type { resolveUnsubscribe } from './unsubscribe/unsubscribeLink.js'
import type { WebhookEndpoint } from './webhooks/webhookOptions.js'

/** The complete, validated options that `resolveOptions()` returns. */
export interface ResolvedOptions {
  transports: ResolvedTransport[]
  resolveTransport?: ResolveTransport
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
  attachmentRoot?: string
  context?: () => object | undefined
  intercept?: Interceptor
  safeMode?: SafeMode
  bounces?: BouncePlan
  unsubscribe?: ReturnType<typeof resolveUnsubscribe>
  logger: Logger
  webhooks?: WebhookEndpoint[]
  archive?: ArchivePlan
  alerts?: AlertPlan
}

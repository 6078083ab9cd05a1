/**
 * The templates by name, with the type of their `data` and the `locales` that they have. Empty until `threadpost types` writes
 * a declaration file that fills it in; from then on, TypeScript checks mails that use templates.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in from outside
export interface Templates {}

export type { Alert, AlertOptions, AlertRule, ClearedAlert, ReportLimits } from './telemetry/alerts.js'
export type { GroupLimitOptions } from './delivery/groupLimits.js'
export type { BudgetOptions } from './transports/rateLimiter.js'
export type { QuotaOptions, WarmUpOptions } from './transports/quotaOptions.js'
export type { QuotaStatus, QuotaUse } from './transports/transportQuota.js'
export type { BreakerOptions, TransportStatus, TransportError } from './transports/breaker.js'
export { currentContext, isTraceparent, type MailContext, runWithContext } from './context.js'
export { createMailer } from './createMailer.js'
export { type ErrorCode, type SourceLocation, ThreadpostError } from './errors.js'
export type {
  BreakerClosedEvent,
  BreakerOpenEvent,
  Listener,
  MailerEvents,
  AttemptedEvent,
  MessageEvent,
  SlowedEvent,
  SuppressedEvent,
  DeliveryEvent,
  ThreadEvent,
} from './telemetry/events.js'
export { BOUNCE_CATEGORIES, DELIVERY_STATES } from './feedback/deliveryStates.js'
export type { BounceCategory, Delivery, DeliveryState } from './feedback/deliveryStates.js'
export type {
  DeliveryReport,
  RawDeliveryReport,
  RecipientDeliveryReport,
  ReportOptions,
} from './feedback/deliveryReport.js'
export type { BounceOptions } from './feedback/bounceAddress.js'
export type { UnsubscribeOptions } from './unsubscribe/unsubscribeLink.js'
export type { SafeModeOptions } from './message/safeMode.js'
export type { AttemptReport } from './telemetry/messageObserver.js'
export { explain } from './message/explain.js'
export { attemptLogLines } from './telemetry/attemptLine.js'
export type { HistogramSnapshot } from './structures/histogram.js'
export type { Interceptor, Refusal, SendResult } from './message/acceptance.js'
export type { Logger, LoggerInput } from './logging/logger.js'
export type { EventLoopDelay } from './telemetry/loopDelay.js'
export type {
  Address,
  Attachment,
  Calendar,
  LiteralMail,
  Mail,
  MjmlMail,
  PreparedMail,
  RawMail,
  Receipt,
  TemplateMail,
} from './message/mail.js'
export type { TemplateData, TemplateLocale, TemplateName } from './message/templateTypes.js'
export type { SendOptions } from './message/transactions.js'
export type { Mailer } from './mailer.js'
export type { EraseOptions, Erasure } from './privacy/erase.js'
export type {
  Activity,
  GroupFigures,
  HistoryPoint,
  PeriodFigures,
  ProcessActivity,
  ProcessStatus,
  SetupStatus,
} from './telemetry/activity.js'
export type { AuditEntry } from './telemetry/auditLog.js'
export type { ResolveTransport } from './transports/transportResolver.js'
export type { TransportLimits } from './transports/transportSettings.js'
export type { AttemptCount, FigureGroup, Figures } from './telemetry/figures.js'
export type { Schedule, ScheduleInput } from './schedules/schedule.js'
export type { Suppression, SuppressionInput, SuppressionReason } from './suppressions/suppression.js'
export type {
  ImportResult,
  SuppressionPage,
  SuppressionQuery,
  Suppressions,
} from './suppressions/suppressions.js'
export type { Monitoring } from './telemetry/monitoring.js'
export type { MailerStats, PauseOptions } from './mailerParts.js'
export type { MessageMeasures, SettledCount, SettledStatus, TimingStep } from './telemetry/metrics.js'
export type { LimitOptions } from './limits.js'
export type { MailerOptions } from './options.js'
export type { ArchiveOptions } from './delivery/archive.js'
export type { ArchiveStatus } from './protocol/archiveCell.js'
export type { TemplateOptions, TemplateReload } from './templates/templateOptions.js'
export type { Outcome, Phase, RecipientOutcome, SmtpReply, Timings } from './protocol/outcome.js'
export type { CommitStats, ListQuery, MessagePage, QueueStats, Transaction } from './queue/driver.js'
export type { MessagePreview } from './message/messageView.js'
export type { MessageCount, MessageFilter } from './message/pagination.js'
export type { ResendChanges } from './message/resend.js'
export type { TemplateInspection } from './templates/templateCatalog.js'
export type { QueueOptions } from './queue/openQueue.js'
export {
  isSettled,
  STATUSES,
  type HeldReason,
  type RecipientState,
  type Status,
} from './message/messageState.js'
export type { Message, MessageAttempt } from './message/messageView.js'
export type { TemplateSummary } from './templates/templateCatalog.js'
export type { RedactOptions } from './logging/redaction.js'
export type { RetentionOptions } from './queue/driver.js'
export type { RetryOptions } from './delivery/retry.js'
export type { PhaseCounts, ThreadStatus } from './threads/runner.js'
export type { DkimOptions } from './transports/auth.js'
export type {
  PluginTransportOptions,
  SpreadOptions,
  TransportInput,
  TransportOptions,
} from './transports/transportOptions.js'
export type { PluginOptions, ServiceOptions } from './transports/providers.js'
export type { AuthOptions } from './transports/auth.js'
export type { ReloadOptions } from './transports/transportManager.js'
export type { WebhookOptions } from './telemetry/alertWebhook.js'
export { WEBHOOK_TYPES } from './webhooks/webhookOptions.js'
export type { WebhookEndpointOptions, WebhookEvent, WebhookType } from './webhooks/webhookOptions.js'
export type { WebhookFailure, WebhookMeasures, WebhookStatus } from './webhooks/webhookStatus.js'
export type { Webhooks } from './webhooks/webhooks.js'
export type { WaitOptions } from './telemetry/waiters.js'
export type { ComposedParts, Json, JsonObject, Mailbox, RenderedParts } from './protocol/tasks.js'
export type {
  DkimReport,
  IpFamily,
  RouteReport,
  TlsOptions,
  TlsReport,
  TransportReport,
} from './protocol/transportConfig.js'
export type { TemplateNotes } from './protocol/templateManifest.js'

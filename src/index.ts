/**
 * The templates there are, by name: their `data`, and the `locales` they have variants for. Empty until `threadpost types` has
 * written a declaration file that fills it in; from then on TypeScript checks the mails of templates.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in from outside
export interface Templates {}

export type { Alert, AlertOptions, AlertRule, ClearedAlert } from './observe/alerts.js'
export type { BudgetOptions } from './transports/budgets.js'
export type { BreakerOptions, TransportStatus, Trouble } from './transports/breaker.js'
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
  ThreadEvent,
} from './observe/events.js'
export type { SafeModeOptions } from './message/safeMode.js'
export type { AttemptReport } from './observe/steps.js'
export { explain } from './message/explain.js'
export type { HistogramSnapshot } from './observe/histogram.js'
export type { Interceptor, Refusal } from './message/intercept.js'
export type { Logger } from './observe/logger.js'
export type { EventLoopDelay } from './observe/loopDelay.js'
export type {
  Address,
  Attachment,
  LiteralMail,
  Mail,
  MjmlMail,
  PreparedMail,
  Receipt,
  TemplateData,
  TemplateMail,
  TemplateName,
} from './message/mail.js'
export type { Mailer, MailerStats, SetupStatus } from './mailer.js'
export type { MessageMeasures, SettledCount, SettledStatus, TimingStep } from './observe/measures.js'
export type { LimitOptions } from './limits.js'
export type { MailerOptions } from './options.js'
export type { TemplateOptions, TemplateReload } from './templates/options.js'
export type { Outcome, Phase, RecipientOutcome, SmtpReply, Timings } from './wire/outcome.js'
export type { CommitStats, ListQuery, MessagePage, QueueStats } from './queue/driver.js'
export type { MessagePreview } from './message/previews.js'
export type { TemplateInspection } from './templates/set.js'
export type { QueueOptions } from './queue/options.js'
export { isSettled, STATUSES, type HeldReason, type RecipientState, type Status } from './message/record.js'
export type { Message, MessageAttempt } from './message/view.js'
export type { TemplateSummary } from './templates/summary.js'
export type { RedactOptions } from './observe/redaction.js'
export type { RetentionOptions } from './queue/retention.js'
export type { RetryOptions } from './delivery/retry.js'
export type { PhaseCounts, ThreadStatus } from './threads/runner.js'
export type { DkimOptions } from './transports/dkim.js'
export type { PluginTransportOptions, TransportInput, TransportOptions } from './transports/transport.js'
export type { PluginOptions, ServiceOptions } from './transports/kinds.js'
export type { AuthOptions } from './transports/auth.js'
export type { ReloadOptions } from './transports/set.js'
export type { WebhookOptions } from './observe/webhook.js'
export type { WaitOptions } from './observe/waiters.js'
export type { ComposedParts, Json, JsonObject, Mailbox, RenderedParts } from './wire/tasks.js'
export type { TlsOptions, TlsReport, TransportReport } from './wire/transports.js'
export type { TemplateNotes } from './wire/templates.js'

/**
 * The templates there are, by name: their `data`, and the `locales` they have variants for. Empty until `threadpost types` has
 * written a declaration file that fills it in; from then on TypeScript checks the mails of templates.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled in from outside
export interface Templates {}

export type { Alert, AlertOptions, AlertRule, ClearedAlert } from './alerts.js'
export type { BudgetOptions } from './budgets.js'
export type { BreakerOptions, TransportStatus, Trouble } from './breaker.js'
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
} from './events.js'
export type { SafeModeOptions } from './safeMode.js'
export type { AttemptReport } from './steps.js'
export { explain } from './explain.js'
export type { HistogramSnapshot } from './histogram.js'
export type { Interceptor, Refusal } from './intercept.js'
export type { Logger } from './logger.js'
export type { EventLoopDelay } from './loopDelay.js'
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
} from './mail.js'
export type { Mailer, MailerStats } from './mailer.js'
export type { MessageMeasures, SettledCount, SettledStatus, TimingStep } from './measures.js'
export type { LimitOptions } from './limits.js'
export type { MailerOptions } from './options.js'
export type { TemplateOptions, TemplateReload } from './templateOptions.js'
export type { Outcome, Phase, RecipientOutcome, SmtpReply, Timings } from './outcome.js'
export type { CommitStats, ListQuery, MessagePage, QueueStats } from './queue/driver.js'
export type { MessagePreview } from './previews.js'
export type { TemplateInspection } from './templateSet.js'
export type { QueueOptions } from './queue/options.js'
export type { HeldReason, RecipientState, Status } from './record.js'
export type { Message, MessageAttempt } from './messageView.js'
export type { TemplateSummary } from './templateSummary.js'
export type { RedactOptions } from './redaction.js'
export type { RetentionOptions } from './retention.js'
export type { RetryOptions } from './retry.js'
export type { PhaseCounts, ThreadStatus } from './runner.js'
export type { DkimOptions } from './dkim.js'
export type { PluginTransportOptions, TransportInput, TransportOptions } from './transport.js'
export type { PluginOptions, ServiceOptions } from './transportKinds.js'
export type { AuthOptions } from './transportAuth.js'
export type { ReloadOptions } from './transportSet.js'
export type { WebhookOptions } from './webhook.js'
export type { WaitOptions } from './waiters.js'
export type { ComposedParts, Json, JsonObject, Mailbox, RenderedParts } from './wire.js'
export type { TlsOptions, TlsReport, TransportReport } from './transportWire.js'
export type { TemplateNotes } from './templateWire.js'

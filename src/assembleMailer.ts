import { Clock } from './clock.js'
import { createRunner, shareRunner } from './createRunner.js'
import { type Archive, openArchive } from './delivery/archive.js'
import { Dispatcher } from './delivery/dispatcher.js'
import type { Feedback, FeedbackDependencies } from './feedback/feedback.js'
import { ProviderIndex } from './feedback/providerIndex.js'
import type { Inbox } from './inbox/inbox.js'
import { type ConditionLog, conditionOf } from './logging/conditionLog.js'
import type { Logger } from './logging/logger.js'
import { redactionOf } from './logging/redaction.js'
import { Mailer } from './mailer.js'
import { processStatus } from './mailerParts.js'
import { Acceptance } from './message/acceptance.js'
import { newToken } from './message/ids.js'
import type { TransportConfig } from './protocol/transportConfig.js'
import type { Admit, QueueDriver } from './queue/driver.js'
import { openQueue } from './queue/openQueue.js'
import type { ResolvedOptions } from './resolvedOptions.js'
import { settleAll } from './settleAll.js'
import { SuppressionLookup } from './suppressions/suppressionLookup.js'
import { Suppressions } from './suppressions/suppressions.js'
import { readReported } from './telemetry/activity.js'
import { ActivityReporter } from './telemetry/activityReporter.js'
import { AlertMonitor } from './telemetry/alertMonitor.js'
import type { Alert, AlertPlan, ClearedAlert } from './telemetry/alerts.js'
import { Events } from './telemetry/events.js'
import { FigureCollector } from './telemetry/figures.js'
import { Instruments } from './telemetry/instruments.js'
import { LoopDelay } from './telemetry/loopDelay.js'
import { MessageObserver } from './telemetry/messageObserver.js'
import { Metrics } from './telemetry/metrics.js'
import { OpenTelemetry } from './telemetry/openTelemetry.js'
import { Tracing } from './telemetry/tracing.js'
import { Waiters } from './telemetry/waiters.js'
import { TemplateCatalog, TemplateManager, warnOfTemplates } from './templates/templateCatalog.js'
import { setTestHooks } from './testHooks.js'
import type { Runner } from './threads/runner.js'
import { loopbackTransport } from './transports/smtpOptions.js'
import { TransportManager } from './transports/transportManager.js'
import { TransportResolver } from './transports/transportResolver.js'
import { TransportSettings } from './transports/transportSettings.js'
import type { TransportListener } from './transports/transportState.js'
import type { Webhooks } from './webhooks/webhooks.js'

/**
 * Creates the parts of a mailer and connects them.
 * @param sharing its threads also serve other mailers
 * @throws ThreadpostError `INVALID_OPTIONS`, `START_FAILED`
 */
export async function assembleMailer(options: ResolvedOptions, sharing: boolean): Promise<Mailer> {
  const events = new Events(options.logger)
  const waiters = new Waiters()
  const metrics = new Metrics()
  const figures = new FigureCollector()
  const loopDelay = new LoopDelay()
  const redaction = redactionOf(options.redact)
  const inbox = await inboxFor(options)
  const token = newToken()
  const clock = new Clock()
  const telemetry = await OpenTelemetry.load()
  const tracing = new Tracing(telemetry, redaction)
  const instruments = new Instruments(telemetry)
  const observer = new MessageObserver({
    logger: options.logger,
    tracing,
    instruments,
    redaction,
    metrics,
    figures,
    events,
    waiters,
  })
  let runner: Runner | undefined
  let archive: Archive | undefined
  let queue: QueueDriver | undefined
  try {
    const transports = transportsOf(options, inbox)
    archive = await openArchive(options, clock)
    runner = (sharing ? shareRunner : createRunner)({
      options,
      transports,
      events,
      metrics,
      token,
      archive: archive?.place,
    })
    const started = runner
    const templates = new TemplateCatalog(await started.start(), () => started.listTemplates())
    const { limits, maxAge, retain, logger } = options
    warnOfTemplates(templates.manifests, logger)
    const assembled: { acceptance?: Acceptance } = {}
    const admit: Admit = (submission) =>
      assembled.acceptance?.admit(submission) ?? Promise.reject(new Error('The mailer is not assembled yet'))
    const common = { limit: limits.queue, maxAge, retain, logger, clock, token, admit }
    const hookParts = { limit: limits.webhooks, redaction, logger, token }
    const webhooks =
      options.webhooks && new (await import('./webhooks/webhooks.js')).Webhooks(options.webhooks, hookParts)
    const onChange = webhooks?.after(observer.changed) ?? observer.changed
    queue = await openQueue(options.queue, { ...common, recordsOf: webhooks?.recordsOf, onChange })
    webhooks?.connect(queue, events)
    instruments.observe(queue)
    const suppressionLookup = new SuppressionLookup(queue, logger)
    const suppressions = new Suppressions(queue, limits.suppressions, suppressionLookup)
    const feedback = feedbackOf({ queue, suppressions, metrics, logger, bounces: options.bounces })
    if (options.unsubscribe !== undefined) {
      const { Unsubscribes } = await import('./unsubscribe/unsubscribes.js')
      suppressions.unsubscribes = new Unsubscribes(options.unsubscribe.secrets, suppressions, feedback)
    }
    const dispatcher = new Dispatcher(runner, {
      clock,
      transports: options.transports,
      policy: options.retry,
      breaker: options.breaker,
      listener: transportListener(events, options.logger),
      logger: options.logger,
      observer,
      safeMode: options.safeMode,
      suppressions: suppressionLookup,
      providerIndex: new ProviderIndex(queue, retain, logger, async (early) =>
        (await feedback()).take(early),
      ),
      loadRules: options,
      templateVersion: (template) => templates.manifests.get(template)?.version,
      ...(queue.allowances === undefined ? {} : { allowances: queue.allowances }),
      wakeHeld: queue.wakeHeld.bind(queue),
      records: queue.records,
      perGroup: limits.perGroup,
    })
    const manager = new TransportManager(
      transports,
      options.transports,
      runner,
      dispatcher.transports,
      options.from?.address,
      options.resolveTransport !== undefined,
    )
    if (options.resolveTransport !== undefined && options.role !== 'send') {
      const resolver = new TransportResolver(options.resolveTransport, limits.transports, manager, logger)
      dispatcher.resolveWith(resolver)
      manager.onChange((name) => resolver.forget(name))
    }
    const validation = {
      options,
      transports: manager,
      templates: templates.manifests,
      notTemplates: templates.notTemplates,
      templatesElsewhere: options.role === 'send' && options.templates === undefined,
    }
    const accepting = { clock, validation, templates, queue, tracing, figures }
    const acceptance = new Acceptance({ ...accepting, suppressions: suppressionLookup })
    assembled.acceptance = acceptance
    if (options.role !== 'send') {
      await queue.start(dispatcher)
      dispatcher.started()
    }
    const monitored = { queue, metrics, dispatcher, events, runner, webhooks, archive }
    const alertMonitor = options.alerts && alertMonitorFor(options, options.alerts, monitored)
    const activity = new ActivityReporter({
      queue,
      collector: figures,
      status: () =>
        processStatus(
          { runner: started, dispatcher, metrics, validation, alertMonitor },
          token,
          options.role,
        ),
      loopDelay: () => loopDelay.peek()?.p99,
    })
    const settings = new TransportSettings({ queue, manager })
    await settings.refresh()
    const { Scheduler } = await import('./schedules/scheduler.js')
    const scheduler = new Scheduler({ queue, clock, logger, accepts: options.role !== 'deliver', acceptance })
    const mailer = new Mailer({
      validation,
      acceptance,
      scheduler,
      templates: new TemplateManager(options.templates, runner, templates),
      events,
      metrics,
      instruments,
      activity,
      loopDelay,
      redaction,
      waiters,
      runner,
      queue,
      accepts: options.role !== 'deliver',
      dispatcher,
      ...(alertMonitor === undefined ? {} : { alertMonitor }),
      webhooks,
      archive,
      archiveDir: options.archive?.dir,
      transports: manager,
      settings,
      suppressionLookup,
      suppressions,
      feedback,
      ...(inbox === undefined ? {} : { inbox }),
    })
    const threaded = options.threads > 0
    const advance = queue.advance?.bind(queue)
    const harmless =
      threaded && options.role === 'both' && options.transports.every(({ config }) => config.kind === 'inbox')
    setTestHooks(mailer, {
      threaded,
      ...(harmless ? { endThread: () => started.endThread() } : {}),
      ...(advance === undefined ? {} : { advance: (ms) => scheduler.advance(ms, advance) }),
    })
    return mailer
  } catch (error) {
    await settleAll([
      () => queue?.close(),
      () => runner?.close(),
      () => archive?.close(),
      () => inbox?.close(),
    ]).catch(() => undefined)
    throw error
  }
}

function transportListener(events: Events, logger: Logger): TransportListener {
  const held = new Map<string, ConditionLog>()
  const slowed = new Map<string, ConditionLog>()
  return {
    opened: (transport, error) => {
      const log = conditionOf(held, transport, logger, {
        begins: 'Mail is held',
        level: 'warn',
        ends: 'The transport works again',
      })
      log.begin({ transport, code: error.code }, `Mail is held: ${error.message}`)
      events.emit('breaker-open', () => ({ transport, ...error }))
    },
    closed: (transport, openFor) => {
      held.get(transport)?.end({ transport, openFor })
      events.emit('breaker-closed', () => ({ transport, openFor }))
    },
    slowed: (transport, rate) => {
      const log = conditionOf(slowed, transport, logger, {
        begins: 'The server asks for fewer messages, so the transport is slowed down',
        level: 'warn',
        ends: 'The server no longer asks for fewer messages',
      })
      log.happened({ transport, rate })
      events.emit('transport-slowed', () => ({ transport, rate }))
    },
  }
}

function alertMonitorFor(
  { limits, logger }: ResolvedOptions,
  plan: AlertPlan,
  parts: {
    queue: QueueDriver
    metrics: Metrics
    dispatcher: Dispatcher
    events: Events
    runner: Runner
    webhooks: Webhooks | undefined
    archive: Archive | undefined
  },
): AlertMonitor {
  const { queue, metrics, dispatcher, events, runner, webhooks, archive } = parts
  const sources = {
    queue,
    metrics,
    transports: () => dispatcher.transports.statuses(),
    setup: () => runner.outage,
    reported: () => readReported(queue, Date.now()),
    capacity: limits.queue,
    webhooks: webhooks && (() => webhooks.readings()),
    archive: archive && (() => archive.status()),
  }
  const listener = {
    raised: (alert: Alert) => events.emit('alert', () => alert),
    cleared: (alert: ClearedAlert) => events.emit('alert-cleared', () => alert),
  }
  return new AlertMonitor(plan, sources, listener, logger)
}

function feedbackOf(parts: FeedbackDependencies): () => Promise<Feedback> {
  let feedback: Promise<Feedback> | undefined
  return () =>
    (feedback ??= import('./feedback/feedback.js').then(({ Feedback: Loaded }) => new Loaded(parts)))
}

async function inboxFor(options: ResolvedOptions): Promise<Inbox | undefined> {
  if (!options.transports.some(({ config }) => config.kind === 'inbox')) return undefined
  const { startInbox } = await import('./inbox/inbox.js')
  return startInbox()
}

function transportsOf(options: ResolvedOptions, inbox: Inbox | undefined): TransportConfig[] {
  return options.transports.flatMap(({ config, budget: { connections } }) => {
    if (config.kind === 'spread') return []
    const known = config.kind === 'inbox' ? loopbackTransport(config, inbox?.url ?? '') : config
    return [connections === undefined ? known : { ...known, connections }]
  })
}

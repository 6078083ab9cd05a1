import type * as Otel from '@opentelemetry/api'
import type { Context, HrTime, Span, SpanContext, Tracer } from '@opentelemetry/api'
import { isTraceparent } from '../context.js'
import type { Delivery } from '../feedback/deliveryStates.js'
import type { Redaction } from '../logging/redaction.js'
import type { Attempt, MailJob } from '../message/messageState.js'
import type { RetryDecision, Timings } from '../protocol/outcome.js'
import type { EnqueueResult, QueuedMessage } from '../queue/driver.js'
import type { OpenTelemetry } from './openTelemetry.js'

/** The API's own tracer provider. It has no delegate until an SDK is registered. */
interface Delegating {
  getDelegateTracer?(name: string): Tracer | undefined
}

const SYSTEM = { 'messaging.system': 'threadpost' }
/** Steps of an attempt in order: those before the connection count from the start, the others back from the end. */
const BEFORE = ['clone', 'load', 'compile', 'render', 'compose'] as const satisfies readonly (keyof Timings)[]
const AFTER = ['transaction', 'connect'] as const satisfies readonly (keyof Timings)[]

/**
 * Creates OpenTelemetry spans if its API is installed and a provider is registered; costs nothing otherwise. A message
 * carries its trace as W3C Trace Context in its `context`, so that it continues after a restart or on another machine.
 *
 * The spans of an attempt are created after it, from its timings: worker threads need no SDK.
 */
export class Tracing {
  readonly #telemetry: OpenTelemetry
  readonly #redaction: Redaction

  constructor(telemetry: OpenTelemetry, redaction: Redaction) {
    this.#telemetry = telemetry
    this.#redaction = redaction
  }

  /**
   * Starts a span for each job, and makes the job part of its trace.
   * @returns a function that ends the spans, to be called with the queue's answers; undefined without a provider
   */
  sending(jobs: readonly MailJob[]): ((answers: readonly EnqueueResult[]) => void) | undefined {
    const { api } = this.#telemetry
    const tracer = this.#tracer()
    if (api === undefined || tracer === undefined) return undefined
    const spans = jobs.map((job) => {
      const active = api.context.active()
      const parent = api.trace.getSpanContext(active) === undefined ? this.#remote(api, job) : active
      const attributes = { ...attributesOf(job), ...operation('send') }
      const span = tracer.startSpan(
        `send ${job.transport}`,
        { kind: api.SpanKind.PRODUCER, attributes },
        parent,
      )
      join(job, span.spanContext())
      return span
    })
    return (answers) => {
      for (const [index, span] of spans.entries()) {
        const result = answers[index]?.result ?? 'unavailable'
        if (result === 'duplicate') span.setAttribute('threadpost.duplicate', true)
        else if (result !== 'queued') fail(api, span, result)
        span.end()
      }
    }
  }

  attempted({ job, state }: QueuedMessage, attempt: Attempt, decision: RetryDecision): void {
    const { api } = this.#telemetry
    const tracer = this.#tracer()
    if (api === undefined || tracer === undefined) return
    const { outcome, start, end } = attempt
    const { timings, reply } = outcome
    const parent = this.#remote(api, job)
    const origin = api.trace.getSpanContext(parent)
    const attributes = {
      ...attributesOf(job),
      ...operation('process'),
      'threadpost.attempt': state.attempts.length + 1,
      'threadpost.thread': attempt.thread,
      'threadpost.transport': attempt.transport,
      'threadpost.outcome': outcome.result,
      'threadpost.status': decision.status,
      ...(reply === undefined ? {} : { 'threadpost.reply': reply.code }),
    }
    // The wait in the queue is an attribute of the link to the span that sent the message.
    const wait = { 'threadpost.queue.wait': timings.queue ?? 0 }
    const span = tracer.startSpan(
      `process ${job.transport}`,
      {
        kind: api.SpanKind.CONSUMER,
        attributes,
        startTime: toHrTime(start),
        links: origin === undefined ? [] : [{ context: origin, attributes: wait }],
      },
      parent,
    )
    const around = api.trace.setSpan(parent, span)
    for (const step of stepsOf(timings, start, end)) {
      const kind = step.remote ? api.SpanKind.CLIENT : api.SpanKind.INTERNAL
      tracer.startSpan(step.name, { kind, startTime: toHrTime(step.start) }, around).end(toHrTime(step.end))
    }
    if (outcome.result !== 'sent') fail(api, span, outcome.code, this.#redaction.text(outcome.message))
    span.end(toHrTime(end))
  }

  /** Adds what was reported of a recipient to the message's trace, as a short span. */
  reported({ job }: QueuedMessage, { state, at, category, enhanced, source }: Delivery): void {
    const tracer = this.#tracer()
    const { api } = this.#telemetry
    if (api === undefined || tracer === undefined) return
    const attributes = {
      ...attributesOf(job),
      ...operation('settle'),
      'threadpost.delivery.state': state,
      'threadpost.delivery.source': source,
      ...(category === undefined ? {} : { 'threadpost.delivery.category': category }),
      ...(enhanced === undefined ? {} : { 'threadpost.delivery.enhanced': enhanced }),
    }
    const span = tracer.startSpan(
      `settle ${job.transport}`,
      { kind: api.SpanKind.CONSUMER, attributes },
      this.#remote(api, job),
    )
    span.addEvent(state, attributes, new Date(at))
    span.end()
  }

  /** Runs a function as part of a message's trace: the message is the parent of spans that it starts. */
  within(job: MailJob, run: () => void): void {
    const { api } = this.#telemetry
    if (api === undefined) run()
    else api.context.with(this.#remote(api, job), run)
  }

  /** Undefined unless an SDK would record its spans. */
  #tracer(): Tracer | undefined {
    const provider = this.#telemetry.get()?.trace.getTracerProvider() as Delegating | undefined
    return provider?.getDelegateTracer?.('threadpost')
  }

  /** Returns the trace context that a job carries. */
  #remote(api: typeof Otel, { context }: MailJob): Context {
    const { traceparent, tracestate } = context ?? {}
    if (typeof traceparent !== 'string' || !isTraceparent(traceparent)) return api.ROOT_CONTEXT
    const [, traceId = '', spanId = '', flags = '00'] = traceparent.split('-')
    const origin: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    if (typeof tracestate === 'string') origin.traceState = api.createTraceState(tracestate)
    return api.trace.setSpanContext(api.ROOT_CONTEXT, origin)
  }
}

/** Stores a span as the parent of a job (W3C Trace Context section 3.2). */
function join(job: MailJob, { traceId, spanId, traceFlags, traceState }: SpanContext): void {
  const { tracestate: _, ...context } = job.context ?? {}
  const flags = traceFlags.toString(16).padStart(2, '0')
  const state = traceState?.serialize() ?? ''
  job.context = {
    ...context,
    traceparent: `00-${traceId}-${spanId}-${flags}`,
    ...(state === '' ? {} : { tracestate: state }),
  }
}

/** Attributes according to the semantic conventions for messaging. */
function attributesOf({ id, transport, content }: MailJob) {
  return {
    ...SYSTEM,
    'messaging.destination.name': transport,
    'messaging.message.id': id,
    ...(content.kind === 'template' ? { 'threadpost.template': content.name } : {}),
  }
}

function operation(name: 'send' | 'process' | 'settle') {
  return { 'messaging.operation.name': name, 'messaging.operation.type': name }
}

function fail(api: typeof Otel, span: Span, type: string, message?: string): void {
  span.setAttribute('error.type', type)
  span.setStatus({ code: api.SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) })
}

interface Step {
  name: string
  remote: boolean
  /** Milliseconds since the epoch. */
  start: number
  end: number
}

function stepsOf(timings: Timings, start: number, end: number): Step[] {
  const steps: Step[] = []
  let at = start
  for (const name of BEFORE) {
    const ms = timings[name] ?? 0
    if (ms > 0 && name !== 'clone') steps.push({ name, remote: false, start: at, end: at + ms })
    at += ms
  }
  let until = end
  for (const name of AFTER) {
    const ms = timings[name] ?? 0
    if (ms > 0) steps.push({ name, remote: true, start: until - ms, end: until })
    until -= ms
  }
  return steps
}

/** Converts to seconds and nanoseconds: the API may take plain milliseconds for a time since the process started. */
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}

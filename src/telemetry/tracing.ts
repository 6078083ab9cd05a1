import type * as Otel from '@opentelemetry/api'
import type { Context, HrTime, Span, SpanContext, Tracer } from '@opentelemetry/api'
import { isTraceparent } from '../context.js'
import type { Redaction } from '../logging/redaction.js'
import type { Attempt, MailJob } from '../message/messageState.js'
import type { Timings, RetryDecision } from '../protocol/outcome.js'
import type { Enqueued, QueuedMessage } from '../queue/driver.js'

/** A provider of tracers as the API keeps it: it makes none until an SDK is registered. */
interface Delegating {
  getDelegateTracer?(name: string): Tracer | undefined
}

/** Where the API keeps what was registered; without it there is nothing to load the API for. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1')
const SYSTEM = { 'messaging.system': 'threadpost' }
/** Steps of an attempt in order; what is before the connection counts from the start, the rest from the end. */
const BEFORE = ['clone', 'compile', 'render', 'compose'] as const satisfies readonly (keyof Timings)[]
const AFTER = ['transaction', 'connect'] as const satisfies readonly (keyof Timings)[]

/**
 * Traces by OpenTelemetry, if its API is installed and a provider registered; else nothing, at no cost. A message takes
 * the trace along as W3C Trace Context in its own context, so that a restart or another machine goes on with it.
 *
 * The spans of an attempt are made when it has ended, of the times it took: the threads need no SDK.
 */
export class Tracing {
  #api: typeof Otel | undefined
  #loading: Promise<void> | undefined

  readonly #redaction: Redaction

  private constructor(redaction: Redaction) {
    this.#redaction = redaction
  }

  /** Ready at once where an SDK is; one that is registered later is met with the messages that follow. */
  static async load(redaction: Redaction): Promise<Tracing> {
    const tracing = new Tracing(redaction)
    if (REGISTRY in globalThis) await tracing.#load()
    return tracing
  }

  #load(): Promise<void> {
    this.#loading ??= import('@opentelemetry/api').then(
      (api) => {
        this.#api = api
      },
      () => undefined,
    )
    return this.#loading
  }

  /**
   * Begins a span for each job, which from now on is part of its trace.
   * @returns to be told what became of them
   */
  sending(jobs: readonly MailJob[]): ((answers: readonly Enqueued[]) => void) | undefined {
    const api = this.#api
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

  attempted({ job, state }: QueuedMessage, attempt: Attempt, verdict: RetryDecision): void {
    const api = this.#api
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
      'threadpost.status': verdict.status,
      ...(reply === undefined ? {} : { 'threadpost.reply': reply.code }),
    }
    // The wait in the queue stands as a link to who put it there.
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

  /** Runs something as a part of a message's trace: spans that it starts follow from the message. */
  within(job: MailJob, run: () => void): void {
    const api = this.#api
    if (api === undefined) run()
    else api.context.with(this.#remote(api, job), run)
  }

  /** Undefined as long as nobody would take its spans. */
  #tracer(): Tracer | undefined {
    if (this.#api === undefined) {
      if (this.#loading === undefined && REGISTRY in globalThis) void this.#load()
      return undefined
    }
    return (this.#api.trace.getTracerProvider() as Delegating).getDelegateTracer?.('threadpost')
  }

  /** The context of the trace that a job belongs to. */
  #remote(api: typeof Otel, { context }: MailJob): Context {
    const { traceparent, tracestate } = context ?? {}
    if (typeof traceparent !== 'string' || !isTraceparent(traceparent)) return api.ROOT_CONTEXT
    const [, traceId = '', spanId = '', flags = '00'] = traceparent.split('-')
    const origin: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    if (typeof tracestate === 'string') origin.traceState = api.createTraceState(tracestate)
    return api.trace.setSpanContext(api.ROOT_CONTEXT, origin)
  }
}

/** Writes down (W3C Trace Context section 3.2) that a job follows from a span. */
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

/** By the semantic conventions for messaging. */
function attributesOf({ id, transport, content }: MailJob) {
  return {
    ...SYSTEM,
    'messaging.destination.name': transport,
    'messaging.message.id': id,
    ...(content.kind === 'template' ? { 'threadpost.template': content.name } : {}),
  }
}

function operation(name: 'send' | 'process') {
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

/** Seconds and nanoseconds since the epoch: plain milliseconds may be taken for a time since the process began. */
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}

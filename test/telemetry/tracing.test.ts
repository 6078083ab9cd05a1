import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import express from 'express'
import { currentContext } from 'threadpost'
import { mailContext } from 'threadpost/express'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { startRedis } from '../support/redis.js'
import { SenderProcess } from '../support/senderProcess.js'
import { itWith } from '../support/tools.js'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`
const MAIL = { to: 'ada@example.com', subject: 's', text: 't' }

const page = (title: string): string =>
  `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{@context.requestId}}</mj-text></mj-column></mj-section></mj-body></mjml>`

/** An SDK that keeps its spans. */
function sdk(): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter()
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  return exporter
}
afterEach(() => {
  trace.disable()
  context.disable()
})

const named = (spans: ReadableSpan[], name: string): ReadableSpan => {
  const found = spans.filter((span) => span.name === name)
  expect(found, name).toHaveLength(1)
  return found[0] as ReadableSpan
}
const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId
const ms = ([seconds, nanos]: [number, number]) => seconds * 1e3 + nanos / 1e6

describe('a trace', () => {
  it('covers the request, the queue, the thread, and SMTP, and listeners run in the context of the request', async () => {
    const exporter = sdk()
    const templates = await folderOf({ 'hello.mjml': page('Hello'), 'hello.fr.mjml': page('Bonjour') })
    const { mailer, inbox } = await mailerWithInbox({ templates })
    let around: unknown
    mailer.on('sent', async () => {
      await Promise.resolve()
      around = currentContext()
      trace.getTracer('app').startSpan('note it').end()
    })
    const app = express()
      .use(mailContext())
      .post('/', async (_request, response) => {
        response.json(await mailer.send({ template: 'hello', to: 'ada@example.com' }))
      })
      .listen(0, '127.0.0.1')
    await once(app, 'listening')
    onTestFinished(() => void app.close())
    const response = await fetch(`http://127.0.0.1:${(app.address() as AddressInfo).port}/`, {
      method: 'POST',
      headers: { 'accept-language': 'fr', 'x-request-id': 'req-1', traceparent: TRACEPARENT },
    })
    const { id } = (await response.json()) as { id: string }
    const message = await mailer.wait(id)
    expect((await inbox.waitFor({ subject: 'Bonjour' })).text).toContain('req-1')

    const spans = exporter.getFinishedSpans()
    expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE_ID]))
    const send = named(spans, 'send default')
    const process = named(spans, 'process default')
    expect([parentOf(send), send.kind]).toEqual(['b7ad6b7169203331', SpanKind.PRODUCER])
    expect([parentOf(process), process.kind]).toEqual([send.spanContext().spanId, SpanKind.CONSUMER])
    expect(process.links[0]).toMatchObject({
      context: { spanId: send.spanContext().spanId },
      attributes: { 'threadpost.queue.wait': message.attempts[0]?.timings.queue },
    })
    expect(process.attributes).toMatchObject({
      'messaging.system': 'threadpost',
      'messaging.operation.type': 'process',
      'messaging.message.id': id,
      'threadpost.template': 'hello',
      'threadpost.attempt': 1,
      'threadpost.outcome': 'sent',
      'threadpost.thread': message.attempts[0]?.thread,
    })
    expect(parentOf(named(spans, 'note it'))).toBe(send.spanContext().spanId)
    for (const name of ['render', 'compose', 'connect', 'transaction']) {
      const step = named(spans, name)
      expect(parentOf(step)).toBe(process.spanContext().spanId)
      expect(ms(step.startTime)).toBeGreaterThanOrEqual(ms(process.startTime) - 1)
      expect(ms(step.endTime)).toBeLessThanOrEqual(ms(process.endTime) + 1)
    }
    expect(message.context?.['traceparent']).toBe(`00-${TRACE_ID}-${send.spanContext().spanId}-01`)
    expect(around).toEqual({ ...message.context, requestId: 'req-1', locale: 'fr' })
  })

  it('continues the active span, with a span for each attempt', async () => {
    const exporter = sdk()
    const { mailer } = await mailerWithInbox({}, { faults: [{ at: 'rcpt', do: 'defer', times: 1 }] })
    const tracer = trace.getTracer('app')
    const id = await tracer.startActiveSpan('work', async (span) => {
      const receipt = await mailer.send(MAIL)
      span.end()
      return receipt.id
    })
    await mailer.wait(id)
    const spans = exporter.getFinishedSpans()
    const send = named(spans, 'send default')
    expect(parentOf(send)).toBe(named(spans, 'work').spanContext().spanId)
    const attempts = spans.filter(({ name }) => name === 'process default')
    expect(attempts.map(parentOf)).toEqual([send, send].map((span) => span.spanContext().spanId))
    expect(attempts.map(({ attributes }) => attributes['threadpost.attempt'])).toEqual([1, 2])
    expect(attempts.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET])
    expect(attempts[0]?.attributes).toMatchObject({
      'error.type': 'SMTP_DEFERRED',
      'threadpost.status': 'deferred',
    })
  })

  it('has what is reported after the message was sent, as an event of a span', async () => {
    const exporter = sdk()
    const { mailer } = await mailerWithInbox()
    const { id, context } = await mailer.sendAndWait(MAIL)
    await mailer.report({ id, state: 'bounced', enhanced: '5.1.1', at: 1_772_000_000_000 })
    const span = named(exporter.getFinishedSpans(), 'settle default')
    expect(context?.['traceparent']).toContain(`${span.spanContext().traceId}-${parentOf(span)}`)
    expect(span.events).toMatchObject([
      {
        name: 'bounced',
        time: [1_772_000_000, 0],
        attributes: { 'threadpost.delivery.state': 'bounced', 'threadpost.delivery.category': 'mailbox' },
      },
    ])
  })

  it('continues after kill -9 in the process that takes over the message', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const dead = new SenderProcess({
      file,
      url: 'smtp://127.0.0.1:9',
      count: 1,
      callers: 1,
      context: { requestId: 'req-9', traceparent: TRACEPARENT },
    })
    await dead.given(1)
    await dead.kill()
    const [id = ''] = dead.receipts.keys()

    const exporter = sdk()
    const inbox = await testInbox()
    const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}` })
    let around: unknown
    mailer.on('sent', () => {
      around = currentContext()
      trace.getTracer('app').startSpan('note it').end()
    })
    await mailer.retry(id).catch(() => undefined)
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent', context: { requestId: 'req-9' } })
    expect(around).toMatchObject({ requestId: 'req-9', traceparent: TRACEPARENT })
    const note = named(exporter.getFinishedSpans(), 'note it')
    expect([note.spanContext().traceId, parentOf(note)]).toEqual([TRACE_ID, 'b7ad6b7169203331'])
    const sent = exporter
      .getFinishedSpans()
      .find(({ attributes }) => attributes['threadpost.outcome'] === 'sent')
    expect(sent?.spanContext().traceId).toBe(TRACE_ID)
    expect(parentOf(sent as ReadableSpan)).toBe('b7ad6b7169203331')
    expect(sent?.links[0]?.attributes?.['threadpost.queue.wait']).toBeGreaterThan(0)
  })

  itWith(
    ['redis-server'],
    'goes on through Redis in the process that delivers',
    async ({ 'redis-server': tool }) => {
      const exporter = sdk()
      const redis = await startRedis(tool)
      onTestFinished(() => redis.close())
      const templates = await folderOf({ 'hello.mjml': page('Hello'), 'hello.fr.mjml': page('Bonjour') })
      const { mailer: host, inbox } = await mailerWithInbox({ templates, queue: redis.url, role: 'deliver' })
      const around = new Promise((resolve) => {
        host.on('sent', () => {
          trace.getTracer('app').startSpan('note it').end()
          resolve(currentContext())
        })
      })
      const web = await testMailer({ queue: redis.url, role: 'send' })
      await web.runWithContext({ requestId: 'req-7', locale: 'fr', traceparent: TRACEPARENT }, () =>
        web.send({ template: 'hello', to: 'ada@example.com' }),
      )
      expect((await inbox.waitFor({ subject: 'Bonjour' })).text).toContain('req-7')
      expect(await around).toMatchObject({ requestId: 'req-7', locale: 'fr' })
      const spans = exporter.getFinishedSpans()
      expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE_ID]))
      const send = named(spans, 'send default')
      for (const name of ['process default', 'note it'])
        expect(parentOf(named(spans, name))).toBe(send.spanContext().spanId)
    },
  )

  itWith(
    ['redis-server'],
    'goes on through Redis after kill -9 of the process that sent',
    async ({ 'redis-server': tool }) => {
      const redis = await startRedis(tool)
      onTestFinished(() => redis.close())
      const dead = new SenderProcess({
        file: 'none',
        url: 'smtp://127.0.0.1:9',
        count: 1,
        callers: 1,
        queue: { url: redis.url },
        options: { role: 'send' },
        context: { requestId: 'req-8', locale: 'fr', traceparent: TRACEPARENT },
      })
      await dead.given(1)
      await dead.kill()
      const [id = ''] = dead.receipts.keys()
      const exporter = sdk()
      let around: unknown
      const { mailer } = await mailerWithInbox({ queue: redis.url })
      mailer.on('sent', () => {
        around = currentContext()
        trace.getTracer('app').startSpan('note it').end()
      })
      expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })
      await expect.poll(() => around).toMatchObject({ requestId: 'req-8', locale: 'fr' })
      const spans = exporter.getFinishedSpans()
      for (const name of ['process default', 'note it'])
        expect(parentOf(named(spans, name))).toBe('b7ad6b7169203331')
      expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE_ID]))
    },
  )

  it('is passed on without an SDK, and begins once an SDK is registered', async () => {
    const { mailer } = await mailerWithInbox()
    const { id } = await mailer.runWithContext({ traceparent: TRACEPARENT }, () => mailer.send(MAIL))
    expect(await mailer.wait(id)).toMatchObject({ context: { traceparent: TRACEPARENT } })
    expect((await mailer.sendAndWait(MAIL)).context).toBeUndefined()

    const exporter = sdk()
    await expect
      .poll(async () => {
        await context.with(ROOT_CONTEXT, () => mailer.sendAndWait(MAIL))
        return exporter.getFinishedSpans().map(({ name }) => name)
      })
      .toContain('process default')
  })
})

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { Writable } from 'node:stream'
import { trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import Sqlite from 'better-sqlite3'
import express from 'express'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { explain } from 'threadpost'
import { mailRouter } from 'threadpost/express'
import { expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { startRedis } from '../support/redis.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { itWith } from '../support/tools.js'

const PASSWORD = 'canary-Passw0rd'
const AUTH = Buffer.from(`\0user\0${PASSWORD}`).toString('base64')
const API_TOKEN = 'canary-api-token'
const API_KEY = 'SG.canary-key'
const REDIS_PASSWORD = 'canary-redis'
const LINK = 'https://app.example/reset/canary0123456789abcdef?token=canary9876543210'
const CANARIES = [PASSWORD, Buffer.from(PASSWORD).toString('base64'), AUTH, API_TOKEN, API_KEY, 'canary']

const EVENTS = [
  'queued',
  'sending',
  'deferred',
  'held',
  'sent',
  'failed',
  'breaker-open',
  'breaker-closed',
  'alert',
  'alert-cleared',
] as const

/** A server that repeats secrets in its replies: the password, and the link in a mail. */
async function serverWithSecrets(): Promise<ScriptedServer> {
  let refused = false
  return ScriptedServer.start({
    extensions: ['PIPELINING', 'AUTH PLAIN'],
    auth: (line) => {
      if (refused) return '235 2.7.0 welcome'
      refused = true
      return `535 5.7.8 cannot accept "${line}", that is user:${PASSWORD}`
    },
    dot: (_line, { turn, messages }) =>
      messages[turn - 1]?.data.includes('spam') === true
        ? `554 5.7.1 blocked: it links to ${LINK}`
        : '250 2.0.0 taken',
  })
}

/** A service that repeats the API key and a link in its replies: first 401, then 400. */
async function apiWithSecrets(): Promise<string> {
  let requests = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const status = requests++ === 0 ? 401 : 400
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify({ errors: [{ message: `${status}: ${request.headers.authorization}, ${LINK}` }] }),
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The whole file as text, except the content of the messages. */
function textOfFile(file: string): string {
  const db = new Sqlite(file, { readonly: true })
  onTestFinished(() => void db.close())
  const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all() as string[]
  expect(tables).toContain('content')
  const rows = tables
    .filter((table) => table !== 'content' && table !== 'attachment')
    .map((table) => db.prepare(`SELECT * FROM "${table}"`).all())
  return JSON.stringify(rows, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  )
}

/** All keys and values in Redis as text, except the content of the messages. */
async function textOfRedis(redis: Redis): Promise<string> {
  const found: unknown[] = []
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key)
    if (type === 'hash') {
      const { content: _, files: __, ...rest } = await redis.hgetall(key)
      found.push(key, rest)
    } else if (type === 'string') found.push(key, await redis.get(key))
    else if (type === 'zset') found.push(key, await redis.zrange(key, '0', '-1', 'WITHSCORES'))
    else if (type === 'list') found.push(key, await redis.lrange(key, 0, -1))
    else if (type === 'set') found.push(key, await redis.smembers(key))
    else if (type === 'stream') found.push(key, await redis.xrange(key, '-', '+'))
  }
  return JSON.stringify(found)
}

/**
 * Sends mail with secrets through every part of a mailer, and expects no secret in its output.
 * @param stored returns what the queue stores, as text, except the content of the messages
 */
async function expectNoLeak(queue: string, stored: () => string | Promise<string>): Promise<void> {
  const server = await serverWithSecrets()
  const seen: string[] = []
  const keep = (output: unknown) =>
    void seen.push(typeof output === 'string' ? output : JSON.stringify(output))
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      keep(chunk.toString())
      done()
    },
  })
  const exporter = new InMemorySpanExporter()
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  )
  onTestFinished(() => trace.disable())
  for (const name of ['threadpost:message', 'threadpost:attempt']) {
    const publish = (report: unknown) => keep({ name, report })
    subscribe(name, publish)
    onTestFinished(() => void unsubscribe(name, publish))
  }
  const page = (title: string, body: string) =>
    `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${body}</mj-text></mj-column></mj-section></mj-body></mjml>`
  const folder = await folderOf({
    'reset.mjml': page('Reset', '<a href="{{url}}">{{note}}</a>'),
    'broken.mjml': page('Broken', '{{parse url}}'),
    'helpers.js': 'export const parse = (url) => { throw new Error("cannot parse " + url) }',
  })
  const mailer = await testMailer({
    transports: {
      main: { url: `smtp://user:${PASSWORD}@127.0.0.1:${server.port}`, requireTLS: false },
      service: { url: 'sendgrid:', apiKey: API_KEY, endpoint: await apiWithSecrets() },
    },
    templates: folder,
    queue,
    breaker: { probeDelay: 20 },
    alerts: { interval: 20, breaker: { openFor: 0 } },
    logger: pino({ level: 'debug' }, stream),
  })
  for (const name of EVENTS) mailer.on(name, (event: object) => keep({ name, event }))
  const opened = new Promise((resolve) => mailer.once('breaker-open', resolve))

  const app = express()
    .use(
      '/mail',
      mailRouter(mailer, { auth: { tokens: [{ token: API_TOKEN, scopes: ['send', 'read', 'manage'] }] } }),
    )
    .listen(0, '127.0.0.1')
  await once(app, 'listening')
  onTestFinished(() => {
    app.closeAllConnections()
    app.close()
  })
  const api = async (route: string, init: RequestInit = {}) => {
    const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}/mail${route}`
    const headers = { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' }
    const response = await fetch(url, { ...init, headers })
    const text = await response.text()
    keep(text)
    return { status: response.status, text }
  }
  const send = async (template: string, note: string, transport = 'main') => {
    const body = JSON.stringify({
      template,
      to: 'ada@example.com',
      data: { url: LINK, note },
      transport,
      idempotencyKey: `${template} ${note} ${transport}`,
      attachments: [{ filename: 'link.txt', content: LINK }],
    })
    const { status, text } = await api('/messages', { method: 'POST', body })
    expect(status).toBe(202)
    return (JSON.parse(text) as { id: string }).id
  }
  const sent = await send('reset', 'Reset your password')
  const unauthorized = await send('reset', 'Reset your password', 'service')
  await opened
  keep(await stored())
  keep(await mailer.stats())
  await api('/stats')
  const refused = await send('reset', 'spam')
  const broken = await send('broken', '')
  const ids = [sent, refused, broken, unauthorized]
  const ends = await Promise.all(ids.map((id) => mailer.wait(id)))
  expect(ends.map(({ status }) => status)).toEqual(['sent', 'failed', 'failed', 'failed'])
  for (const end of ends) keep([end, explain(end)])
  keep((await mailer.list()).messages)
  await api('/messages')
  for (const id of ids) await api(`/messages/${id}`)
  expect((await api('/metrics')).status).toBe(200)
  await api('/messages', { method: 'POST', body: '{ "template": "reset", "data": { "url": "canary" ' })
  expect(
    (await api('/templates/broken/render', { method: 'POST', body: JSON.stringify({ data: { url: LINK } }) }))
      .text,
  ).toContain('TEMPLATE_ERROR')
  keep(await mailer.verify())
  keep(await stored())
  const spans = exporter.getFinishedSpans()
  for (const { name, kind, attributes, status, events, links } of spans)
    keep({ name, kind, attributes, status, events, links })

  // The rest of the output is there: the secrets are not missing because nothing was reported.
  expect(spans.map(({ status }) => status.message).join('\n')).toContain('blocked: it links to')
  const all = seen.join('\n')
  for (const reported of [
    '535',
    '5.7.8',
    '554',
    'blocked: it links to https://app.example/',
    'cannot parse',
    'breaker-open',
    '"alert"',
    '401: ',
    '400: ',
    'threadpost:attempt',
    'process main',
    'Reset your password main',
  ])
    expect(all).toContain(reported)
  expect(server.messages.map(({ data }) => data).join('')).toContain('canary')
  for (const canary of CANARIES) {
    const at = all.toLowerCase().indexOf(canary.toLowerCase())
    expect(at < 0 ? '' : all.slice(Math.max(0, at - 200), at + 100)).toBe('')
  }
}

const TITLE =
  'no password, token, or reset link appears in logs, events, metrics, or the API, nor outside the content in the queue'

it(`${TITLE} (SQLite)`, async () => {
  const file = path.join(await folderOf({}), 'outbox.db')
  await expectNoLeak(`sqlite:${file}`, () => textOfFile(file))
})

itWith(['redis-server'], `${TITLE} (Redis)`, async ({ 'redis-server': tool }) => {
  const server = await startRedis(tool, ['--requirepass', REDIS_PASSWORD])
  onTestFinished(() => server.close())
  const url = `redis://:${REDIS_PASSWORD}@127.0.0.1:${server.port}`
  const redis = new Redis(url)
  const listening = new Redis(url)
  onTestFinished(() => {
    redis.disconnect()
    listening.disconnect()
  })
  const published: string[] = []
  listening.on('pmessage', (_pattern, name: string, text: string) => published.push(name, text))
  await listening.psubscribe('*')
  await expectNoLeak(url, async () => [await textOfRedis(redis), ...published].join('\n'))
  expect(published).not.toEqual([])
})

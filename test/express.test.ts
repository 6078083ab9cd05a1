import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Mailer } from 'threadpost'
import { type Auth, mailRouter, type MailRouterOptions } from 'threadpost/express'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { mailerWithInbox } from './support/mailer.js'

interface Api {
  mailer: Mailer
  inbox: Inbox
  call(
    path: string,
    init?: RequestInit,
  ): Promise<{ status: number; headers: Headers; body: ReturnType<typeof JSON.parse> }>
  post(body: unknown, headers?: Record<string, string>): ReturnType<Api['call']>
}

/** The router under a path of an app, over a mailer that sends to an inbox. */
async function api(options: Partial<MailRouterOptions> = {}): Promise<Api> {
  const { mailer, inbox } = await mailerWithInbox({ threads: 0, limits: { queue: 20 } })
  const app = express().use('/v1/mail', mailRouter(mailer, { auth: false, ...options }))
  const server: Server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/mail`
  const call: Api['call'] = async (path, init) => {
    const response = await fetch(base + path, init)
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }
  return {
    mailer,
    inbox,
    call,
    post: (body, headers = {}) =>
      call('/messages', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
  }
}

const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

describe('sending', () => {
  test('answers 202 with the receipt, and the message can be followed', async () => {
    const { post, call, mailer, inbox } = await api()
    const { status, body, headers } = await post(MAIL)
    expect(status).toBe(202)
    expect(body).toMatchObject({ status: 'queued', duplicate: false, durable: false })
    expect(headers.get('location')).toBe(`messages/${body.id}`)
    await mailer.wait(body.id)
    const message = await call(`/messages/${body.id}`)
    expect(message.status).toBe(200)
    expect(message.body).toMatchObject({ id: body.id, status: 'sent', subject: 'Hi' })
    expect(JSON.stringify(message.body)).not.toContain('Hello')
    expect((await inbox.waitFor({ to: 'ada@example.com' })).messageId).toBe(body.messageId)
  })

  test('takes attachments as base64', async () => {
    const { post, inbox } = await api()
    await post({ ...MAIL, attachments: [{ filename: 'a.bin', content: 'AAEC', encoding: 'base64' }] })
    expect((await inbox.waitFor()).attachments).toMatchObject([
      { filename: 'a.bin', content: new Uint8Array([0, 1, 2]) },
    ])
  })

  test('knows the Idempotency-Key header, quoted or not', async () => {
    const { post } = await api()
    const first = await post(MAIL, { 'idempotency-key': 'order-1' })
    const again = await post(MAIL, { 'idempotency-key': '"order-1"' })
    expect(again.status).toBe(202)
    expect(again.body).toMatchObject({ id: first.body.id, duplicate: true })
    const other = await post({ ...MAIL, subject: 'Other' }, { 'idempotency-key': 'order-1' })
    expect([other.status, other.body.code]).toEqual([409, 'IDEMPOTENCY_CONFLICT'])
    const both = await post({ ...MAIL, idempotencyKey: 'a' }, { 'idempotency-key': 'b' })
    expect([both.status, both.body.path]).toEqual([400, 'idempotencyKey'])
  })
})

describe('problems', () => {
  test.each<[string, unknown, number, string, string | undefined]>([
    [
      'a bad recipient',
      { ...MAIL, to: ['ada@example.com', 'a\r\nBcc: e@x.example'] },
      400,
      'INVALID_MESSAGE',
      'to[1]',
    ],
    ['an unknown field', { ...MAIL, subjet: 'x' }, 400, 'INVALID_MESSAGE', 'subjet'],
    ['an unknown template', { to: 'ada@example.com', template: 'nope' }, 400, 'UNKNOWN_TEMPLATE', 'template'],
    [
      'a path in an attachment',
      { ...MAIL, attachments: [{ path: '/etc/passwd' }] },
      400,
      'INVALID_MESSAGE',
      undefined,
    ],
    ['a list', [MAIL], 400, 'INVALID_MESSAGE', undefined],
    ['a string', '"mail"', 400, 'MALFORMED_JSON', undefined],
    ['half a body', '{"to":', 400, 'MALFORMED_JSON', undefined],
    ['a body too large', { ...MAIL, text: 'x'.repeat(20_000) }, 413, 'TOO_LARGE', undefined],
  ])('%s', async (_what, body, status, code, path) => {
    const { post, inbox } = await api({ bodyLimit: 10_000 })
    const answer = await post(body)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(answer.body).toMatchObject({ type: 'about:blank', status, code })
    expect(answer.body.detail).toMatch(/\w/)
    expect(answer.status).toBe(status)
    if (path !== undefined) expect(answer.body.path).toBe(path)
    expect(inbox.count).toBe(0)
  })

  test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', ''])(
    'a body of type %j is refused, as a foreign form would send it',
    async (type) => {
      const { call, mailer } = await api()
      const answer = await call('/messages', {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify(MAIL),
      })
      expect([answer.status, answer.body.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
      expect((await mailer.list()).messages).toEqual([])
    },
  )

  test('a full queue is 503, to be tried again', async () => {
    const { post, mailer } = await api()
    await mailer.pause()
    for (let count = 0; count < 20; count++) await post(MAIL)
    const answer = await post(MAIL)
    expect([answer.status, answer.body.code]).toEqual([503, 'QUEUE_FULL'])
    expect(answer.headers.get('retry-after')).toBe('1')
  })

  test('what does not exist is 404', async () => {
    const { call } = await api()
    for (const path of [
      '/messages/0190b5a0-0000-7000-8000-000000000000',
      '/messages/..%2f..',
      '/nowhere',
      '/',
    ])
      expect(await call(path)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })
})

describe('listing', () => {
  test('filters and pages', async () => {
    const { call, mailer } = await api()
    await mailer.pause()
    for (const subject of ['a', 'b', 'c']) await mailer.send({ ...MAIL, subject })
    const page = await call('/messages?limit=2&status=held')
    expect(page.body.messages.map(({ subject }: { subject: string }) => subject)).toEqual(['c', 'b'])
    const rest = await call(`/messages?limit=2&cursor=${page.body.cursor}`)
    expect(rest.body.messages).toHaveLength(1)
    expect((await call('/messages?q=ada')).body.messages).toHaveLength(3)
    expect((await call('/messages?status=sent')).body.messages).toEqual([])
  })

  test.each(['limit=0', 'limit=x', 'status=lost', 'cursor=x', 'page=2', 'q=a&q=b'])(
    '?%s is refused',
    async (query) => {
      const { call } = await api()
      expect(await call(`/messages?${query}`)).toMatchObject({
        status: 400,
        body: { path: query.split('=')[0] },
      })
    },
  )
})

describe('who may', () => {
  const auth: Auth = {
    tokens: [
      { token: 'sender-token', scopes: ['send'] },
      { token: 'reader-token', scopes: ['read'] },
    ],
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  test('each scope opens its own doors', async () => {
    const { post, call } = await api({ auth })
    expect((await post(MAIL, bearer('sender-token'))).status).toBe(202)
    expect((await call('/messages', { headers: bearer('reader-token') })).status).toBe(200)
    const wrong = await post(MAIL, bearer('reader-token'))
    expect([wrong.status, wrong.body.code]).toEqual([403, 'FORBIDDEN'])
    expect(wrong.headers.get('www-authenticate')).toContain('insufficient_scope')
    expect((await call('/messages', { headers: bearer('sender-token') })).status).toBe(403)
  })

  test.each<[string, Record<string, string>]>([
    ['no token', {}],
    ['another token', { authorization: 'Bearer sender-tokem' }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: 'Basic sender-token' }],
    ['part of a token', { authorization: 'Bearer sender' }],
  ])('%s is 401, before the body is read', async (_what, headers) => {
    const { post, mailer } = await api({ auth })
    const answer = await post('{"to":', headers)
    expect([answer.status, answer.body.code]).toEqual([401, 'UNAUTHORIZED'])
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(JSON.stringify(answer.body)).not.toContain('sender')
    expect((await mailer.list()).messages).toEqual([])
  })

  test('health is open', async () => {
    const { call } = await api({ auth })
    expect((await call('/healthz')).body).toEqual({ status: 'ok' })
    expect((await call('/readyz')).body).toEqual({ status: 'ready' })
  })

  test.each<[unknown, string]>([
    [undefined, 'auth'],
    [{}, 'auth'],
    [{ auth: true }, 'auth'],
    [{ auth: { tokens: [] } }, 'auth'],
    [{ auth: { tokens: [{ token: '', scopes: ['send'] }] } }, 'auth.tokens[0].token'],
    [{ auth: { tokens: [{ token: 'a b', scopes: ['send'] }] } }, 'auth.tokens[0].token'],
    [{ auth: { tokens: [{ token: 'x', scopes: ['all'] }] } }, 'auth.tokens[0].scopes'],
  ])('options %j are refused', async (options, path) => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    expect(() => mailRouter(mailer, options as MailRouterOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS', path }),
    )
  })
})

import path from 'node:path'
import { type Auth, mailRouter, type MailRouterOptions } from 'threadpost/express'
import { describe, expect, test } from 'vitest'
import { api, json, MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'

describe('sending over HTTP', () => {
  test('responds with 202 and the receipt, and the message can be looked up', async () => {
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

  test('accepts attachments as base64', async () => {
    const { post, inbox } = await api()
    await post({ ...MAIL, attachments: [{ filename: 'a.bin', content: 'AAEC', encoding: 'base64' }] })
    expect((await inbox.waitFor()).attachments).toMatchObject([
      { filename: 'a.bin', content: new Uint8Array([0, 1, 2]) },
    ])
  })

  test('accepts a finished message as base64, as the OpenAPI document says', async () => {
    const { call, post, inbox } = await api()
    const eml = Buffer.from('From: a@acme.example\r\nSubject: x\r\n\r\n\xe9\r\n', 'latin1')
    const { raw } = (await call('/openapi.json')).body.components.schemas.Mail.properties
    expect(raw.anyOf).toMatchObject([{ type: 'string' }, { required: ['base64'] }])
    const envelope = { from: 'a@acme.example', to: 'ada@example.com' }
    expect((await post({ raw: { base64: eml.toString('base64') }, envelope })).status).toBe(202)
    expect(Buffer.from((await inbox.waitFor()).raw)).toEqual(eml)
  })

  test('accepts the Idempotency-Key header, quoted or not', async () => {
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

describe('a batch', () => {
  test('has a result for each mail, in order', async () => {
    const { call, inbox } = await api()
    const mails = [MAIL, { ...MAIL, to: 'nobody' }, { to: 'ada@example.com', template: 'nope' }, 7, MAIL]
    const { status, body } = await call('/messages/batch', json({ messages: mails }))
    expect(status).toBe(202)
    expect(body.results).toMatchObject([
      { status: 'queued' },
      { status: 400, code: 'INVALID_MESSAGE', path: 'to' },
      { status: 400, code: 'UNKNOWN_TEMPLATE', path: 'template' },
      { status: 400, code: 'INVALID_MESSAGE' },
      { status: 'queued' },
    ])
    await expect.poll(() => inbox.count).toBe(2)
    expect((await call('/messages/batch', json([MAIL]))).body.results).toHaveLength(1)
  })

  test('has a limited size, and no idempotency key of its own', async () => {
    const { call, mailer } = await api({ batchLimit: 2 })
    for (const [body, path] of [
      [{ messages: [MAIL, MAIL, MAIL] }, 'messages'],
      [{ messages: [] }, 'messages'],
      [{ messages: MAIL }, 'messages'],
      [{ mails: [MAIL] }, 'messages'],
      [{ messages: [{ prepared: 1 }] }, 'messages[0].prepared'],
    ])
      expect(await call('/messages/batch', json(body))).toMatchObject({ status: 400, body: { path } })
    const keyed = await call('/messages/batch', json([MAIL], { 'idempotency-key': 'x' }))
    expect(keyed).toMatchObject({ status: 400, body: { path: 'idempotencyKey' } })
    expect((await mailer.list()).messages).toEqual([])
  })

  test('gets 503 if the queue accepts none of its mails', async () => {
    const { call, mailer } = await api({}, { limits: { queue: 1 } })
    await mailer.pause()
    expect((await call('/messages/batch', json([MAIL, MAIL]))).body.results).toMatchObject([
      { status: 'queued' },
      { status: 503, code: 'QUEUE_FULL' },
    ])
    expect(await call('/messages/batch', json([MAIL, MAIL]))).toMatchObject({
      status: 503,
      body: { code: 'QUEUE_FULL' },
    })
  })
})

describe('changing a message over HTTP', () => {
  const act = (id: string, action: string) => [`/messages/${id}/${action}`, { method: 'POST' }] as const

  test('retry, cancel and mark-sent return the message or an error', async () => {
    const { call, mailer } = await api()
    const { id } = await mailer.send({ ...MAIL, delay: 60_000 })
    expect(await call(...act(id, 'mark-sent'))).toMatchObject({ status: 409, body: { code: 'CONFLICT' } })
    expect(await call(...act(id, 'cancel'))).toMatchObject({ status: 200, body: { id, status: 'cancelled' } })
    expect(await call(...act(id, 'cancel'))).toMatchObject({ status: 409, body: { code: 'CONFLICT' } })
    expect(await call(...act(id, 'retry'))).toMatchObject({ status: 200, body: { id } })
    expect((await mailer.wait(id)).status).toBe('sent')
    const nobody = '0190b5a0-0000-7000-8000-000000000000'
    for (const action of ['retry', 'cancel', 'mark-sent'])
      expect(await call(...act(nobody, action))).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
    expect((await call(...act(id, 'forget'))).status).toBe(404)
  })

  test('is refused from a form and from a page of another site', async () => {
    const { call, mailer } = await api()
    const { id } = await mailer.send({ ...MAIL, delay: 60_000 })
    const [path] = act(id, 'cancel')
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await call(path, { method: 'POST', headers: form })).status).toBe(415)
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ])
      expect((await call(path, { method: 'POST', headers })).status).toBe(403)
    expect((await mailer.find(id))?.status).toBe('queued')
  })
})

describe('templates over HTTP', () => {
  test('can be listed and rendered', async () => {
    const templates = path.join(import.meta.dirname, '../../templates')
    const { call } = await api({}, { templates })
    const { body } = await call('/templates')
    const names = body.templates.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['receipt', 'reset-password', 'welcome']))
    const { sample } = body.templates.find(({ name }: { name: string }) => name === 'welcome')
    const rendered = await call('/templates/welcome/render', json({ data: sample }))
    expect(rendered.status).toBe(200)
    expect(Object.keys(rendered.body).sort()).toEqual(['html', 'preheader', 'subject', 'text'])
    for (const [name, request, expected] of [
      ['nope', {}, { code: 'UNKNOWN_TEMPLATE', path: 'template' }],
      ['welcome', { data: {} }, { code: 'MISSING_DATA', paths: expect.arrayContaining(['name']) }],
      ['welcome', { data: [] }, { code: 'INVALID_MESSAGE', path: 'data' }],
      ['welcome', { data: sample, locale: 'x y' }, { code: 'INVALID_MESSAGE', path: 'locale' }],
      ['welcome', { dat: {} }, { code: 'INVALID_MESSAGE', path: 'dat' }],
    ] as const)
      expect(await call(`/templates/${name}/render`, json(request))).toMatchObject({
        status: 400,
        body: expected,
      })
  })
})

describe('problems over HTTP', () => {
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
  ])('%s gives a problem', async (_what, body, status, code, path) => {
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

  test('a full queue gives 503 with Retry-After', async () => {
    const { post, mailer } = await api()
    await mailer.pause()
    for (let count = 0; count < 20; count++) await post(MAIL)
    const answer = await post(MAIL)
    expect([answer.status, answer.body.code]).toEqual([503, 'QUEUE_FULL'])
    expect(answer.headers.get('retry-after')).toBe('1')
  })

  test('an unsupported method gives 405 with the supported ones', async () => {
    const { call } = await api()
    for (const [method, path, allow] of [
      ['DELETE', '/messages', 'POST, GET, HEAD'],
      ['PATCH', '/messages/0190b5a0-0000-7000-8000-000000000000', 'GET, HEAD'],
      ['GET', '/messages/batch', 'POST'],
      ['GET', '/messages/0190b5a0-0000-7000-8000-000000000000/retry', 'POST'],
      ['POST', '/stats', 'GET, HEAD'],
      ['PUT', '/templates', 'GET, HEAD'],
      ['GET', '/templates/a/render', 'POST'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['PUT', '/login', 'POST, GET, HEAD'],
    ] as const) {
      const answer = await call(path, { method })
      expect(answer, `${method} ${path}`).toMatchObject({ status: 405, body: { code: 'METHOD_NOT_ALLOWED' } })
      expect(answer.headers.get('allow')).toBe(allow)
      expect(answer.headers.get('content-type')).toContain('application/problem+json')
    }
    expect((await call('/messages', { method: 'OPTIONS' })).headers.get('allow')).toBe('POST, GET, HEAD')
  })

  test('an unknown path gives 404', async () => {
    const { call } = await api()
    for (const path of ['/messages/0190b5a0-0000-7000-8000-000000000000', '/messages/..%2f..', '/nowhere'])
      expect(await call(path)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })
})

describe('listing messages over HTTP', () => {
  test('supports filters and pages', async () => {
    const { call, mailer } = await api()
    await mailer.pause()
    for (const subject of ['a', 'b', 'c']) await mailer.send({ ...MAIL, subject })
    const page = await call('/messages?limit=2&status=held')
    expect(page.body.messages.map(({ subject }: { subject: string }) => subject)).toEqual(['c', 'b'])
    const rest = await call(`/messages?limit=2&cursor=${page.body.cursor}`)
    expect(rest.body.messages).toHaveLength(1)
    expect((await call('/messages?q=ada')).body.messages).toHaveLength(3)
    expect((await call('/messages?status=sent')).body.messages).toEqual([])
    expect((await call('/messages?recipient=ADA@example.com&tag=x')).body.messages).toEqual([])
    const { acceptedAt } = page.body.messages[1]
    const until = await call(`/messages?until=${acceptedAt}&since=${Date.parse(acceptedAt) - 60_000}`)
    expect(until.body.messages.length).toBeGreaterThanOrEqual(2)
    expect((await call('/messages?since=2100-01-01')).body.messages).toEqual([])
  })

  test.each([
    'limit=0',
    'limit=x',
    'status=lost',
    'cursor=x',
    'page=2',
    'q=a&q=b',
    'since=x',
    'since=2026-02-30',
    'until=-1',
    'status[x]=sent',
  ])('refuses the query ?%s', async (query) => {
    const { call } = await api()
    expect(await call(`/messages?${query}`)).toMatchObject({
      status: 400,
      body: { path: query.startsWith('status[') ? expect.any(String) : query.split('=')[0] },
    })
  })
})

test.each([
  ['/messages?limit=x', undefined, 'limit: must be a number'],
  ['/messages?limit=0', undefined, 'limit: must be at least 1'],
  ['/messages?limit=501', undefined, 'limit: must be at most 500'],
  [`/messages?tag=${'x'.repeat(321)}`, undefined, 'tag: must have at most 320 characters'],
  ['/messages/batch', { messages: [] }, 'messages: is empty'],
  ['/messages/batch', {}, 'messages: is required'],
  ['/messages/batch', { messages: 'x' }, 'messages: must be an array'],
  ['/templates/welcome/render', { locale: 5 }, 'locale: must be a string'],
])('answers %s with %j in plain words: %s', async (path, body, detail) => {
  const { call } = await api()
  const posted = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }
  const answer = await call(path, body === undefined ? {} : posted)
  expect(answer.body).toMatchObject({ code: 'INVALID_MESSAGE', detail })
})

describe('access to the API', () => {
  const auth: Auth = {
    tokens: [
      { token: 'sender-token-1234', scopes: ['send'] },
      { token: 'reader-token-1234', scopes: ['read'] },
    ],
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  test('each scope allows its own operations only', async () => {
    const { post, call } = await api({ auth })
    expect((await post(MAIL, bearer('sender-token-1234'))).status).toBe(202)
    expect((await call('/messages', { headers: bearer('reader-token-1234') })).status).toBe(200)
    const wrong = await post(MAIL, bearer('reader-token-1234'))
    expect([wrong.status, wrong.body.code]).toEqual([403, 'FORBIDDEN'])
    expect(wrong.headers.get('www-authenticate')).toContain('insufficient_scope')
    expect((await call('/messages', { headers: bearer('sender-token-1234') })).status).toBe(403)
  })

  test.each<[string, Record<string, string>]>([
    ['no token', {}],
    ['another token', { authorization: 'Bearer sender-tokem' }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: 'Basic sender-token-1234' }],
    ['part of a token', { authorization: 'Bearer sender' }],
  ])('%s gives 401 before the body is read', async (_what, headers) => {
    const { post, mailer } = await api({ auth })
    const answer = await post('{"to":', headers)
    expect([answer.status, answer.body.code]).toEqual([401, 'UNAUTHORIZED'])
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(JSON.stringify(answer.body)).not.toContain('sender')
    expect((await mailer.list()).messages).toEqual([])
  })

  test('health checks need no token', async () => {
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
    [{ auth: { tokens: [null] } }, 'auth.tokens[0].token'],
    [{ auth: { tokens: [{ token: 'a b', scopes: ['send'] }] } }, 'auth.tokens[0].token'],
    [{ auth: { tokens: [{ token: 'sixteen-letters-', scopes: ['all'] }] } }, 'auth.tokens[0].scopes'],
    [{ auth: false, bodyLimit: '1mb' }, 'bodyLimit'],
    [{ auth: false, batchLimit: 0 }, 'batchLimit'],
    [{ auth: false, bodylimit: 1 }, 'bodylimit'],
  ])('the options %j are refused', async (options, path) => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    expect(() => mailRouter(mailer, options as MailRouterOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS', path }),
    )
  })
})

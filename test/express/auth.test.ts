import type { Auth } from 'threadpost/express'
import { describe, expect, test } from 'vitest'
import { SESSION_AGE, Sessions, LoginRateLimit } from '../../src/express/session.js'
import { type Api, api, json, MAIL } from '../support/api.js'

const auth: Auth = {
  tokens: [
    { token: 'sender-token-1234', scopes: ['send'] },
    { token: 'reader-token-1234', scopes: ['read'] },
    { token: 'manager-token-123', scopes: ['send', 'read', 'manage'] },
  ],
}

async function cookieOf({ call }: Api, token: string): Promise<{ cookie: string; whole: string }> {
  const whole = (await call('/login', json({ token }))).headers.get('set-cookie') ?? ''
  return { cookie: whole.split(';')[0] ?? '', whole }
}

describe('a login', () => {
  test('sets a cookie that does not contain the token and is hidden from scripts and other sites', async () => {
    const app = await api({ auth })
    const { whole, cookie } = await cookieOf(app, 'manager-token-123')
    expect(whole).toContain('HttpOnly')
    expect(whole).toContain('SameSite=Strict')
    // Its path is the browser's own of this page, behind whatever prefix.
    expect(whole).not.toContain('Path')
    expect(whole).not.toContain('Secure')
    expect(cookie).not.toContain('manager')
    expect(Buffer.from(cookie, 'base64').toString()).not.toContain('manager')
    const https = await app.call(
      '/login',
      json({ token: 'manager-token-123' }, { 'x-forwarded-proto': 'https' }),
    )
    expect(https.headers.get('set-cookie')).toContain('Secure')
    expect((await app.call('/session', { headers: { cookie } })).body).toEqual({
      scopes: ['send', 'read', 'manage'],
      login: true,
    })
    expect((await app.call('/session')).body).toEqual({ scopes: [], login: true })
  })

  test('has the scopes of its token, and accepts changes from this site only', async () => {
    const app = await api({ auth })
    const { cookie } = await cookieOf(app, 'reader-token-1234')
    expect((await app.call('/messages', { headers: { cookie } })).status).toBe(200)
    const origin = new URL(app.base).origin
    expect(await app.post(MAIL, { cookie, origin })).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN' },
    })

    const { cookie: manager } = await cookieOf(app, 'manager-token-123')
    for (const [headers, status] of [
      [{}, 403],
      [{ origin: 'null' }, 403],
      [{ origin: 'https://evil.example' }, 403],
      [{ origin, 'sec-fetch-site': 'cross-site' }, 403],
      [{ origin, 'sec-fetch-site': 'same-site' }, 403],
      [{ origin }, 202],
      [{ 'sec-fetch-site': 'same-origin' }, 202],
      [{ origin: 'https://mail.example', 'x-forwarded-host': 'mail.example' }, 202],
    ] as const)
      expect([headers, (await app.post(MAIL, { cookie: manager, ...headers })).status]).toEqual([
        headers,
        status,
      ])
    // A header wins over the cookie: what a program presents is what it is judged by.
    expect((await app.post(MAIL, { cookie: manager, authorization: 'Bearer x' })).status).toBe(401)
  })

  test('ends at logout', async () => {
    const app = await api({ auth })
    const { cookie } = await cookieOf(app, 'manager-token-123')
    const foreign = { method: 'POST', headers: { cookie, origin: 'https://evil.example' } }
    expect((await app.call('/logout', foreign)).status).toBe(403)
    expect((await app.call('/messages', { headers: { cookie } })).status).toBe(200)
    const out = await app.call('/logout', { method: 'POST', headers: { cookie } })
    expect([out.status, out.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('Max-Age=0')])
    expect((await app.call('/messages', { headers: { cookie } })).status).toBe(401)
  })

  test.each<[unknown, number, string]>([
    [{ token: 'wrong' }, 401, 'token'],
    [{ token: 'sender-token-1234' }, 403, ''],
    [{ token: ['manager-token-123'] }, 400, 'token'],
    [{ token: 'manager-token-123', next: '/' }, 400, 'next'],
    [{}, 400, 'token'],
    [[], 400, ''],
  ])('with %j sets no cookie', async (body, status, path) => {
    const { call } = await api({ auth })
    const answer = await call('/login', json(body))
    expect([answer.status, answer.body.path ?? '']).toEqual([status, path])
    expect(answer.headers.get('set-cookie')).toBeNull()
  })

  test('is refused from a form and from another site', async () => {
    const { call } = await api({ auth })
    const form = { method: 'POST', body: new URLSearchParams({ token: 'manager-token-123' }) }
    expect((await call('/login', form)).status).toBe(415)
    expect((await call('/login', json({ token: 'x'.repeat(20_000) }))).status).toBe(413)
    const foreign = json({ token: 'manager-token-123' }, { origin: 'https://evil.example' })
    expect((await call('/login', foreign)).status).toBe(403)
  })

  test('page has a strict policy, and redirects if no token is required', async () => {
    const { call } = await api({ auth })
    const page = await call('/login')
    expect(page.body).toContain('<form')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe')
    expect(page.headers.get('strict-transport-security')).toBeNull()
    for (const name of ['base.css', 'login.css', 'login.js', 'icon.svg'])
      expect((await call(`/assets/${name}`)).status).toBe(200)
    const open = await (await api()).call('/login')
    expect([open.status, open.headers.get('location')]).toEqual([303, './'])
  })
})

describe('guessing a token', () => {
  test('gets 429 after too many attempts, by login and by bearer token', async () => {
    const { call } = await api({ auth })
    const statuses: number[] = []
    for (let count = 0; count < 12; count++) {
      statuses.push((await call('/login', json({ token: `guess-${count}` }))).status)
      statuses.push((await call('/messages', { headers: { authorization: `Bearer ${count}` } })).status)
    }
    expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401))
    expect(statuses.slice(20)).toEqual(Array(4).fill(429))
    const last = await call('/login', json({ token: 'manager-token-123' }))
    expect([last.status, last.body.code]).toEqual([429, 'TOO_MANY_REQUESTS'])
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    // A right token would stand out among the guesses.
    const headers = { authorization: 'Bearer manager-token-123' }
    expect((await call('/messages', { headers })).status).toBe(429)
    expect((await call('/session', { headers })).status).toBe(429)
  })

  test('counts at every route that tells a right token from a wrong one', async () => {
    const { call } = await api({ auth })
    const guess = { headers: { authorization: 'Bearer guess', accept: 'text/html' } }
    for (let count = 0; count < 20; count++)
      await call(['/session', '/messages', '/', '/metrics'][count % 4] ?? '/', guess)
    expect((await call('/session', guess)).status).toBe(429)
    expect((await call('/messages', guess)).status).toBe(429)
  })

  test('locks out no program that had presented its token before', async () => {
    const { call } = await api({ auth })
    const known = { headers: { authorization: 'Bearer manager-token-123' } }
    expect((await call('/messages', known)).status).toBe(200)
    for (let count = 0; count < 25; count++)
      await call('/messages', { headers: { authorization: `Bearer guess-${count}` } })
    expect((await call('/messages', known)).status).toBe(200)
    // Another right token is a guess of its own.
    expect((await call('/messages', { headers: { authorization: 'Bearer reader-token-1234' } })).status).toBe(
      429,
    )
  })

  test('from many addresses uses bounded memory', () => {
    const rateLimit = new LoginRateLimit()
    for (let count = 0; count < 20; count++) rateLimit.failed('first')
    expect(rateLimit.wait('first')).toBeGreaterThan(0)
    for (let count = 0; count < 10_000; count++) rateLimit.failed(`address-${count}`)
    expect(rateLimit.wait('first')).toBe(0)
  })
})

describe('a session', () => {
  const token = { token: 'a-token', scopes: ['read'] as const }

  test('is valid in every process that knows the token, and in no other', () => {
    const value = new Sessions([token]).begin(token)
    const sameElsewhere = { ...token }
    expect(new Sessions([{ token: 'other', scopes: [] }, sameElsewhere]).find(value)).toBe(sameElsewhere)
    expect(new Sessions([{ token: 'other', scopes: [] }]).find(value)).toBeUndefined()
  })

  test('can be neither altered nor extended', () => {
    const sessions = new Sessions([token])
    const value = sessions.begin(token)
    const [end = '', nonce = '', mac = ''] = value.split('.')
    expect(sessions.find(value)).toBe(token)
    for (const forged of [
      `${Number(end) + 1}.${nonce}.${mac}`,
      `${end}.${'A'.repeat(22)}.${mac}`,
      `${end}.${nonce}.${'A'.repeat(43)}`,
      `${end}.${nonce}`,
      `${end}.${nonce}.`,
      '..',
      '',
    ])
      expect(sessions.find(forged), forged).toBeUndefined()
    expect(Number(end)).toBeLessThanOrEqual(Date.now() + SESSION_AGE)
  })
})

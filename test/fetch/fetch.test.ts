import { serve as serveHono } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { deliveryEventsHandler, inboxHandler, mailHandler, unsubscribeHandler } from 'threadpost/fetch'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { json, listen, MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'
import { stopClock } from '../support/stoppedClock.js'

const SITE = 'http://app.example'
const bearer = { authorization: 'Bearer a-secret-of-16-letters' }
const auth = { tokens: [{ token: 'a-secret-of-16-letters', scopes: ['send', 'read', 'manage'] as const }] }

/** A mail handler under `/mail`, and a function that sends it requests. */
async function mounted(options: Partial<Parameters<typeof mailHandler>[1]> = {}) {
  const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
  const handler = mailHandler(mailer, { base: '/mail', auth, ...options })
  const call = (path: string, init?: RequestInit & { duplex?: 'half' }, client?: { remoteAddress: string }) =>
    handler(new Request(SITE + path, init), client)
  return { mailer, inbox, handler, call }
}

/** The first chunk of a response that goes on. */
async function firstOf(response: Response): Promise<string> {
  const reader = response.body!.getReader()
  const { value } = await reader.read()
  reader.releaseLock()
  return new TextDecoder().decode(value)
}

describe('a fetch handler', () => {
  it('serves the API, pages, and assets under its base, with streams in both directions', async () => {
    const { mailer, inbox, call } = await mounted()
    const sent = await call('/mail/messages', json(MAIL, bearer))
    expect(sent.status).toBe(202)
    await mailer.wait(((await sent.json()) as { id: string }).id)
    expect(inbox.count).toBe(1)
    expect(sent.headers.has('transfer-encoding')).toBe(false)
    expect(sent.headers.has('x-powered-by')).toBe(false)

    // A stream, whose length nobody knows, in pieces that split characters.
    const bytes = new TextEncoder().encode(JSON.stringify({ ...MAIL, subject: 'Größe' }))
    const body = new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
        controller.close()
      },
    })
    const headers = { ...bearer, 'content-type': 'application/json', 'content-length': '7' }
    expect((await call('/mail/messages', { method: 'POST', duplex: 'half', headers, body })).status).toBe(202)
    const large = json({ ...MAIL, text: 'x'.repeat(11 * 2 ** 20) }, bearer)
    expect((await call('/mail/messages', large)).status).toBe(413)

    const asBrowser = { accept: 'text/html' }
    expect((await call('/mail', { headers: asBrowser })).headers.get('location')).toBe('./mail/')
    expect((await call('/mail/', { headers: asBrowser })).headers.get('location')).toBe('./login?next=')
    const asset = await call('/mail/assets/app.js', { headers: bearer })
    expect((await asset.arrayBuffer()).byteLength).toBe(Number(asset.headers.get('content-length')))
    const known = { ...bearer, 'if-none-match': asset.headers.get('etag') ?? '' }
    const unchanged = await call('/mail/assets/app.js', { headers: known })
    expect([unchanged.status, unchanged.body]).toEqual([304, null])
    const head = await call('/mail/stats', { method: 'HEAD', headers: bearer })
    expect([head.status, head.body]).toEqual([200, null])
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100)
    expect(await (await call('/elsewhere')).json()).toMatchObject({ status: 404, code: 'NOT_FOUND' })
  })

  it('logs in over https with a secure cookie', async () => {
    const { handler } = await mounted()
    const login = json({ token: 'a-secret-of-16-letters' }, { 'sec-fetch-site': 'same-origin' })
    const { status, headers } = await handler(new Request('https://app.example/mail/login', login))
    expect(status).toBe(200)
    expect(headers.getSetCookie()).toEqual([expect.stringMatching(/^threadpost_session=.*; Secure/)])
  })

  it('streams events until the request is aborted or its body is cancelled', async () => {
    const { call } = await mounted()
    // One more than may be open at a time: each must have ended before the next.
    for (let count = 0; count <= 100; count++) {
      const aborting = new AbortController()
      const response = await call('/mail/dashboard/events', { headers: bearer, signal: aborting.signal })
      expect(response.status).toBe(200)
      expect(await firstOf(response)).toContain('event: tick')
      if (count % 2 === 0) {
        aborting.abort()
        await expect(response.text()).rejects.toThrow()
      } else await response.body?.cancel()
    }
  })

  it.each([
    ['with pauses', true],
    ['without a pause', false],
  ])('answers a body beyond the limit with 413, and stops reading it: %s', async (_, pauses) => {
    const { call } = await mounted({ bodyLimit: 1_000_000 })
    let read = 0
    let cancelled: () => void = () => undefined
    const stopped = new Promise<void>((resolve) => (cancelled = resolve))
    const body = new ReadableStream({
      async pull(controller) {
        if (pauses) await new Promise((resolve) => setImmediate(resolve))
        read += 10_000
        controller.enqueue(new Uint8Array(10_000))
      },
      cancel: cancelled,
    })
    const headers = { ...bearer, 'content-type': 'application/json' }
    const response = await call('/mail/messages', { method: 'POST', duplex: 'half', headers, body })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: 'TOO_LARGE' })
    await stopped
    expect(read).toBeLessThan(2_000_000)
  })

  it('lets the event loop run while a body has empty chunks without an end', async () => {
    const { call } = await mounted({ bodyTimeout: 1 })
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(0)) })
    const headers = { ...bearer, 'content-type': 'application/json' }
    const response = await call('/mail/messages', { method: 'POST', duplex: 'half', headers, body })
    expect(response.status).toBe(408)
  })

  it('answers a body without an end with 408, and stops reading it', async () => {
    stopClock()
    const { handler } = await mounted({ bodyTimeout: 5_000 })
    let pulled = 0
    let reached: () => void = () => undefined
    let cancelled: () => void = () => undefined
    const many = new Promise<void>((resolve) => (reached = resolve))
    const stopped = new Promise<void>((resolve) => (cancelled = resolve))
    const body = new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setImmediate(resolve))
        controller.enqueue(new Uint8Array(1))
        if (++pulled === 300) reached()
      },
      cancel: cancelled,
    })
    const headers = { ...bearer, 'content-type': 'application/json' }
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', duplex: 'half', headers, body }
    const answer = handler(new Request(`${SITE}/mail/messages`, init))
    await many
    vi.advanceTimersByTime(4_999)
    expect(await Promise.race([answer, new Promise((resolve) => setImmediate(resolve, 'none'))])).toBe('none')
    vi.advanceTimersByTime(1)
    const response = await answer
    expect(response.status).toBe(408)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(await response.json()).toMatchObject({ code: 'REQUEST_TIMEOUT', status: 408 })
    await stopped
  })

  it('rejects when the request is aborted before it is answered, or was read', async () => {
    const { handler, call } = await mounted()
    const gone = call('/mail/stats', { headers: bearer, signal: AbortSignal.abort(new Error('gone')) })
    await expect(gone).rejects.toThrow('gone')
    const request = new Request(`${SITE}/mail/messages`, json(MAIL, bearer))
    await request.text()
    await expect(handler(request)).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
  })

  it('takes a client without an address for a stranger, and limits wrong tokens for each address', async () => {
    const { mailer } = await mounted()
    const open = mailHandler(mailer, { auth: false })
    const here = () => new Request('http://localhost:3000/stats')
    const refused = await open(here())
    expect(refused.status).toBe(403)
    expect(await refused.text()).toContain('Pass it as `handler(request, { remoteAddress })`')
    expect((await open(here(), { remoteAddress: '127.0.0.1' })).status).toBe(200)
    expect((await open(new Request(`${SITE}/stats`), { remoteAddress: '127.0.0.1' })).status).toBe(421)
    expect(
      (await mailHandler(mailer, { auth: false, hosts: ['app.example'] })(new Request(`${SITE}/stats`)))
        .status,
    ).toBe(200)

    const { call } = await mounted({ trustProxy: 1 })
    const wrong = (address: string, headers = {}) =>
      call(
        '/mail/stats',
        { headers: { authorization: 'Bearer wrong', ...headers } },
        { remoteAddress: address },
      )
    for (let count = 0; count < 20; count++) expect((await wrong('192.0.2.1')).status).toBe(401)
    expect((await wrong('192.0.2.1')).status).toBe(429)
    expect((await wrong('192.0.2.2')).status).toBe(401)
    expect((await wrong('192.0.2.1', { 'x-forwarded-for': '192.0.2.3' })).status).toBe(401)
    expect((await wrong('192.0.2.9', { 'x-forwarded-for': '192.0.2.1' })).status).toBe(429)
  })

  it('serves the inbox, links to unsubscribe, and delivery events', async () => {
    const unsubscribe = { url: 'https://app.example/u', secret: 'a-secret-of-at-least-32-characters' }
    const { mailer, inbox } = await mailerWithInbox({ threads: 0, unsubscribe })
    await mailer.sendAndWait({ ...MAIL, listUnsubscribe: true })
    const shown = await inboxHandler(inbox, { hosts: ['app.example'], base: '/inbox' })(
      new Request(`${SITE}/inbox/`),
    )
    expect(await shown.text()).toContain(MAIL.subject)

    const text = Buffer.from(inbox.stored()[0]!.raw).toString()
    const link = /^List-Unsubscribe: <([^>]+)>/m.exec(text)?.[1] ?? ''
    const response = await unsubscribeHandler(mailer, { base: '/u' })(new Request(link, { method: 'POST' }))
    expect(response.status).toBe(200)
    expect(await mailer.suppressions.has(MAIL.to)).toBe(true)

    const events = deliveryEventsHandler(mailer, { raw: { token: 'a-long-token' } })
    const raw = await events(
      new Request(`${SITE}/raw`, {
        method: 'POST',
        body: 'Subject: no report\r\n\r\n',
        headers: { authorization: 'Bearer a-long-token' },
      }),
    )
    expect(await raw.json()).toMatchObject({ matched: 0 })
  })

  it('answers a request whose header section is too large', async () => {
    const { call } = await mounted()
    const large = 'x'.repeat(100_000)
    for (const response of [
      await call(`/mail/stats?${large}`, { headers: bearer }),
      await call('/mail/stats', { headers: { ...bearer, cookie: large } }),
    ])
      expect([response.status, await response.text()]).toEqual([431, ''])
  })

  it('refuses options that it does not have', async () => {
    const { mailer, inbox } = await mounted()
    for (const make of [
      () => mailHandler(mailer, { auth, base: 'mail' }),
      () => mailHandler(mailer, { auth, trustProxy: -1 }),
      () => mailHandler(mailer, { auth, bodyTimeout: 0 }),
      () => mailHandler(mailer, { auth, based: '/' } as never),
      () => mailHandler(mailer, undefined as never),
      () => inboxHandler(inbox, { trust: 1 } as never),
    ])
      expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }))
  })
})

describe('the form for node:http', () => {
  it('passes on what is outside its base, and answers alone without next', async () => {
    const { handler } = await mounted()
    const app = express().use((request, response, next) => handler.node(request, response, next))
    app.use((_request, response) => void response.send('the app'))
    const url = await listen(app)
    expect(await (await fetch(url)).text()).toBe('the app')
    expect((await fetch(`${url}/mail/healthz`)).status).toBe(200)
    const alone = await listen((request, response) => handler.node(request, response))
    expect(await (await fetch(alone)).json()).toMatchObject({ code: 'NOT_FOUND' })
  })
})

it('Hono streams events to a page and ends them when the page is gone', async () => {
  const { mailer, handler } = await mounted()
  const app = new Hono().all('/mail/*', (c) => handler(c.req.raw))
  const server = serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
  onTestFinished(() => void server.close())
  await expect.poll(() => server.listening).toBe(true)
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/mail`
  expect((await fetch(`${url}/messages`, json(MAIL, bearer))).status).toBe(202)
  for (let count = 0; count < 3; count++) {
    const aborting = new AbortController()
    const response = await fetch(`${url}/dashboard/events`, { headers: bearer, signal: aborting.signal })
    expect(await firstOf(response)).toContain('event: tick')
    aborting.abort()
  }
  // A mailer that is closed ends the streams of those who stay.
  const staying = await fetch(`${url}/dashboard/events`, { headers: bearer })
  await mailer.close()
  await staying.text()
})

import { once } from 'node:events'
import http, { createServer, type RequestListener } from 'node:http'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import express from 'express'
import { inboxRouter, mailErrors, mailRouter } from 'threadpost/express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { json, listen } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'

interface Answer {
  status: number | undefined
  body: string
}

/** Sends a request with exactly these headers: `fetch` sets `Host` and others itself. */
async function ask(url: string, headers: Record<string, string>, method = 'GET'): Promise<Answer> {
  const request = http.request(url, { method, headers }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk)
  return { status: response.statusCode, body }
}

const KINDS = {
  'the API without tokens': ['mail', '/mail/stats'],
  'the inbox': ['inbox', '/inbox/api/messages'],
} as const

async function serve(hosts?: readonly string[], host = '127.0.0.1') {
  const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
  const option = hosts === undefined ? {} : { hosts }
  const app = express()
  app.use('/mail', mailRouter(mailer, { auth: false, ...option }))
  app.use('/inbox', inboxRouter(inbox, option))
  if (host === '127.0.0.1') return { url: await listen(app), inbox }
  const server = createServer(app).listen(0, host)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return { url: `http://${host}:${(server.address() as { port: number }).port}`, inbox }
}

const elsewhere = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])('%s', (kind) => {
  const [, page] = KINDS[kind]

  it.each([
    ['localhost', 200],
    ['LOCALHOST:80', 200],
    ['app.localhost:3000', 200],
    ['127.8.9.10', 200],
    ['[::1]:3000', 200],
    ['evil.example', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example:80', 421],
    ['evil.example@127.0.0.1', 421],
    ['10.0.0.1', 421],
    ['%', 421],
  ])(
    'answers a request to %j with %i, whatever a foreign name resolves to (DNS rebinding)',
    async (host, status) => {
      const { url } = await serve()
      expect((await ask(url + page, { host })).status).toBe(status)
    },
  )

  it('answers hosts that are named, with and without a port, and no others', async () => {
    const { url } = await serve(['Mail.Acme.Internal', 'other.example:8080'])
    const status = async (host: string) => (await ask(url + page, { host })).status
    expect(await status('mail.acme.internal')).toBe(200)
    expect(await status('mail.acme.internal:3000')).toBe(200)
    expect(await status('other.example:8080')).toBe(200)
    expect(await status('localhost')).toBe(200)
    expect(await status('other.example')).toBe(421)
    expect(await status('evil.example')).toBe(421)
    expect((await ask((await serve(['*'])).url + page, { host: 'evil.example' })).status).toBe(200)
  })

  it('answers no client that a proxy on this machine reports as from elsewhere, unless the host is named', async () => {
    const { url } = await serve()
    const host = 'localhost'
    const status = async (headers: Record<string, string>, at = url) =>
      (await ask(at + page, { host, ...headers })).status
    expect(await status({ 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost:3000' })).toBe(200)
    expect(await status({ 'x-forwarded-for': '203.0.113.7' })).toBe(403)
    expect(await status({ 'x-real-ip': '203.0.113.7' })).toBe(403)
    expect(await status({ 'x-real-ip': '127.0.0.1' })).toBe(200)
    expect(await status({ forwarded: 'for=127.0.0.1;proto=https, for="[2001:db8::1]:4711"' })).toBe(403)
    expect(await status({ forwarded: 'proto=http;for="[::1]:4711", For="127.0.0.1:80"' })).toBe(200)
    expect(await status({ forwarded: 'for=_hidden' })).toBe(403)
    expect(await status({ via: '1.1 proxy.example' })).toBe(403)
    expect(await status({ via: '1.1 proxy.example', 'x-forwarded-for': '127.0.0.1' })).toBe(200)
    expect(await status({ 'x-forwarded-for': '127.0.0.1, 203.0.113.7' })).toBe(403)
    expect(await status({ 'x-forwarded-host': 'mail.acme.example' })).toBe(421)
    const named = await serve(['mail.acme.example'])
    const forwarded = { 'x-forwarded-host': 'mail.acme.example', 'x-forwarded-for': '203.0.113.7' }
    expect(await status(forwarded, named.url)).toBe(200)
  })

  it.skipIf(elsewhere === undefined)(
    'answers no client from another address, even with the Host header localhost',
    async () => {
      const { url } = await serve(undefined, elsewhere)
      const { status, body } = await ask(url + page, { host: 'localhost' })
      expect([status, JSON.parse(body)]).toEqual([403, expect.objectContaining({ code: 'FORBIDDEN' })])
      const named = await serve(['localhost'], elsewhere)
      expect((await ask(named.url + page, { host: 'localhost' })).status).toBe(200)
    },
  )
})

describe('a page of another site', () => {
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ]

  it.each(foreign)('changes nothing in an inbox or a queue: %j', async (headers) => {
    const { url, inbox } = await serve()
    const host = new URL(url).host
    inbox.faults.set([{ at: 'rcpt', do: 'refuse' }])
    for (const [method, page] of [
      ['DELETE', '/inbox/api/faults'],
      ['DELETE', '/inbox/api/messages'],
      ['PUT', '/inbox/api/faults'],
      ['POST', '/mail/messages'],
      ['POST', '/mail/messages/00000000-0000-7000-8000-000000000000/cancel'],
    ] as const)
      expect([page, (await ask(url + page, { host, ...headers }, method)).status]).toEqual([page, 403])
    expect(inbox.faults.list()).toHaveLength(1)
    const own = { host, origin: url, 'sec-fetch-site': 'same-origin' }
    expect((await ask(`${url}/inbox/api/faults`, own, 'DELETE')).status).toBe(204)
  })
})

describe('the option hosts', () => {
  it.each([['https://mail.example'], ['mail.example/path'], [''], ['a b'], [7]])(
    'refuses %j',
    async (host) => {
      const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
      const hosts = [host as string]
      const refusal = expect.objectContaining({ code: 'INVALID_OPTIONS', path: 'hosts[0]' }) as Error
      expect(() => mailRouter(mailer, { auth: false, hosts })).toThrow(refusal)
      expect(() => inboxRouter(inbox, { hosts })).toThrow(refusal)
    },
  )
})

describe('mailErrors()', () => {
  const TEMPLATES = path.join(import.meta.dirname, '../../templates')

  async function app() {
    const { mailer } = await mailerWithInbox({ threads: 0, templates: TEMPLATES })
    const app = express().use(express.json())
    app.post('/signup', async (request, response) => {
      const { name, email } = request.body as { name: string; email: string }
      const { id } = await mailer.send({ template: 'welcome', to: { name, address: email }, data: { name } })
      response.status(202).json({ id })
    })
    app.get('/broken', () => {
      throw new Error('the database is down')
    })
    app.use(mailErrors())
    const passed: unknown[] = []
    const last: express.ErrorRequestHandler = (error: Error, _request, response, _next) => {
      passed.push(error.message)
      response.status(500).end()
    }
    app.use(last)
    return { url: await listen(app as RequestListener), passed }
  }

  it('answers an invalid address, a missing name, and a missing field with 400 and the path', async () => {
    const { url } = await app()
    const post = async (body: object) => {
      const response = await fetch(`${url}/signup`, json(body))
      const { code, path: field } = (await response.json()) as { code: string; path: string }
      return [response.status, response.headers.get('content-type'), code, field]
    }
    const problem = 'application/problem+json; charset=utf-8'
    expect(await post({ name: 'Ada', email: 'nobody' })).toEqual([
      400,
      problem,
      'INVALID_MESSAGE',
      'to.address',
    ])
    expect(await post({ email: 'ada@example.com' })).toEqual([400, problem, 'MISSING_DATA', 'data.name'])
    expect(await post({ name: 'Ada' })).toEqual([400, problem, 'INVALID_MESSAGE', 'to.address'])
  })

  it('passes every other error on', async () => {
    const { url, passed } = await app()
    expect((await fetch(`${url}/broken`)).status).toBe(500)
    expect(passed).toEqual(['the database is down'])
  })
})

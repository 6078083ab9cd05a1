import http from 'node:http'
import path from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type * as built from '../../src/server/server.js'
import { testMailer } from '../support/mailer.js'
import { stopClock } from '../support/stoppedClock.js'

// The built server, as the command runs it.
const { startServer } = (await import(
  new URL('../../dist/src/server/server.js', import.meta.url).href
)) as typeof built

const TEMPLATES = path.join(import.meta.dirname, '../../templates')

async function serve(options: Partial<built.ServerOptions> = {}) {
  const mailer = await testMailer({ transport: 'inbox:', templates: TEMPLATES, threads: 0 })
  const server = await startServer({ mailer, port: 0, ...options })
  onTestFinished(() => server.close())
  const { inbox } = mailer
  if (inbox === undefined) throw new Error('the mailer has no inbox')
  return { mailer, inbox, server, url: server.url }
}

function signUp(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

/** Returns the parsed data of each event of the stream. */
async function events(response: Response): Promise<{ status: string; mail?: string; reply?: string }[]> {
  return (await response.text())
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => JSON.parse(block.slice(6)))
}

describe('the start page', () => {
  test('has a form, assets, and a strict content security policy', async () => {
    const { url } = await serve()
    const response = await fetch(url)
    expect(response.headers.get('content-security-policy')).toContain("script-src 'self';")
    expect(response.headers.get('x-powered-by')).toBeNull()
    expect(await response.text()).toContain('<form')
    for (const name of ['base.css', 'start.css', 'start.js', 'icon.svg'])
      expect((await fetch(`${url}/assets/${name}`)).status).toBe(200)
  })

  test('sends the welcome mail of a sign-up and streams its progress', async () => {
    const { url, inbox } = await serve()
    const response = await signUp(url, { name: 'Ada', email: 'ada@example.com' })
    expect(response.status).toBe(202)
    const { id, took } = (await response.json()) as { id: string; took: number }
    expect(took).toBeGreaterThanOrEqual(0)

    const seen = await events(await fetch(`${url}/signup/${id}/events`))
    const last = seen.at(-1)
    expect(last).toMatchObject({ status: 'sent', attempts: 1, thread: 0 })
    expect(last?.reply).toMatch(/^250 /)
    const mail = await inbox.waitFor({ to: 'ada@example.com' })
    expect(last?.mail).toBe(`inbox/messages/${mail.id}`)
    expect(mail.subject).toContain('Ada')
    expect(mail.html).toContain(url)
    expect((await fetch(`${url}/${last?.mail}`)).status).toBe(200)
  })

  test('streams retries until the message is settled', async () => {
    const { url, inbox } = await serve()
    inbox.faults.set([{ at: 'rcpt', do: 'defer', reply: '451 4.7.1 Greylisted', times: 2 }])
    const { id } = (await (await signUp(url, { name: 'Ada', email: 'ada@example.com' })).json()) as {
      id: string
    }
    const seen = await events(await fetch(`${url}/signup/${id}/events`))
    expect(seen.at(-1)?.status).toBe('sent')
    expect(seen.map(({ status }) => status)).toContain('deferred')
    expect(JSON.stringify(seen)).toContain('Greylisted')
    expect(JSON.stringify(seen)).not.toContain('"data"')
  })

  test('ends the stream if the message cannot be looked up', async () => {
    const { url, mailer, inbox } = await serve()
    inbox.faults.set([{ at: 'rcpt', do: 'defer' }])
    const { id } = (await (await signUp(url, { name: 'Ada', email: 'ada@example.com' })).json()) as {
      id: string
    }
    const response = await fetch(`${url}/signup/${id}/events`)
    const reader = response.body!.getReader()
    await reader.read()
    vi.spyOn(mailer, 'find').mockRejectedValue(new Error('the queue is unavailable'))
    while (!(await reader.read()).done);
  })

  test.each<[unknown, string]>([
    [{ name: '', email: 'ada@example.com' }, 'name'],
    [{ name: 'x'.repeat(101), email: 'ada@example.com' }, 'name'],
    [{ name: 'Ada' }, 'email'],
    [{ name: 'Ada', email: 'nobody' }, 'email'],
    [{ name: 'Ada\r\nBcc: eve@x.example', email: 'ada@example.com' }, 'name'],
    [{ name: 'Ada', email: 'ada@example.com, eve@x.example' }, 'email'],
    [[], 'name'],
  ])('refuses the sign-up %j with a sentence for its visitor', async (body, path) => {
    const { url, inbox, mailer } = await serve()
    const response = await signUp(url, body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      path,
      detail: expect.stringMatching(/^Please enter .+\.$/),
    })
    expect((await mailer.list()).messages).toEqual([])
    expect(inbox.count).toBe(0)
  })

  test('says to the visitor that mail is not accepted at the moment', async () => {
    const { url, mailer } = await serve()
    await mailer.close()
    const response = await signUp(url, { name: 'Ada', email: 'ada@example.com' })
    expect(response.status).toBe(503)
    expect(((await response.json()) as { detail: string }).detail).toMatch(/Please try again in a minute\.$/)
  })

  test('says why the mail of a sign-up is held', async () => {
    const { url, mailer } = await serve()
    await mailer.pause()
    const { id } = (await (await signUp(url, { name: 'Ada', email: 'ada@example.com' })).json()) as {
      id: string
    }
    const response = await fetch(`${url}/signup/${id}/events`)
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      expect(text).toContain('Held because the queue is paused')
      break
    }
  })

  test('shows no messages that were sent in another way', async () => {
    const { url, mailer } = await serve()
    const { id } = await mailer.send({ to: 'ada@example.com', subject: 'x', text: 'x' })
    expect((await fetch(`${url}/signup/${id}/events`)).status).toBe(404)
  })
})

describe('the main server', () => {
  test('serves the API under /mail and the inbox under /inbox', async () => {
    const { url, mailer, inbox } = await serve()
    const response = await fetch(`${url}/mail/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ to: 'ada@example.com', subject: 'By API', text: 'x' }),
    })
    expect(response.status).toBe(202)
    await mailer.wait(((await response.json()) as { id: string }).id)
    expect(await (await fetch(`${url}/inbox`)).text()).toContain('By API')
    expect(inbox.count).toBe(1)
    expect((await fetch(`${url}/nowhere`)).status).toBe(404)
  })

  test('ends streams immediately when it closes', async () => {
    const { url, server } = await serve()
    const stream = await fetch(`${url}/inbox/events`)
    // The time after which it destroys what is still open never comes.
    stopClock()
    await server.close()
    vi.useRealTimers()
    await stream.text()
    await server.close()
  })

  test('reports a port in use as an error', async () => {
    const { server, mailer } = await serve()
    await expect(startServer({ mailer, port: Number(new URL(server.url).port) })).rejects.toThrow(
      'EADDRINUSE',
    )
  })
})

describe('access to the main server', () => {
  test('requires a token beyond loopback', async () => {
    const mailer = await testMailer({ transport: 'inbox:', templates: TEMPLATES, threads: 0 })
    await expect(startServer({ mailer, port: 0, host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'token',
    })
  })

  test('accepts the token as a bearer token for the API, and at the login for pages', async () => {
    const { url } = await serve({ token: 'correct-horse-battery' })
    const bearer = { authorization: 'Bearer correct-horse-battery' }
    const asBrowser = { accept: 'text/html,*/*;q=0.8' }
    const look = (path: string, headers: Record<string, string>) =>
      fetch(url + path, { headers, redirect: 'manual' })

    for (const [path, login] of [
      ['/', './login?next='],
      ['/inbox/messages/x', '../../login?next=inbox%2Fmessages%2Fx'],
      ['/mail/preview?a=b', '../login?next=mail%2Fpreview%3Fa%3Db'],
    ] as const) {
      const sent = await look(path, asBrowser)
      expect([path, sent.status, sent.headers.get('location')]).toEqual([path, 303, login])
      expect((await look(path, {})).status).toBe(401)
    }
    const elsewhere = await look('/mail/login', asBrowser)
    expect([elsewhere.status, elsewhere.headers.get('location')]).toEqual([303, '../login'])
    const page = await look('/login', asBrowser)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('type="password"')])
    expect((await look('/assets/login.js', {})).status).toBe(200)
    expect((await look('/assets/start.js', {})).status).toBe(401)

    const login = (token: string) =>
      fetch(`${url}/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      })
    expect((await login('wrong-horse')).status).toBe(401)
    const cookie = (await login('correct-horse-battery')).headers.get('set-cookie')?.split(';')[0] ?? ''
    for (const path of ['/', '/inbox/', '/inbox/api/messages', '/assets/start.js', '/mail/messages'])
      expect([path, (await look(path, { cookie })).status]).toEqual([path, 200])

    // The dashboard shares the login: its cookie is valid for the whole server.
    const out = { method: 'POST', headers: { cookie: `other=1; ${cookie}`, origin: url } }
    const onward = await fetch(`${url}/mail/logout`, { ...out, redirect: 'manual' })
    expect([onward.status, onward.headers.get('location')]).toEqual([307, '../logout'])
    const other = (await login('correct-horse-battery')).headers.get('set-cookie')?.split(';')[0] ?? ''
    const loggedOut = await fetch(`${url}/mail/logout`, { ...out, headers: { cookie: other, origin: url } })
    expect([loggedOut.status, loggedOut.url]).toEqual([204, `${url}/logout`])
    expect((await look('/inbox/', { cookie: other })).status).toBe(401)

    const ada = { name: 'Ada', email: 'ada@example.com' }
    expect((await signUp(url, ada)).status).toBe(401)
    expect((await signUp(url, ada, { cookie })).status).toBe(403)
    expect((await signUp(url, ada, { cookie, origin: 'https://evil.example' })).status).toBe(403)
    expect((await signUp(url, ada, { cookie, origin: url })).status).toBe(202)
    expect((await fetch(`${url}/mail/messages`)).status).toBe(401)
    expect((await fetch(`${url}/mail/messages`, { headers: bearer })).status).toBe(200)
    expect((await fetch(`${url}/mail/healthz`)).status).toBe(200)
  })

  test('accepts only loopback host names without a token (DNS rebinding)', async () => {
    const { url } = await serve()
    const status = (host: string) =>
      new Promise((resolve, reject) => {
        const request = http.get(url, { headers: { host } }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        request.on('error', reject)
      })
    const { port } = new URL(url)
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `app.localhost:${port}`])
      expect(await status(host)).toBe(200)
    for (const host of ['evil.example', `localhost.evil.example:${port}`, `127.0.0.1.evil.example`])
      expect(await status(host)).toBe(421)
  })
})

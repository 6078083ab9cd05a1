import http, { type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import express5 from 'express'
import { chromium } from 'playwright-core'
import { mailRouter } from 'threadpost/express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { callAt, json, listen, MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'
import { itWith } from '../support/tools.js'

const express4 = createRequire(import.meta.url)('express-4') as typeof express5

const auth = { tokens: [{ token: 'a-secret-of-16-letters', scopes: ['send', 'read', 'manage'] as const }] }
const bearer = { authorization: 'Bearer a-secret-of-16-letters' }
const asBrowser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

/** Passes on what is under a prefix, without it, as a proxy does that knows the app by another name. */
function proxy(prefix: string, upstream: string): RequestListener {
  return (request, response) => {
    const { url = '', method, headers } = request
    if (!url.startsWith(prefix)) {
      response.writeHead(404).end()
      return
    }
    const onward = http.request(
      upstream + url.slice(prefix.length),
      { method, headers: { ...headers, host: 'app.internal' } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  }
}

/** An existing app with its own body parser, routes and error page, and the router in it. */
async function host(express: typeof express5, where: string) {
  const { mailer, inbox } = await mailerWithInbox({
    threads: 0,
    templates: path.join(import.meta.dirname, '../../templates'),
  })
  const app = express()
  app.use(express.json())
  app.get('/', (_request, response) => void response.send('the app'))
  const inner = express.Router()
  inner.use('/mail', mailRouter(mailer, { auth }))
  app.use('/admin', inner)
  const url = await listen(app as RequestListener)
  const base = where === 'proxy' ? `${await listen(proxy('/outer/prefix', url))}/outer/prefix` : url
  return { mailer, inbox, base: `${base}/admin/mail` }
}

const versions = { 'Express 4': express4, 'Express 5': express5 }

describe.each(Object.keys(versions) as (keyof typeof versions)[])('in %s', (version) => {
  test.each(['a sub-path', 'proxy'])('the API works behind %s', async (where) => {
    const { mailer, inbox, base } = await host(versions[version], where)
    const sent = await callAt(`${base}/messages`, json(MAIL, bearer))
    expect(sent.status).toBe(202)
    await mailer.wait(sent.body.id)
    const location = new URL(sent.headers.get('location') ?? '', `${base}/messages`)
    expect((await callAt(location.href, { headers: bearer })).body).toMatchObject({ status: 'sent' })
    expect(inbox.count).toBe(1)
    const { body: document } = await callAt(`${base}/openapi.json`, { headers: bearer })
    const server = new URL(document.servers[0].url, `${base}/openapi.json`)
    expect((await callAt(`${server.href}stats`, { headers: bearer })).body).toMatchObject({ sent: 1 })
    expect(
      (await callAt(`${base}/messages?limit=1&status=sent`, { headers: bearer })).body.messages,
    ).toHaveLength(1)
    expect((await callAt(`${base}/messages`, json({ ...MAIL, to: 'x' }, bearer))).body).toMatchObject({
      path: 'to',
    })
    expect((await callAt(`${base}/nowhere`, { headers: bearer })).body).toMatchObject({ code: 'NOT_FOUND' })
    // A rejection of a handler is answered too: Express 4 alone would leave the request hanging.
    await mailer.close({ deadline: 0 })
    expect(await callAt(`${base}/messages`, json(MAIL, bearer))).toMatchObject({
      status: 503,
      body: { code: 'CLOSED' },
    })
  })

  test.each(['a sub-path', 'proxy'])('pages behind %s redirect to the login and back', async (where) => {
    const { base } = await host(versions[version], where)
    const assetsOf = async (page: string, headers: Record<string, string>) => {
      const response = await fetch(page, { headers })
      const text = await response.text()
      const links = [...text.matchAll(/(?:href|src)="([^"]+)"/g)].map(
        (match) => new URL(match[1] ?? '', response.url),
      )
      expect(links.length).toBeGreaterThan(2)
      for (const link of links) {
        const asset = await fetch(link, { headers })
        await asset.arrayBuffer()
        expect([link.href, asset.status]).toEqual([link.href, 200])
      }
      return response.url
    }
    // Without the slash, as people type it.
    expect(await assetsOf(base, asBrowser)).toBe(`${base}/login?next=`)
    expect(await assetsOf(`${base}/preview`, asBrowser)).toBe(`${base}/login?next=preview`)
    const origin = { 'sec-fetch-site': 'same-origin' }
    const { headers } = await callAt(`${base}/login`, json({ token: 'a-secret-of-16-letters' }, origin))
    const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
    expect(await assetsOf(base, { ...asBrowser, cookie })).toBe(`${base}/`)
    expect((await callAt(`${base}/messages`, json(MAIL, { cookie, ...origin }))).status).toBe(202)
  })
})

itWith(
  ['chromium'],
  'a browser logs in and out behind a prefix that the app does not know',
  async ({ chromium: { command, args, env } }) => {
    const { base } = await host(express4, 'proxy')
    const browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
    onTestFinished(() => browser.close())
    const context = await browser.newContext()
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))

    await page.goto(`${base}/preview`)
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Log in' }).click()
    expect(await page.getByRole('alert').textContent()).toContain('unknown')
    await page.getByLabel('Token').fill('a-secret-of-16-letters')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.waitForURL(`${base}/preview`)

    const [cookie] = await context.cookies()
    expect(cookie).toMatchObject({
      path: '/outer/prefix/admin/mail',
      httpOnly: true,
      sameSite: 'Strict',
    })
    expect(cookie?.value).not.toContain('a-secret-of-16-letters')
    // With a session, a link to the login page leads straight to its target, and never to another site.
    for (const [next, to] of [
      ['preview', `${base}/preview`],
      ['https%3A%2F%2Fevil.example%2F', `${base}/`],
      ['%2F%2Fevil.example%2F', `${base}/`],
      ['javascript%3Aalert(1)', `${base}/`],
      ['..%2F..%2Felsewhere', `${base}/`],
    ] as const) {
      await page.goto(`${base}/login?next=${next}`)
      await page.waitForURL(to)
    }
    const status = await page.evaluate(async () => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ to: 'ada@example.com', subject: 'Hi', text: 'Hello' })
      return (await fetch('messages', { method: 'POST', headers, body })).status
    })
    expect(status).toBe(202)
    await page.evaluate(() => fetch('logout', { method: 'POST' }))
    expect(await context.cookies()).toEqual([])
    await page.goto(base)
    await page.waitForURL(`${base}/login?next=`)
    expect(errors).toEqual([])
  },
)

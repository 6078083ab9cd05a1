import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { inboxRouter } from 'threadpost/express'
import { type Inbox, startInbox } from 'threadpost/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let inbox: Inbox
let server: Server
let base: string

beforeEach(async () => {
  inbox = await startInbox()
  const app = express().use('/deep/er/inbox', inboxRouter(inbox))
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/deep/er/inbox`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await inbox.close()
})

const EVIL = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`

async function send(mail: SendMailOptions): Promise<string> {
  const transport = createTransport(inbox.url)
  await transport.sendMail({ from: 'ada@a.example', to: 'bob@b.example', ...mail })
  transport.close()
  return inbox.stored().at(-1)!.id
}

async function get(path: string): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(base + path, { redirect: 'manual' })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

describe('pages', () => {
  test('are reached with a slash, by a relative redirect', async () => {
    const { status, headers } = await get('?q=1')
    expect([status, headers.get('location')]).toEqual([308, './inbox/?q=1'])
  })

  test('are empty before the first mail', async () => {
    const { status, text } = await get('/')
    expect(status).toBe(200)
    expect(text).toContain('No mail yet')
    expect(text).toContain(inbox.url)
  })

  test('show lists and mails, with relative links only', async () => {
    const id = await send({
      subject: 'Grüße',
      text: 'two  spaces\n\n\nlines',
      html: '<b>Hi</b>',
      bcc: 'c@c.example',
    })
    const list = await get('/')
    const mail = await get(`/messages/${id}`)
    expect(list.text).toContain(`href="messages/${id}"`)
    expect(mail.text).toContain(`src="../messages/${id}/html"`)
    expect(mail.text).toContain('Grüße')
    expect(mail.text).toMatch(/<dt>Bcc<\/dt>\s*<dd>c@c\.example/)
    for (const { text } of [list, mail]) expect(text).not.toMatch(/(?:href|src)="(?:\/|http)/)
    expect((await get(`/messages/${id}?view=text`)).text).toContain('two  spaces\n\n\nlines')
    expect((await get(`/messages/${id}?view=headers`)).text).toContain('=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=')
    expect((await get(`/messages/${id}?view=raw`)).text).toContain('multipart/alternative')
  })

  test('serve their assets and nothing else', async () => {
    for (const name of ['base.css', 'icon.svg', 'inbox.css', 'inbox.js'])
      expect((await get(`/assets/${name}`)).status).toBe(200)
    for (const name of ['nothing.css', '../router.js', '%2e%2e/router.js', ''])
      expect((await get(`/assets/${name}`)).status).toBe(404)
  })

  test('have a policy that runs no inline script', async () => {
    for (const path of ['/', `/messages/${await send({ html: 'x' })}`]) {
      const policy = (await get(path)).headers.get('content-security-policy')!
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self';")
      expect(policy).not.toContain('unsafe')
    }
  })

  test('a mail that is gone is a 404 with the list', async () => {
    const { status, text } = await get('/messages/nobody')
    expect(status).toBe(404)
    expect(text).toContain('No mail yet')
    expect((await get('/messages/nobody/html')).status).toBe(404)
  })
})

describe('hostile mail', () => {
  test('is escaped wherever it is shown', async () => {
    const id = await send({
      subject: EVIL,
      from: { name: EVIL, address: 'ada@a.example' },
      to: { name: EVIL, address: 'bob@b.example' },
      text: `</pre>${EVIL}`,
      html: EVIL,
      headers: { 'X-Evil': EVIL },
      attachments: [{ filename: `${EVIL}\r\n.html`, content: EVIL, contentType: 'text/html' }],
    })
    for (const path of [
      '/',
      `/messages/${id}`,
      ...['text', 'headers', 'raw'].map((v) => `/messages/${id}?view=${v}`),
    ]) {
      const { text } = await get(path)
      expect(text).not.toContain('<script>alert')
      expect(text).not.toContain('<img')
      expect(text).not.toContain('</pre><')
    }
  })

  test('is framed in a sandbox of its own, with its images in it', async () => {
    const id = await send({
      html: '<!doctype html><html><head><title>x</title></head><body><link rel=preconnect href=http://evil.example><img src="cid:logo%40x"><img src="cid:other"></body></html>',
      attachments: [{ cid: 'logo@x', filename: 'logo.png', content: Buffer.from([1, 2, 3]) }],
    })
    const { text, headers } = await get(`/messages/${id}/html`)
    expect(text).toMatch(/^<!doctype html><html><head><base target="_blank">/)
    expect(text).toContain('src="data:image/png;base64,AQID"')
    expect(text).toContain('src="cid:other"')
    expect(text).toContain('<meta rel=preconnect')
    const policy = headers.get('content-security-policy')!
    expect(policy).toContain('sandbox allow-popups')
    expect(policy).not.toMatch(/allow-scripts|allow-same-origin|script-src|http/)
    expect((await get(`/messages/${id}`)).text).toContain(
      'sandbox="allow-popups allow-popups-to-escape-sandbox"',
    )
  })

  test('can smuggle no element in that would connect', async () => {
    const html =
      '<ifr<iframe>ame src=x></iframe ><IFRAME/src=x><object data=x>fallback</object><embed\tsrc=x><linked>'
    const { text } = await get(`/messages/${await send({ html })}/html`)
    expect(text).toContain(
      '<ifr<x-iframe>ame src=x></x-iframe ><x-iframe/src=x><x-object data=x>fallback</x-object><wbr\tsrc=x><linked>',
    )
  })

  test('has attachments that are only ever downloaded', async () => {
    const id = await send({
      attachments: [{ filename: 'a"ü\t.html', content: EVIL, contentType: 'text/html' }],
    })
    const { text, headers } = await get(`/messages/${id}/attachments/0`)
    expect(text).toBe(EVIL)
    expect(headers.get('content-type')).toBe('application/octet-stream')
    expect(headers.get('content-disposition')).toMatch(/^attachment; filename=/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    for (const index of ['1', '-1', 'x', '__proto__'])
      expect((await get(`/messages/${id}/attachments/${index}`)).status).toBe(404)
  })
})

describe('downloads and API', () => {
  test('the .eml is the mail, byte for byte', async () => {
    const id = await send({ subject: 'Your / receipt: "1"', text: 'x' })
    const response = await fetch(`${base}/messages/${id}/mail.eml`)
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from(inbox.stored()[0]!.raw))
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="Your  receipt 1.eml"')
    expect(response.headers.get('content-type')).toBe('message/rfc822')
  })

  test('lists newest first, shows one, clears', async () => {
    await send({ subject: 'one' })
    const id = await send({ subject: 'two', attachments: [{ filename: 'a.txt', content: 'abc' }] })
    const list = JSON.parse((await get('/api/messages')).text)
    expect(list.count).toBe(2)
    expect(list.messages.map(({ subject }: { subject: string }) => subject)).toEqual(['two', 'one'])
    const one = JSON.parse((await get(`/api/messages/${id}`)).text)
    expect(one).toMatchObject({ id, subject: 'two', attachments: [{ filename: 'a.txt', size: 3 }] })
    const missing = await get('/api/messages/nobody')
    expect(missing.headers.get('content-type')).toContain('application/problem+json')
    expect((await fetch(`${base}/api/messages`, { method: 'DELETE' })).status).toBe(204)
    expect(inbox.count).toBe(0)
  })

  test('tells of new mail as it comes', async () => {
    const response = await fetch(`${base}/events`)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('data: 0\n\n')
    await send({})
    expect((await reader.read()).value).toBe('data: 1\n\n')
    inbox.clear()
    expect((await reader.read()).value).toBe('data: 0\n\n')
    await reader.cancel()
  })
})

import { once } from 'node:events'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { inboxRouter } from 'threadpost/express'
import { type Inbox, startInbox } from 'threadpost/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const express4 = createRequire(import.meta.url)('express-4') as typeof express

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
  test('redirect to the URL with a trailing slash, relatively', async () => {
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

  test('show the list with status 404 for a deleted message', async () => {
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
    const [, address = ''] = /src="(images\/0\/[^"]+)"/.exec(text)!
    const image = await fetch(new URL(address, `${base}/messages/${id}/html`))
    expect(Buffer.from(await image.arrayBuffer())).toEqual(Buffer.from([1, 2, 3]))
    expect(image.headers.get('content-type')).toBe('image/png')
    expect(image.headers.get('x-content-type-options')).toBe('nosniff')
    expect(image.headers.get('cache-control')).toMatch(/^private, max-age=\d+/)
    expect(image.headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox/)
    expect(text).toContain('src="cid:other"')
    expect(text).toContain('<meta rel=preconnect')
    const policy = headers.get('content-security-policy')!
    expect(policy).toContain('sandbox allow-popups')
    expect(policy).not.toMatch(/allow-scripts|allow-same-origin|script-src|http/)
    expect((await get(`/messages/${id}`)).text).toContain(
      'sandbox="allow-popups allow-popups-to-escape-sandbox"',
    )
  })

  test('cannot smuggle in an element that connects to a server', async () => {
    const html =
      '<ifr<iframe>ame src=x></iframe ><IFRAME/src=x><object data=x>fallback</object><embed\tsrc=x><linked>'
    const { text } = await get(`/messages/${await send({ html })}/html`)
    expect(text).toContain(
      '<ifr<x-iframe>ame src=x></x-iframe ><x-iframe/src=x><x-object data=x>fallback</x-object><wbr\tsrc=x><linked>',
    )
  })

  test('has attachments that are downloaded, never displayed', async () => {
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
  test('return the message as .eml, byte for byte', async () => {
    const id = await send({ subject: 'Your / receipt: "1"', text: 'x' })
    const response = await fetch(`${base}/messages/${id}/mail.eml`)
    expect(Buffer.from(await response.arrayBuffer())).toEqual(Buffer.from(inbox.stored()[0]!.raw))
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="Your  receipt 1.eml"')
    expect(response.headers.get('content-type')).toBe('message/rfc822')
  })

  test('list messages newest first, return one, and delete all', async () => {
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

  test('send an event when a message arrives', async () => {
    const response = await fetch(`${base}/events`)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe('data: {"count":0,"kept":0,"faults":[]}\n\n')
    await send({})
    expect((await reader.read()).value).toBe('data: {"count":1,"kept":1,"faults":[]}\n\n')
    inbox.faults.set([{ at: 'rcpt', do: 'defer' }])
    expect((await reader.read()).value).toContain('"faults":[{"at":"rcpt","do":"defer"}]')
    inbox.clear()
    expect((await reader.read()).value).toContain('"count":0,"kept":0')
    await reader.cancel()
  })
})

describe('for end-to-end tests', () => {
  const json = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${base}/api/${path}`, init)
    return { status: response.status, body: response.status === 204 ? undefined : await response.json() }
  }
  const put = (body: unknown) =>
    json('faults', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })

  test('finds messages by address, text, and attachments', async () => {
    await send({
      from: 'Ada <ada@a.example>',
      to: 'bob@b.example',
      subject: 'Invoice 7',
      text: 'eleven crates',
    })
    await send({
      from: 'shop@s.example',
      to: 'lada@a.example',
      subject: 'Reset',
      html: '<a href="x:y">go</a>',
    })
    await send({
      to: 'bob@b.example',
      subject: 'Files',
      attachments: [{ filename: 'plan.pdf', content: 'x' }],
    })
    const subjects = async (query: string) =>
      (await json(`messages?${query}`)).body.messages.map(({ subject }: { subject: string }) => subject)
    expect(await subjects('')).toEqual(['Files', 'Reset', 'Invoice 7'])
    expect(await subjects('limit=1')).toEqual(['Files'])
    expect(await subjects('to=BOB@b.example')).toEqual(['Files', 'Invoice 7'])
    expect(await subjects('to=da@a.example')).toEqual([])
    expect(await subjects('to=da')).toEqual(['Reset'])
    expect(await subjects('to=*@a.example')).toEqual(['Reset'])
    expect(await subjects('from=shop&subject=res')).toEqual(['Reset'])
    expect(await subjects('text=CRATES')).toEqual(['Invoice 7'])
    expect(await subjects('attachment=true')).toEqual(['Files'])
    expect(await subjects('attachment=false&q=bob')).toEqual(['Invoice 7'])
    expect(await subjects(`q=${encodeURIComponent('from:ada "eleven crates" subject:invoice')}`)).toEqual([
      'Invoice 7',
    ])
    expect(await subjects(`q=${encodeURIComponent('has:attachment plan.pdf')}`)).toEqual(['Files'])
    expect((await get('/?q=crates')).text).toMatch(/1\s+of 3 matches/)
    for (const bad of ['nothing=1', 'limit=-1', 'attachment=maybe', 'to=a&to=b'])
      expect(await json(`messages?${bad}`)).toMatchObject({ status: 400, body: { code: 'INVALID_MESSAGE' } })
  })

  test('waits for a message, and names the messages that arrived instead', async () => {
    const waiting = json('messages/wait?to=bob@b.example&subject=reset&timeout=5000')
    await send({ subject: 'Something else' })
    await send({
      subject: 'Reset your password',
      html: '<p><a href="https://a.example/r?a=1&amp;b=2"><b>Choose</b> another</a></p>',
      attachments: [{ filename: 'a.txt', content: 'hello' }],
    })
    const { status, body } = await waiting
    expect(status).toBe(200)
    expect(body.links).toEqual([{ url: 'https://a.example/r?a=1&b=2', text: 'Choose another' }])
    expect((await get(`/${body.attachments[0].href}`)).text).toBe('hello')
    expect((await get(`/${body.eml}`)).text).toContain('Subject: Reset your password')
    expect(await json('messages/wait?subject=never&timeout=50')).toMatchObject({
      status: 504,
      body: {
        code: 'WAIT_TIMEOUT',
        detail: expect.stringContaining("'Reset your password' to bob@b.example"),
      },
    })
  })

  test('deletes one message or all', async () => {
    const first = await send({ subject: 'one' })
    await send({ subject: 'two' })
    expect((await json(`messages/${first}`, { method: 'DELETE' })).status).toBe(204)
    expect((await json(`messages/${first}`, { method: 'DELETE' })).body.code).toBe('NOT_FOUND')
    expect(inbox.stored()).toHaveLength(1)
    expect((await json('messages', { method: 'DELETE' })).status).toBe(204)
    expect(inbox.stored()).toHaveLength(0)
  })

  test('sets faults, lists them on the page, and removes them', async () => {
    const fault = { at: 'rcpt', do: 'refuse', to: '*@b.example', probability: 1, times: 1 }
    expect(await put([fault])).toEqual({ status: 200, body: { faults: [fault] } })
    expect((await get('/')).text).toMatch(
      /1 fault is active[^]*550 5\.1\.1 No such mailbox, for \*@b\.example/,
    )
    await expect(send({})).rejects.toThrow('550')
    expect((await json('faults')).body).toEqual({ faults: [] })
    expect(await put({ faults: [{ at: 'dot', do: 'garbage' }] })).toMatchObject({ status: 200 })
    expect((await json('faults', { method: 'DELETE' })).status).toBe(204)
    expect((await get('/')).text).not.toContain('is on.')
    for (const [bad, path] of [
      [{}, 'faults'],
      [[{ at: 'nowhere', do: 'refuse' }], 'faults[0].at'],
      [[fault, { at: 'rcpt', do: 'close-after' }], 'faults[1].do'],
      [[{ at: 'dot', do: 'delay', ms: 1e12 }], 'faults[0].ms'],
    ] as const)
      expect(await put(bad)).toMatchObject({ status: 400, body: { path } })
    const form = { method: 'PUT', body: '[]', headers: { 'content-type': 'text/plain' } }
    expect((await json('faults', form)).status).toBe(415)
  })

  test('links only to harmless URLs', async () => {
    const id = await send({
      html: '<a href="javascript:alert(1)">one</a><a href="https://x.example/">two</a>',
    })
    const { text } = await get(`/messages/${id}?view=links`)
    expect(text).toContain('<code>javascript:alert(1)</code>')
    expect(text).toContain('<a href="https://x.example/" target="_blank" rel="noopener noreferrer">')
    expect(text).not.toContain('href="javascript')
  })
})

test('inboxRouter can be mounted in an Express 4 app', async () => {
  const app = express4().use('/old/inbox', inboxRouter(inbox))
  const old = app.listen(0, '127.0.0.1')
  await once(old, 'listening')
  const root = `http://127.0.0.1:${(old.address() as AddressInfo).port}/old/inbox`
  const id = await send({ subject: 'Hi', attachments: [{ filename: 'a.txt', content: 'hello' }] })
  const read = async (path: string) => {
    const response = await fetch(root + path)
    return [response.status, await response.text()] as const
  }
  expect((await read('/?q=hi'))[1]).toContain('1 of 1 matches')
  for (const path of [
    `/messages/${id}`,
    '/assets/inbox.js',
    '/api/messages?subject=hi',
    `/messages/${id}/mail.eml`,
  ])
    expect((await read(path))[0]).toBe(200)
  expect((await read(`/messages/${id}/attachments/0`))[1]).toBe('hello')
  expect((await read('/api/messages/none'))[0]).toBe(404)
  old.closeAllConnections()
  old.close()
})

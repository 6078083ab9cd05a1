import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import express from 'express'
import { mailRouter } from 'threadpost/express'
import { describe, expect, test } from 'vitest'
import { api, callAt, json, listen, MAIL } from '../support/api.js'
import { folderOf } from '../support/folder.js'

const TOKENS = [
  { token: 'reader-token-1234', scopes: ['read'] as const },
  { token: 'manager-token-123', scopes: ['read', 'manage', 'send'] as const },
]
const as = (token: string) => ({ authorization: `Bearer ${token}` })
/** The machine may have other things to do. */
const HELLO = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head>
  <mj-body><mj-section><mj-column><mj-text>Hello {{name}}</mj-text></mj-column></mj-section></mj-body></mjml>`

describe('the pages', () => {
  test('are small, hold no script of their own, and find everything relative to themselves', async () => {
    const { base } = await api()
    for (const place of ['/', '/preview', '/preview/']) {
      const page = await callAt(base + place)
      expect(page.status).toBe(200)
      expect(page.headers.get('content-security-policy')).toMatch(/script-src 'self'; ?style-src 'self'/)
      const scripts = [...String(page.body).matchAll(/<script[^>]*src="([^"]*)"><\/script>/g)]
      expect(String(page.body).match(/<script/g)).toHaveLength(scripts.length)
      expect(page.body).not.toMatch(/style=|onload=|(src|href)="\//)
      let bytes = 0
      for (const [, source = ''] of scripts) {
        const { status, body, headers } = await callAt(new URL(source, base + place).href)
        expect([status, headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8'])
        bytes += Buffer.byteLength(body)
      }
      expect(bytes).toBeGreaterThan(0)
      expect(bytes).toBeLessThan(100_000)
    }
  })

  test('require the scope of each action', async () => {
    const { base } = await api({ auth: { tokens: TOKENS } })
    expect(
      (await callAt(`${base}/`, { headers: { accept: 'text/html' } })).headers.get('location'),
    ).toContain('login')
    expect((await callAt(`${base}/dashboard/messages`)).status).toBe(401)
    expect((await callAt(`${base}/dashboard/events`)).status).toBe(401)
    expect((await callAt(`${base}/dashboard/messages`, { headers: as('reader-token-1234') })).status).toBe(
      200,
    )
    for (const place of ['pause', 'resume', 'verify', 'bulk', 'templates/x/test'])
      expect(
        (await callAt(`${base}/dashboard/${place}`, json({}, as('reader-token-1234')))).status,
        place,
      ).toBe(403)
    expect((await callAt(`${base}/dashboard/pause`, json({}, as('manager-token-123')))).status).toBe(204)
  })
})

describe('messages', () => {
  test('show their content only with the scope manage if recipients are redacted', async () => {
    const auth = { tokens: TOKENS }
    const kept = { retain: { data: 'kept' } } as const
    const open = await api({ auth }, kept)
    const shut = await api({ auth }, { ...kept, redact: { recipients: true } })
    for (const [{ base, mailer }, status] of [
      [open, 200],
      [shut, 403],
    ] as const) {
      const { id } = await mailer.sendAndWait({ ...MAIL, to: 'ada@example.com', html: '<p>Hi</p>' })
      for (const part of ['contents', 'html', 'mail.eml']) {
        const at = `${base}/dashboard/messages/${id}/${part}`
        const answer = await callAt(at, { headers: as('reader-token-1234') })
        expect([part, answer.status]).toEqual([part, status])
        if (status === 403) expect(JSON.stringify(answer.body)).not.toContain('ada@')
        expect((await callAt(at, { headers: as('manager-token-123') })).status).toBe(200)
      }
      expect(
        (await callAt(`${base}/dashboard/messages/none/contents`, { headers: as('reader-token-1234') }))
          .status,
      ).toBe(404)
    }
  })

  test('show their content to readers if redact is off, even if an address looks redacted', async () => {
    const { base, mailer } = await api({ auth: { tokens: TOKENS } }, { retain: { data: 'kept' } })
    expect(mailer.redact).toEqual({ recipients: false })
    const { id } = await mailer.sendAndWait({ ...MAIL, to: 'a…@example.com' })
    const at = `${base}/dashboard/messages/${id}`
    expect((await callAt(at, { headers: as('reader-token-1234') })).body.shortened).toBe(false)
    expect((await callAt(`${at}/contents`, { headers: as('reader-token-1234') })).status).toBe(200)
  })

  test('are listed without their content, found, and changed in bulk, step by step', async () => {
    const { base, mailer, call } = await api({}, { limits: { queue: 1_000 } })
    await mailer.pause()
    for (let n = 0; n < 450; n++)
      await mailer.send({ ...MAIL, to: `a${n}@example.com`, tags: [n % 2 ? 'odd' : 'even'] })
    const page = await call('/dashboard/messages?tag=odd&limit=2')
    expect(page.body.rows).toMatchObject([
      { to: 'a449@example.com', status: 'held', subject: 'Hi', tags: ['odd'] },
      { to: 'a447@example.com' },
    ])
    expect(JSON.stringify(page.body)).not.toContain('Hello')

    const ids = page.body.rows.map(({ id }: { id: string }) => id)
    const chosen = await call('/dashboard/bulk', json({ action: 'cancel', ids: [...ids, ids[0], 'nope'] }))
    expect(chosen.body).toEqual({ done: 2, passed: 2 })
    let cursor: string | undefined
    let done = 0
    do {
      const query = { tag: 'odd', ...(cursor === undefined ? {} : { cursor }) }
      const step = await call('/dashboard/bulk', json({ action: 'cancel', query }))
      expect(step.status).toBe(200)
      done += Number(step.body.done)
      cursor = step.body.cursor
    } while (cursor !== undefined)
    expect(done).toBe(223)
    expect(await mailer.stats()).toMatchObject({ cancelled: 225, held: 225 })

    for (const [body, field] of [
      [{ action: 'delete', ids }, 'action'],
      [{ action: 'toString', ids }, 'action'],
      [{ action: 'cancel', query: { status: 'nope' } }, 'status'],
      [{ action: 'cancel', query: { nope: 1 } }, 'nope'],
      [{ action: 'cancel' }, 'query'],
      [{ action: 'cancel', ids: Array(501).fill('x') }, 'ids'],
    ] as const) {
      const { status, body: problem } = await call('/dashboard/bulk', json(body))
      expect([status, problem.path], JSON.stringify(body).slice(0, 80)).toEqual([400, field])
    }
    expect((await callAt(`${base}/dashboard/messages?since=yesterday`)).body.path).toBe('since')
  })

  test('show the parts of a finished message', async () => {
    const { call, mailer } = await api({})
    await mailer.pause()
    const { id } = await mailer.send({
      raw: 'From: a@b.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/html\n\n<p>Hello</p>',
      envelope: { from: 'a@b.example', to: 'ada@example.com' },
    })
    const contents = await call(`/dashboard/messages/${id}/contents`)
    expect(contents.body).toMatchObject({ kept: true, subject: 'Grüße', hasHtml: true, htmlSize: 13 })
    expect((await call(`/dashboard/messages/${id}/html`)).body).toContain('<p>Hello</p>')
  })

  test('can be read as long as their data is kept, in a frame that loads nothing', async () => {
    const folder = await folderOf({ 'hello.mjml': HELLO })
    const { call, mailer } = await api({}, { templates: folder })
    await mailer.pause()
    const { id } = await mailer.send({
      template: 'hello',
      data: { name: 'Ada' },
      to: 'ada@example.com',
      attachments: [{ filename: 'a.txt', content: 'attached' }],
    })
    const contents = await call(`/dashboard/messages/${id}/contents`)
    expect(contents.body).toMatchObject({ kept: true, subject: 'Hello Ada', hasHtml: true })
    expect(contents.body.headers).toContainEqual(['To', 'ada@example.com'])
    const html = await call(`/dashboard/messages/${id}/html`)
    expect(html.body).toContain('Hello Ada')
    expect(html.headers.get('content-security-policy')).toMatch(/default-src 'none'.*sandbox/)
    const eml = await call(`/dashboard/messages/${id}/mail.eml`)
    expect(eml.headers.get('content-disposition')).toContain('attachment')
    expect(eml.body).toContain('filename=a.txt')
    expect(Buffer.byteLength(eml.body)).toBe(contents.body.size)

    await writeFile(path.join(folder, 'hello.mjml'), HELLO.replace('</mj-body>', '{{/if}}</mj-body>'))
    await expect
      .poll(async () => (await call(`/dashboard/messages/${id}/contents`)).body.code)
      .toBe('TEMPLATE_ERROR')
    await writeFile(path.join(folder, 'hello.mjml'), HELLO)
    await expect.poll(async () => (await call(`/dashboard/messages/${id}/contents`)).body.kept).toBe(true)
    await mailer.resume()
    await mailer.wait(id)
    expect((await call(`/dashboard/messages/${id}/contents`)).body).toEqual({ kept: false })
    expect((await call(`/dashboard/messages/${id}/html`)).status).toBe(404)
    expect((await call(`/dashboard/messages/nope/contents`)).status).toBe(404)
  })
})

describe('images in a message', () => {
  const html = '<img src="cid:a"><img src="cid:b">'
  const attachments = [
    { cid: 'a', filename: 'a.png', content: Buffer.from([1, 2, 3]), contentType: 'image/png' },
    { cid: 'b', filename: 'b.html', content: '<script></script>', contentType: 'text/html' },
  ]
  const addressIn = (body: string) => /src="(images\/0\/[^"]+)"/.exec(body)![1]!

  test('have signed URLs that need no login, for images only, and expire', async () => {
    const { base, mailer } = await api({ auth: { tokens: TOKENS } }, { retain: { data: 'kept' } })
    const first = await mailer.sendAndWait({ ...MAIL, html, attachments })
    const other = await mailer.sendAndWait({ ...MAIL, html, attachments })
    const at = `${base}/dashboard/messages/${first.id}/html`
    expect((await callAt(at)).status).toBe(401)
    const document = await callAt(at, { headers: as('reader-token-1234') })
    expect(document.body).toContain('src="cid:b"')
    expect(document.headers.get('content-security-policy')).toContain("img-src 'self' data:;")
    const address = new URL(addressIn(document.body), at).href
    const image = await fetch(address)
    expect(Buffer.from(await image.arrayBuffer())).toEqual(Buffer.from([1, 2, 3]))
    expect(Object.fromEntries(image.headers)).toMatchObject({
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'cache-control': expect.stringMatching(/^private, max-age=\d+/),
      'content-security-policy': expect.stringMatching(/default-src 'none'.*sandbox/),
      'cross-origin-resource-policy': 'cross-origin',
    })
    for (const forged of [
      address.replace(first.id, other.id),
      address.replace('images/0', 'images/1'),
      address.replace(/\d+-/, (end) => `${Number.parseInt(end) + 1}-`),
      address.slice(0, -1),
    ])
      expect((await callAt(forged)).status, forged).toBe(401)
    // With a token it needs no signature, and is still an image or nothing.
    const whole = address.replace(/[^/]*$/, 'x')
    expect((await callAt(whole, { headers: as('reader-token-1234') })).status).toBe(200)
    const page = whole.replace('images/0', 'images/1')
    expect((await callAt(page, { headers: as('reader-token-1234') })).status).toBe(404)
  })

  test('can be loaded from another process with the same tokens', async () => {
    const auth = { tokens: TOKENS }
    const { base, mailer } = await api({ auth }, { retain: { data: 'kept' } })
    const { id } = await mailer.sendAndWait({ ...MAIL, html, attachments })
    const sibling = await listen(
      express().use('/v1/mail', mailRouter(mailer, { auth: { tokens: [...TOKENS].reverse() } })),
    )
    const at = `/dashboard/messages/${id}/html`
    const document = await callAt(base + at, { headers: as('reader-token-1234') })
    expect((await callAt(new URL(addressIn(document.body), `${sibling}/v1/mail${at}`).href)).status).toBe(200)
  })

  test('are all that a frame can load as an image from this server', async () => {
    const { base } = await api()
    const headers = { 'sec-fetch-dest': 'image' }
    for (const place of ['/', '/dashboard/events', '/dashboard/messages', '/messages', '/stats'])
      expect((await callAt(base + place, { headers })).status, place).toBe(403)
    expect((await callAt(`${base}/assets/icon.svg`, { headers })).status).toBe(200)
  })

  test('are followed by long bodies that are cut, with a note', async () => {
    const { call, mailer } = await api({}, { retain: { data: 'kept' } })
    const long = { html: `<p>${'x'.repeat(1_100_000)}</p>`, text: 'y'.repeat(300_000) }
    const { id } = await mailer.sendAndWait({ ...MAIL, ...long })
    const { body } = await call(`/dashboard/messages/${id}/contents`)
    expect(body.text).toHaveLength(256 * 1024)
    expect(body.notes).toEqual([
      'Only the first 1024 KB of the HTML are shown. Download the raw mail to see the rest.',
      'Only the first 256 KB of the text are shown. Download the raw mail to see the rest.',
    ])
    expect((await call(`/dashboard/messages/${id}/html`)).body.length).toBeLessThan(1_100_000)
  })
})

describe('events', () => {
  test('arrive at once and then every second, without message content, and end with the mailer', async () => {
    const { base, mailer } = await api()
    await mailer.sendAndWait({ ...MAIL, text: 'secret words' })
    const response = await fetch(`${base}/dashboard/events`)
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    let text = ''
    const closing = { begun: false }
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.split('event: tick').length > 2 && !closing.begun) {
        closing.begun = true
        void mailer.close()
      }
    }
    const ticks = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!))
    expect(ticks.length).toBeGreaterThanOrEqual(2)
    expect(ticks[0].activity).toMatchObject({
      queue: { sent: 1 },
      day: { settled: [{ status: 'sent', reason: 'OK', count: 1 }] },
    })
    expect(ticks[0].points.at(-1)).toMatchObject({ success: 1 })
    expect(text).not.toContain('secret')
    expect((await callAt(`${base}/dashboard/events`)).status).toBe(503)
  })

  test('report changed templates, and watch no file without an open page', async () => {
    const folder = await folderOf({ 'hello.mjml': HELLO, 'partials/foot.mjml': '<mj-text>x</mj-text>' })
    const { base } = await api({}, { templates: folder })
    const watchers = () =>
      process.getActiveResourcesInfo().filter((name) => name.startsWith('FSEvent')).length
    const before = watchers()
    const controller = new AbortController()
    const response = await fetch(`${base}/dashboard/events?watch=templates`, { signal: controller.signal })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let told = 0
    const listening = (async () => {
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return
        told += value.split('event: templates').length - 1
      }
    })().catch(() => undefined)
    await expect.poll(watchers).toBe(before + 2)
    await writeFile(path.join(folder, 'hello.mjml'), `${HELLO} `)
    // Reported once for the change, and again for threads that check later.
    await expect.poll(() => told).toBeGreaterThanOrEqual(2)
    const soFar = told
    await writeFile(path.join(folder, 'partials/foot.mjml'), '<mj-text>y</mj-text>')
    await expect.poll(() => told).toBeGreaterThan(soFar)
    controller.abort()
    await listening
    await expect.poll(watchers).toBe(before)
  })
})

describe('templates', () => {
  test('are inspected and rendered in a thread, with their errors', async () => {
    const folder = await folderOf({
      'hello.mjml': HELLO,
      'hello.fr.mjml': HELLO,
      'hello.json': '{ "name": "Ada" }',
      'broken.mjml': '{{#if x}}',
    })
    const { call } = await api({}, { templates: folder })
    expect((await call('/dashboard/templates')).body).toEqual({ templates: ['broken', 'hello'] })
    const hello = await call('/dashboard/templates/hello')
    expect(hello.body).toEqual({
      name: 'hello',
      locales: ['fr'],
      sample: { name: 'Ada' },
      language: 'mjml',
      findings: [],
      warnings: [],
    })
    expect((await call('/dashboard/templates/broken')).body.error).toContain('broken.mjml')
    expect((await call('/dashboard/templates/nope')).body.code).toBe('UNKNOWN_TEMPLATE')

    const rendered = await call('/dashboard/templates/hello/render', json({ data: { name: '<b>' } }))
    expect(rendered.body).toMatchObject({ subject: 'Hello <b>', text: 'Hello <b>\n' })
    const frame = await call(`/dashboard/renders/${rendered.body.key}`)
    expect(frame.headers.get('content-security-policy')).toContain('sandbox')
    expect(frame.body).toContain('Hello &lt;b&gt;')
    const missing = await call('/dashboard/templates/hello/render', json({ data: {} }))
    expect([missing.status, missing.body.code, missing.body.paths]).toEqual([400, 'MISSING_DATA', ['name']])
    for (let n = 0; n < 16; n++) await call('/dashboard/templates/hello/render', json({ data: { name: n } }))
    expect((await call(`/dashboard/renders/${rendered.body.key}`)).status).toBe(404)
  })

  test('are sent as a test message', async () => {
    const folder = await folderOf({ 'hello.mjml': HELLO })
    const { call, mailer, inbox } = await api({}, { templates: folder })
    const test = { to: 'ada@example.com', data: { name: 'Ada' } }
    const { status, body } = await call('/dashboard/templates/hello/test', json(test))
    expect(status).toBe(202)
    expect((await inbox.waitFor()).subject).toBe('Hello Ada')
    expect((await mailer.find(body.id))?.tags).toEqual(['test'])
    expect((await call('/dashboard/templates/hello/test', json({ ...test, to: '' }))).body.path).toMatch(
      /^to/,
    )
  })
})

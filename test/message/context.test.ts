import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import express from 'express'
import {
  currentContext,
  type MailContext,
  type Mailer,
  type MailerOptions,
  type MessageEvent,
} from 'threadpost'
import { mailContext } from 'threadpost/express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const page = (title: string, body: string): string =>
  `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${body}</mj-text></mj-column></mj-section></mj-body></mjml>`

const templates = (): Promise<string> =>
  folderOf({
    'hello.mjml': page(
      'Hello',
      'Request {{@context.requestId}} of {{@context.tenant}}{{@context.nobody.here}}.',
    ),
    'hello.fr.mjml': page('Bonjour', 'Demande {{@context.requestId}} de {{@context.tenant}}, {{shout}}.'),
    'helpers.js': 'export const shout = (options) => options.data.context.tenant.toUpperCase()',
  })

/** An app whose every request sends the template, and what the listeners of `sent` were told, and where they were. */
async function app(options: Partial<MailerOptions> = {}) {
  const { mailer, inbox } = await mailerWithInbox({ templates: await templates(), ...options })
  const server = express()
    .use(mailContext())
    .get('/', async (_request, response) => {
      const { id } = await mailer.send({ template: 'hello', to: 'ada@example.com' })
      response.json({ id })
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const ask = async (headers: Record<string, string>) => {
    const response = await fetch(url, { headers })
    const { id } = (await response.json()) as { id: string }
    const message = await mailer.wait(id)
    const mail = await inbox.waitFor({ subject: /./ })
    inbox.clear()
    return { response, message, mail }
  }
  return { mailer, inbox, ask }
}

/** The events that listeners of `sent` get, and the context that each of them runs in. */
function heardFrom(mailer: Mailer): Map<string, { event: MessageEvent; around: unknown }> {
  const heard = new Map<string, { event: MessageEvent; around: unknown }>()
  mailer.on('sent', async (event) => {
    await Promise.resolve()
    heard.set(event.id, { event, around: currentContext() })
  })
  return heard
}

describe('the context of a request', () => {
  it('reaches the template, the helpers, the message and the listeners', async () => {
    const { mailer, ask } = await app({ context: () => ({ tenant: 'acme', user: { id: 7 } }) })
    const heard = heardFrom(mailer)
    const { message, mail, response } = await ask({
      'x-request-id': 'req-42',
      'accept-language': 'de;q=0.4, fr-CA, en;q=0.2',
      traceparent: TRACE,
      tracestate: 'vendor=1',
    })
    expect(mail.subject).toBe('Bonjour')
    expect(mail.text).toContain('Demande req-42 de acme, ACME.')
    expect(response.headers.get('x-request-id')).toBe('req-42')
    const context = {
      requestId: 'req-42',
      locale: 'fr-CA',
      languages: ['fr-CA', 'de', 'en'],
      traceparent: TRACE,
      tracestate: 'vendor=1',
      tenant: 'acme',
      user: { id: 7 },
    }
    expect(message).toMatchObject({ locale: 'fr-CA', context })
    await expect.poll(() => heard.get(message.id)).toMatchObject({ around: context, event: { context } })
  })

  it('ignores headers that are not a valid request id, language or trace', async () => {
    const { ask } = await app()
    const { message, mail } = await ask({
      'x-request-id': 'a"b',
      'accept-language': `*, ../../etc, en-GB;q=0.1, ${'x'.repeat(9)}`,
      traceparent: TRACE.replace(/^00/, 'ff'),
    })
    expect(mail.subject).toBe('Hello')
    expect(message.context).toEqual({ requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), locale: 'en-GB' })
    expect((await ask({ 'x-request-id': 'x'.repeat(129) })).message.context?.['requestId']).toHaveLength(36)
  })

  it('selects the first language that the template supports, unless the mail sets a locale', async () => {
    const { mailer } = await mailerWithInbox({
      templates: await folderOf({
        'hello.mjml': page('Hello', 'x'),
        'hello.fr.mjml': page('Bonjour', 'x'),
        'strings.mjml': page('{{t "hi"}}', 'x'),
        'locales/de.json': '{ "hi": "Guten Tag" }',
        'locales/default.json': '{ "hi": "Good day" }',
      }),
      threads: 0,
    })
    const localeOf = async (template: string, context: object, locale?: string) => {
      const mail = { template, to: 'ada@example.com', ...(locale === undefined ? {} : { locale }) }
      const { id } = await mailer.runWithContext({ ...context }, () => mailer.send(mail))
      return (await mailer.find(id))?.locale
    }
    expect(await localeOf('hello', { languages: ['de', 'fr', 'en'] })).toBe('fr')
    expect(await localeOf('hello', { languages: ['de', 'en-GB', 'fr'] })).toBe('en-GB')
    expect(await localeOf('hello', { languages: ['de', 'it'] })).toBeUndefined()
    expect(await localeOf('strings', { languages: ['fr', 'de-AT'] })).toBe('de-AT')
    expect(await localeOf('hello', { locale: 'fr' }, 'it')).toBe('it')
  })

  it('is merged with an outer context, and a chosen locale takes precedence over the languages of the browser', async () => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    const seen = mailer.runWithContext({ requestId: 'a', locale: 'de', languages: ['de', 'fr'] }, () =>
      mailer.runWithContext({ locale: 'fr', tenant: 't' }, () => currentContext()),
    )
    expect(seen).toEqual({ requestId: 'a', locale: 'fr', tenant: 't' })
    expect(currentContext()).toBeUndefined()
  })

  it('is never that of another message', async () => {
    const { mailer } = await mailerWithInbox({ concurrency: 1 })
    const heard = heardFrom(mailer)
    const mail = { to: 'ada@example.com', subject: 's', text: 't' }
    const without = await mailer.send(mail)
    const ids = await Promise.all(
      ['a', 'b', undefined].map(async (requestId) => {
        const send = () => mailer.send(mail)
        return (await (requestId === undefined ? send() : mailer.runWithContext({ requestId }, send))).id
      }),
    )
    await Promise.all([without.id, ...ids].map((id) => mailer.wait(id)))
    await expect.poll(() => heard.size).toBe(4)
    const around = [without.id, ...ids].map((id) => heard.get(id)?.around)
    expect(around).toEqual([undefined, { requestId: 'a' }, { requestId: 'b' }, undefined])
  })

  it('is stored with a prepared mail, and is not part of its fingerprint', async () => {
    const { mailer } = await mailerWithInbox({ threads: 0 })
    const mail = { to: 'ada@example.com', subject: 's', text: 't' }
    const prepared = mailer.runWithContext({ requestId: 'a' }, () => mailer.prepare(mail))
    const { id } = await mailer.send(JSON.parse(JSON.stringify(prepared)))
    expect(await mailer.find(id)).toMatchObject({ context: { requestId: 'a' } })

    const send = (requestId: string) =>
      mailer.runWithContext({ requestId }, () => mailer.send({ ...mail, idempotencyKey: 'k' }))
    await send('a')
    expect(await send('b')).toMatchObject({ duplicate: true })
  })

  it.each([
    [{ requestId: 7 }, 'context.requestId'],
    [{ locale: '../x' }, 'context.locale'],
    [{ languages: 'fr' }, 'context.languages'],
    [{ traceparent: 'x' }, 'context.traceparent'],
    [{ user: new Map() }, 'context.user'],
    [{ text: 'x'.repeat(5_000) }, 'context'],
    [[], 'context'],
  ])('is rejected if it is not plain data or is too large: %j', async (context, path) => {
    const { mailer } = await mailerWithInbox({ threads: 0, context: () => context })
    const refused = expect.objectContaining({ code: 'INVALID_MESSAGE', path })
    expect(() => mailer.runWithContext(context as MailContext, () => 0)).toThrow(refused)
    await expect(mailer.send({ to: 'ada@example.com', subject: 's', text: 't' })).rejects.toEqual(refused)
  })

  it('survives the process: after kill -9 and a restart, the listener runs in it', async () => {
    const file = path.join(await folderOf({}), 'outbox.db')
    const context = { requestId: 'req-9', locale: 'fr', tenant: 'acme' }
    const dead = new SenderProcess({ file, url: 'smtp://127.0.0.1:9', count: 1, callers: 1, context })
    await dead.given(1)
    await dead.kill()
    const [id = ''] = dead.receipts.keys()

    const inbox = await testInbox()
    const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}` })
    const heard = heardFrom(mailer)
    await mailer.retry(id).catch(() => undefined)
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent', context })
    await expect.poll(() => heard.get(id)).toMatchObject({ around: context, event: { context } })
  })
})

import { createHmac } from 'node:crypto'
import path from 'node:path'
import type { Mailer, MailerOptions, WebhookEndpointOptions } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { api, json } from '../support/api.js'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { SenderProcess } from '../support/senderProcess.js'
import { SECRET, WebhookReceiver } from '../support/webhookReceiver.js'

const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' }
/** Bounds a hang only. */
const PATIENCE = { timeout: 60_000 }

function endpoint(
  { url }: { url: string },
  options: Partial<WebhookEndpointOptions> = {},
): WebhookEndpointOptions {
  return { url, secret: SECRET, baseDelay: 10, maxDelay: 20, ...options }
}

async function hookedMailer(webhooks: WebhookEndpointOptions[], options: Partial<MailerOptions> = {}) {
  return mailerWithInbox({ webhooks, ...options })
}

async function statusOf(mailer: Mailer) {
  const [status] = (await mailer.webhooks?.list()) ?? []
  if (status === undefined) throw new Error('no webhook')
  return status
}

describeOnEveryQueue('webhooks', (newQueue) => {
  it('get the events of a message, signed and in order, without its data', async () => {
    const receiver = await WebhookReceiver.start()
    const other = await WebhookReceiver.start()
    const { mailer } = await hookedMailer(
      [
        endpoint(receiver, { secret: [SECRET, `whsec_${Buffer.alloc(24, 9).toString('base64')}`] }),
        endpoint(other, { events: ['bounced'] }),
      ],
      { queue: await newQueue() },
    )
    const { id, messageId } = await mailer.sendAndWait({ ...MAIL, text: 'canary', tags: ['a'] })
    await mailer.report({ id, state: 'delivered' })
    await mailer.report({ id, state: 'bounced', permanent: true, category: 'mailbox' })
    const again = await mailer.send({ ...MAIL, to: ['ada@example.com', 'bob@example.com'] })
    await mailer.wait(again.id)
    await expect
      .poll(() => receiver.typesOf(id), PATIENCE)
      .toEqual(['message.sent', 'recipient.delivered', 'recipient.bounced'])
    // A suppression is stored a moment later than it is found, so the other may be first.
    await expect
      .poll(() => receiver.typesOf(again.id).toSorted(), PATIENCE)
      .toEqual(['message.partial', 'recipient.suppressed'])
    await expect.poll(() => other.accepted.map(({ type }) => type), PATIENCE).toEqual(['recipient.bounced'])
    const [sent] = receiver.accepted
    expect(sent?.data).toMatchObject({
      id,
      messageId,
      status: 'sent',
      tags: ['a'],
      attempt: 1,
      outcome: { result: 'sent' },
    })
    expect(JSON.stringify(receiver.requests)).not.toContain('canary')
    // The signature, computed from the specification: https://www.standardwebhooks.com
    const { headers, body } = sent!
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
    const signatures = [Buffer.alloc(32, 7), Buffer.alloc(24, 9)].map(
      (key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    )
    expect(headers['webhook-signature']).toBe(signatures.join(' '))
    expect(new Set(receiver.requests.map((event) => event.id)).size).toBe(receiver.requests.length)
  })

  it('try again under the same id, hold back later events of the same message only, and affect no other', async () => {
    const refused = new Set<string>()
    const broken = await WebhookReceiver.start(({ data, type }, response) => {
      const fails = data['id'] === first && type === 'message.cancelled'
      if (fails) refused.add(type)
      response.writeHead(fails ? 500 : 200).end()
    })
    const healthy = await WebhookReceiver.start()
    const silent = await WebhookReceiver.start(() => undefined)
    const { mailer } = await hookedMailer(
      [endpoint(broken), endpoint(healthy), endpoint(silent, { timeout: 60_000 })],
      { queue: await newQueue() },
    )
    let first = ''
    const sendAt = new Date(Date.now() + 3_600_000).toISOString()
    const receipt = await mailer.send({ ...MAIL, sendAt })
    first = receipt.id
    await mailer.cancel(first)
    await mailer.retry(first)
    await mailer.wait(first)
    const second = await mailer.sendAndWait(MAIL)
    await expect.poll(() => broken.typesOf(second.id), PATIENCE).toEqual(['message.sent'])
    await expect.poll(() => healthy.typesOf(first), PATIENCE).toEqual(['message.cancelled', 'message.sent'])
    await expect
      .poll(() => broken.requests.filter(({ data }) => data['id'] === first).length, PATIENCE)
      .toBeGreaterThan(2)
    expect(broken.typesOf(first)).toEqual([])
    const ids = broken.requests.filter(({ data }) => data['id'] === first).map(({ id }) => id)
    expect(new Set(ids).size).toBe(1)
    expect((await statusOf(mailer)).state).not.toBe('disabled')
    first = 'none'
    const id = receipt.id
    await expect.poll(() => broken.typesOf(id), PATIENCE).toEqual(['message.cancelled', 'message.sent'])
    await expect
      .poll(() => statusOf(mailer), PATIENCE)
      .toMatchObject({ state: 'working', waiting: 0, delivered: 3 })
  })

  it('are disabled by a 410 until an operator sends the failed events again', async () => {
    let status = 410
    const receiver = await WebhookReceiver.start((_event, response) => response.writeHead(status).end())
    const lines: string[] = []
    const log = (fields: object, message: string) => void lines.push(JSON.stringify([fields, message]))
    const { mailer } = await hookedMailer([endpoint({ url: `${receiver.url}?token=canary` })], {
      queue: await newQueue(),
      logger: { debug: log, info: log, warn: log, error: log },
      alerts: { interval: 20 },
    })
    const raised = new Promise((resolve) => mailer.once('alert', resolve))
    const { id } = await mailer.sendAndWait(MAIL)
    expect(await raised).toMatchObject({ rule: 'webhooks', webhook: receiver.url })
    await expect
      .poll(() => statusOf(mailer), PATIENCE)
      .toMatchObject({
        state: 'disabled',
        url: receiver.url,
        failed: 1,
        failures: [{ type: 'message.sent', message: id, attempts: 1, problem: 'The receiver answered 410.' }],
      })
    await mailer.sendAndWait(MAIL)
    await expect.poll(async () => (await statusOf(mailer)).dropped, PATIENCE).toBeGreaterThan(0)
    expect(receiver.requests).toHaveLength(1)
    expect(lines.join()).toMatch(/gone \(410\)/)
    expect(lines.join()).not.toMatch(/canary|whsec/)

    status = 200
    const { id: hook, failures } = await statusOf(mailer)
    await expect(mailer.webhooks?.redeliver('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(mailer.webhooks?.redeliver(hook, { event: 'none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(await mailer.webhooks?.redeliver(hook, { event: failures[0]!.id })).toBe(1)
    await expect.poll(() => receiver.typesOf(id), PATIENCE).toEqual(['message.sent'])
    expect(receiver.accepted[0]?.id).toBe(failures[0]?.id)
    await expect.poll(() => statusOf(mailer), PATIENCE).toMatchObject({ state: 'working', failed: 0 })
  })
})

describe('webhooks', () => {
  it('give an event up after its time, follow no redirect, and honor Retry-After', async () => {
    const target = await WebhookReceiver.start()
    const redirecting = await WebhookReceiver.start((_event, response) =>
      response.writeHead(307, { location: target.url }).end(),
    )
    const busy = await WebhookReceiver.start((_event, response) =>
      response.writeHead(busy.requests.length === 1 ? 429 : 200, { 'retry-after': '1' }).end(),
    )
    const { mailer } = await hookedMailer([
      endpoint(redirecting, { maxAge: 0 }),
      endpoint(busy, { maxDelay: 60_000, concurrency: 1 }),
    ])
    await Promise.all([mailer.sendAndWait(MAIL), mailer.sendAndWait(MAIL)])
    await expect
      .poll(() => statusOf(mailer), PATIENCE)
      .toMatchObject({
        state: 'failing',
        waiting: 0,
        failed: 2,
        failures: [{ problem: 'The receiver answered 307; redirects are not followed.' }, {}],
      })
    expect(target.requests).toEqual([])
    await expect.poll(() => busy.accepted, PATIENCE).toHaveLength(2)
    // The server's pause is for the endpoint, so the other event waited as well.
    const [refused, ...later] = busy.requests.map(({ headers }) => Number(headers['webhook-timestamp']))
    expect(Math.min(...later)).toBeGreaterThan(refused!)
  })

  it('store a limited number of events, and count the dropped ones', async () => {
    const silent = await WebhookReceiver.start(() => undefined)
    const { mailer } = await hookedMailer([endpoint(silent)], {
      limits: { webhooks: 2 },
      alerts: { interval: 20 },
    })
    const raised = new Promise((resolve) => mailer.once('alert', resolve))
    await Promise.all(Array.from({ length: 5 }, () => mailer.sendAndWait(MAIL)))
    expect(await raised).toMatchObject({ rule: 'webhooks', message: expect.stringContaining('dropped') })
    // The alert is an event, too.
    await expect.poll(() => statusOf(mailer), PATIENCE).toMatchObject({ waiting: 2, dropped: 4 })
    expect((await mailer.stats()).webhooks).toMatchObject([{ waiting: 2, dropped: 4 }])
  })

  it('lose no event when the process is killed', async () => {
    const inbox = await testInbox()
    const file = path.join(await folderOf({}), 'outbox.db')
    const receiver = await WebhookReceiver.start((_event, response) => {
      // The first half is accepted; the others wait for an answer until their process is gone.
      if (receiver.requests.length <= 10) response.writeHead(200).end()
    })
    const webhooks = [endpoint(receiver, { events: ['sent'], timeout: 60_000 })]
    const count = 40
    const sender = new SenderProcess({ file, url: inbox.url, count, options: { webhooks } })
    await expect.poll(() => receiver.requests.length, PATIENCE).toBeGreaterThan(15)
    await sender.given(count)
    await sender.kill()
    receiver.answer = (_event, response) => response.writeHead(200).end()
    const mailer = await testMailer({ transport: inbox.url, queue: `sqlite:${file}`, webhooks })
    const ids = [...sender.receipts.keys()]
    await Promise.all(ids.map((id) => mailer.wait(id)))
    const told = () => new Set(receiver.accepted.map(({ data }) => data['id']))
    await expect.poll(() => told().size, PATIENCE).toBe(count)
    expect([...told()].sort()).toEqual(ids.sort())
    await expect.poll(async () => (await statusOf(mailer)).waiting, PATIENCE).toBe(0)
  })

  it('are sent to by one process of several, and by another when that one ends', async () => {
    const receiver = await WebhookReceiver.start()
    const inbox = await testInbox()
    const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
    const webhooks = [endpoint(receiver, { events: ['cancelled'] })]
    const options = { transport: inbox.url, queue, webhooks }
    const [first, second] = [await testMailer(options), await testMailer({ ...options, role: 'send' })]
    const sendAt = new Date(Date.now() + 3_600_000).toISOString()
    const cancelOn = async (mailer: Mailer) => {
      const { id } = await mailer.send({ ...MAIL, sendAt })
      await mailer.cancel(id)
      await expect.poll(() => receiver.typesOf(id), PATIENCE).toEqual(['message.cancelled'])
    }
    await cancelOn(first)
    await cancelOn(second)
    expect((await second.stats()).webhooks[0]?.delivered).toBe(0)
    await first.close()
    await cancelOn(second)
    expect((await second.stats()).webhooks[0]?.delivered).toBe(1)
    expect(receiver.requests).toHaveLength(3)
  })

  it('get what is left when a mailer with a queue in memory closes', async () => {
    const receiver = await WebhookReceiver.start()
    const { mailer } = await hookedMailer([endpoint(receiver)])
    const { id } = await mailer.sendAndWait(MAIL)
    await mailer.close()
    expect(receiver.typesOf(id)).toEqual(['message.sent'])
    await expect(mailer.webhooks?.list()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('are listed and sent again over HTTP, and counted for Prometheus, without their secrets', async () => {
    let status = 410
    const receiver = await WebhookReceiver.start((_event, response) => response.writeHead(status).end())
    const tokens = [
      { token: 'reader-token-1234', scopes: ['read'] as const },
      { token: 'manager-token-123', scopes: ['manage'] as const },
    ]
    const reader = { authorization: 'Bearer reader-token-1234' }
    const manager = { authorization: 'Bearer manager-token-123' }
    const { call, mailer } = await api({ auth: { tokens } }, { webhooks: [endpoint(receiver)] })
    const { id } = await mailer.sendAndWait(MAIL)
    await expect.poll(async () => (await statusOf(mailer)).state, PATIENCE).toBe('disabled')
    const listed = await call('/webhooks', { headers: reader })
    expect(listed.body).toEqual({ webhooks: await mailer.webhooks?.list() })
    const path = `/webhooks/${(await statusOf(mailer)).id}/redeliver`
    expect((await call(path, json({}, reader))).status).toBe(403)
    expect((await call('/webhooks/none/redeliver', json({}, manager))).status).toBe(404)
    expect((await call(path, json({ event: 1 }, manager))).body).toMatchObject({ status: 400, path: 'event' })
    status = 200
    expect((await call(path, json({}, manager))).body).toEqual({ events: 1 })
    await expect.poll(() => receiver.typesOf(id), PATIENCE).toEqual(['message.sent'])
    const metrics = (await call('/metrics', { headers: reader })).body
    expect(metrics).toMatch(/threadpost_webhook_attempts_total\{webhook="\w+",result="delivered"\} 1/)
    expect(JSON.stringify([listed.body, metrics])).not.toContain('whsec_')
  })

  const url = 'https://acme.example/hook'
  it.each<[unknown, string]>([
    [{}, 'webhooks'],
    [[{ url: 'http://acme.example', secret: SECRET }], 'webhooks[0].url'],
    [[{ url: 'ftp://acme.example', secret: SECRET, allowInsecure: true }], 'webhooks[0].url'],
    [[{ url: 'https://user:pass@acme.example', secret: SECRET }], 'webhooks[0].url'],
    [[{ url }], 'webhooks[0].secret'],
    [[{ url, secret: 'whsec_short' }], 'webhooks[0].secret'],
    [[{ url, secret: [SECRET, 'canary'] }], 'webhooks[0].secret[1]'],
    [[{ url, secret: SECRET, events: ['opened'] }], 'webhooks[0].events[0]'],
    [[{ url, secret: SECRET, events: [] }], 'webhooks[0].events'],
    [
      [
        { url, secret: SECRET },
        { url: `${url}#b`, secret: SECRET },
      ],
      'webhooks[1].url',
    ],
  ])('make sense or are refused: %j', async (webhooks, where) => {
    const refused = testMailer({
      transport: `smtp://127.0.0.1:${await freePort()}`,
      webhooks: webhooks as never,
    })
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path: where })
    await expect(refused).rejects.not.toThrow(/canary|short/)
  })
})

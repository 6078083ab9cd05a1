import type { Mailer, Message, TransportOptions } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { type Dialect, MailApi, SECRET } from '../support/mailApi.js'
import { MAILJET, POSTMARK, RESEND } from '../support/mailServiceApis.js'
import { testMailer } from '../support/mailer.js'

interface Service {
  dialect: Dialect
  at: (endpoint: string) => TransportOptions
  /** Messages that the service accepts in one request. */
  maximum: number
  /** The reply to a message that it refuses. */
  reply: { code: number; text: string }
}

const POSTMARK_SERVICE: Service = {
  dialect: POSTMARK,
  at: (endpoint) => ({ url: 'postmark:', token: SECRET, endpoint }),
  maximum: 500,
  reply: { code: 422, text: '406: inactive' },
}
const RESEND_SERVICE: Service = {
  dialect: RESEND,
  at: (endpoint) => ({ url: 'resend:', apiKey: SECRET, endpoint }),
  maximum: 100,
  reply: { code: 422, text: 'validation_error: inactive' },
}
const MAILJET_SERVICE: Service = {
  dialect: MAILJET,
  at: (endpoint) => ({ url: 'mailjet:', apiKey: 'key', secretKey: SECRET, endpoint }),
  maximum: 50,
  reply: { code: 400, text: 'mj-0013: inactive' },
}
const services = { Postmark: POSTMARK_SERVICE, Resend: RESEND_SERVICE, Mailjet: MAILJET_SERVICE }

const mailTo = (name: string) => ({ to: `${name}@example.com`, subject: 'Hi', text: `Hello ${name}` })
const numbered = (count: number) => Array.from({ length: count }, (_, index) => mailTo(`user${index}`))

async function start(
  { dialect, at }: Service,
  { connections, ...options }: Partial<Parameters<typeof testMailer>[0]> & { connections?: number } = {},
) {
  const api = await MailApi.start(dialect)
  const mailer = await testMailer({
    transport: { ...at(api.url), ...(connections === undefined ? {} : { connections }) },
    concurrency: 500,
    onUncertain: 'hold',
    ...options,
  })
  return { api, mailer }
}

/** Pauses the mailer until all messages are accepted, so that they are ready at the same time. */
async function sendAtOnce(mailer: Mailer, mails: readonly object[]): Promise<string[]> {
  await mailer.pause()
  const receipts = await mailer.sendMany(mails as Parameters<Mailer['sendMany']>[0])
  await mailer.resume()
  return receipts.map((receipt) => (receipt as { id: string }).id)
}

const waitForAll = (mailer: Mailer, ids: readonly string[]): Promise<Message[]> =>
  Promise.all(ids.map((id) => mailer.wait(id)))

describe.each(Object.entries(services))('%s', (_, service) => {
  it('gets the messages that are ready at the same time with few requests, and each has a result of its own', async () => {
    const { api, mailer } = await start(service)
    const bad = ['user7@example.com', 'user250@example.com', 'user499@example.com']
    api.refuse = (address) => (bad.includes(address) ? 'inactive' : undefined)
    const messages = await waitForAll(mailer, await sendAtOnce(mailer, numbered(500)))
    const failed = messages.filter(({ status }) => status === 'failed')
    expect(messages.filter(({ status }) => status === 'sent')).toHaveLength(497)
    expect(failed.map(({ recipients }) => recipients[0]?.address)).toEqual(bad)
    for (const { attempts } of failed)
      expect(attempts).toMatchObject([{ code: 'SMTP_REJECTED', phase: 'replied', reply: service.reply }])
    const replies = messages.flatMap(({ recipients }) => recipients[0]?.reply?.text ?? [])
    expect(replies.filter((text) => /^(?:pm-|rs-)?\d+$/.test(text))).toHaveLength(497)
    const addresses = api.taken.flatMap(({ to }) => to)
    expect(addresses).toHaveLength(497)
    expect(new Set(addresses).size).toBe(497)
    expect(Math.max(...api.batches)).toBeLessThanOrEqual(service.maximum)
    expect(api.batches.length + api.moods.length).toBeLessThan(50)
  })

  it('fails only the message at fault if the request is refused as a whole, and sends every other one once', async () => {
    const { api, mailer } = await start(service)
    api.strict = true
    api.refuse = (address) => (address === 'user5@example.com' ? 'inactive' : undefined)
    const messages = await waitForAll(mailer, await sendAtOnce(mailer, numbered(20)))
    const failed = messages.filter(({ status }) => status !== 'sent')
    expect(failed.map(({ recipients }) => recipients[0]?.address)).toEqual(['user5@example.com'])
    const others = numbered(20).flatMap(({ to }) => (to === 'user5@example.com' ? [] : [to]))
    expect(api.taken.flatMap(({ to }) => to).toSorted()).toEqual(others.toSorted())
  })

  it('gets the messages that arrive while all connections are in use with the next request, except those cancelled meanwhile', async () => {
    const { api, mailer } = await start(service, { connections: 1 })
    let open: () => void = () => undefined
    api.gate = new Promise((resolve) => (open = resolve))
    const ids = await sendAtOnce(mailer, numbered(2))
    await expect.poll(() => api.keys).not.toEqual([])
    ids.push(...(await sendAtOnce(mailer, numbered(32).slice(2))))
    await expect.poll(async () => (await mailer.stats()).sending).toBe(32)
    await mailer.cancel(ids[20]!)
    open()
    const messages = await waitForAll(mailer, ids)
    expect(messages.map(({ status }) => status)).toEqual(
      ids.map((_, index) => (index === 20 ? 'cancelled' : 'sent')),
    )
    expect(api.taken.flatMap(({ to }) => to)).not.toContain('user20@example.com')
    expect(api.keys.length).toBeLessThan(10)
  })
})

describe.each(Object.entries({ Postmark: services.Postmark, Mailjet: services.Mailjet }))(
  '%s',
  (_, service) => {
    it.each(['lose', 'broken'] as const)(
      'leaves all messages of a request uncertain that it may have carried out, in full or in part: %s',
      async (mood) => {
        const { api, mailer } = await start(service, { connections: 1 })
        api.mood = mood
        await sendAtOnce(mailer, numbered(20))
        await expect.poll(async () => (await mailer.stats()).held).toBe(20)
        const { messages } = await mailer.list({ status: 'held' })
        const uncertain = messages.filter(({ attempts }) => attempts.at(-1)?.outcome === 'uncertain')
        expect(uncertain.length).toBe(20)
        expect(api.keys.length).toBeLessThan(10)
      },
    )
  },
)

describe('Resend', () => {
  it('is asked again under the same key if its response is lost, and each message of the request is sent once', async () => {
    const { api, mailer } = await start(services.Resend)
    api.onRequest = () => (api.mood = api.keys.length === 0 ? 'lose' : 'ok')
    const messages = await waitForAll(mailer, await sendAtOnce(mailer, numbered(50)))
    expect(messages.every(({ status, uncertain }) => status === 'sent' && !uncertain)).toBe(true)
    expect(api.taken.flatMap(({ to }) => to).toSorted()).toEqual(
      numbered(50)
        .map(({ to }) => to)
        .toSorted(),
    )
    expect(new Set(api.keys).size).toBe(api.keys.length - 1)
  })

  it('gets each message alone, under its own key, that an earlier request may have sent', async () => {
    const { api, mailer } = await start(services.Resend, { onUncertain: 'retry', retry: { baseDelay: 1 } })
    api.mood = 'drop'
    const ids = await sendAtOnce(mailer, numbered(10))
    await expect
      .poll(
        async () => (await Promise.all(ids.map((id) => mailer.find(id)))).every((found) => found?.uncertain),
        {
          timeout: 20_000,
        },
      )
      .toBe(true)
    api.mood = 'ok'
    const batches = api.batches.length
    const messages = await waitForAll(mailer, ids)
    expect(messages.every(({ status }) => status === 'sent')).toBe(true)
    expect(api.taken).toHaveLength(10)
    expect(api.batches).toHaveLength(batches)
  })

  it('gets each message with attachments alone', async () => {
    const { api, mailer } = await start(services.Resend)
    const attachments = [{ filename: 'a.txt', content: 'attached' }]
    const ids = await sendAtOnce(
      mailer,
      numbered(5).map((mail) => ({ ...mail, attachments })),
    )
    await waitForAll(mailer, ids)
    expect([api.batches, api.taken.length]).toEqual([[], 5])
  })
})

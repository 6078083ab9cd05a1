import { createHmac, createSign, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import express from 'express'
import type { Delivery, Mailer } from 'threadpost'
import { deliveryEventsRouter, type DeliveryEventsOptions } from 'threadpost/express'
import { describe, expect, it } from 'vitest'
import { callAt, listen } from '../support/api.js'
import { createAuthority } from '../support/certificate.js'
import { mailerWithInbox } from '../support/mailer.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello', messageId: '<own-1@acme.example>' }
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const WHSEC = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:mail'
const now = () => Math.floor(Date.now() / 1000)

async function site(options: DeliveryEventsOptions, before: express.RequestHandler[] = []) {
  const { mailer } = await mailerWithInbox()
  const app = express().use(...before, (_request, _response, next) => next())
  const base = await listen(app.use('/events', deliveryEventsRouter(mailer, options)))
  const { id } = await mailer.sendAndWait(MAIL)
  const post = (provider: string, body: unknown, headers: Record<string, string> = {}, query = '') =>
    callAt(`${base}/events/${provider}${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const delivery = async (): Promise<Delivery | undefined> => (await mailer.find(id))?.recipients[0]?.delivery
  return { mailer, id, post, delivery }
}

const suppressed = async (mailer: Mailer): Promise<string[]> =>
  (await mailer.suppressions.list()).suppressions.map(({ address, reason }) => `${address} ${reason}`)

describe('SendGrid', () => {
  const options = {
    sendgrid: { publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64') },
  }
  const signed = (events: object[], timestamp = String(now())): [string, Record<string, string>] => {
    const body = JSON.stringify(events)
    const signature = createSign('sha256')
      .update(timestamp + body)
      .sign(privateKey, 'base64')
    return [
      body,
      {
        'X-Twilio-Email-Event-Webhook-Signature': signature,
        'X-Twilio-Email-Event-Webhook-Timestamp': timestamp,
      },
    ]
  }
  const event = (fields: object) => ({
    email: 'ada@example.com',
    timestamp: 1_772_000_000,
    'smtp-id': '<own-1@acme.example>',
    sg_event_id: randomUUID(),
    sg_message_id: '14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0',
    ...fields,
  })

  it('reports batches of events, in any order', async () => {
    const { mailer, post, delivery } = await site(options)
    const bounced = { event: 'bounce', type: 'bounce', status: '5.1.1', reason: '550 5.1.1 unknown user' }
    const [body, headers] = signed([
      event({ event: 'processed' }),
      event(bounced),
      event({ event: 'delivered', response: '250 OK' }),
      event({ event: 'open' }),
      event({ event: 'delivered', email: 'not an address' }),
      event({ event: 'spamreport', email: 'stranger@example.com' }),
    ])
    const answer = await post('sendgrid', body, headers)
    expect(answer).toMatchObject({ status: 200, body: { matched: 2, unmatched: 1, ignored: 3 } })
    expect(await delivery()).toEqual({
      state: 'bounced',
      at: new Date(1_772_000_000_000).toISOString(),
      category: 'mailbox',
      permanent: true,
      enhanced: '5.1.1',
      detail: '550 5.1.1 unknown user',
      source: 'sendgrid',
    })
    expect(await suppressed(mailer)).toEqual(['ada@example.com bounce'])
  })

  it('is refused with a wrong signature, timestamp, or body', async () => {
    const { mailer, post, delivery } = await site(options)
    const [body, headers] = signed([event({ event: 'spamreport' })])
    const other = { ...headers, 'X-Twilio-Email-Event-Webhook-Timestamp': '1' }
    for (const [sent, with_] of [
      [`${body} `, headers],
      [body, other],
      [body, {}],
    ] as const)
      expect((await post('sendgrid', sent, with_)).status).toBe(401)
    expect(await delivery()).toBeUndefined()
    expect(await suppressed(mailer)).toEqual([])
  })

  it('needs the verification key', async () => {
    const { mailer } = await mailerWithInbox()
    expect(() => deliveryEventsRouter(mailer, { sendgrid: { publicKey: 'something else' } })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTIONS', path: 'sendgrid.publicKey' }),
    )
  })
})

describe('Amazon SES', () => {
  const NOTIFICATION = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const
  const CONFIRMATION = [
    'Message',
    'MessageId',
    'SubscribeURL',
    'Timestamp',
    'Token',
    'TopicArn',
    'Type',
  ] as const
  const CERTIFICATE =
    'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem'

  async function ses() {
    const { cert, key } = createAuthority().issue('sns.amazonaws.com', { rsa: true })
    const fetched: string[] = []
    const options: DeliveryEventsOptions = {
      ses: {
        topics: [TOPIC],
        fetch: (url) => {
          fetched.push(url as string)
          return Promise.resolve(new Response(cert))
        },
      },
    }
    const signed = (fields: Record<string, string>, algorithm = 'sha256') => {
      const message: Record<string, string> = {
        MessageId: randomUUID(),
        TopicArn: TOPIC,
        Timestamp: new Date().toISOString(),
        SignatureVersion: algorithm === 'sha1' ? '1' : '2',
        SigningCertURL: CERTIFICATE,
        ...fields,
      }
      const names = fields['Type'] === 'Notification' ? NOTIFICATION : CONFIRMATION
      const text = names.flatMap((name) =>
        message[name] === undefined ? [] : [`${name}\n${message[name]}\n`],
      )
      return { ...message, Signature: sign(algorithm, Buffer.from(text.join('')), key).toString('base64') }
    }
    const notification = (event: object, fields: Record<string, string> = {}, algorithm?: string) =>
      signed({ Type: 'Notification', Message: JSON.stringify(event), ...fields }, algorithm)
    return { ...(await site(options)), fetched, signed, notification }
  }

  const mail = { messageId: '0102-ses', commonHeaders: { messageId: '<own-1@acme.example>' } }

  it('reports bounces, deliveries, delays and complaints, with either version of the signature', async () => {
    const { mailer, post, delivery, notification, fetched } = await ses()
    const delayed = {
      eventType: 'DeliveryDelay',
      mail,
      deliveryDelay: {
        timestamp: '2026-03-01T10:00:00.000Z',
        delayedRecipients: [
          { emailAddress: 'ada@example.com', status: '4.4.1', diagnosticCode: 'smtp; 421 later' },
        ],
      },
    }
    expect((await post('ses', notification(delayed, {}, 'sha1'))).body).toMatchObject({ matched: 1 })
    expect(await delivery()).toMatchObject({ state: 'delayed', category: 'domain', source: 'ses' })
    const bounce = {
      notificationType: 'Bounce',
      mail,
      bounce: {
        bounceType: 'Permanent',
        bounceSubType: 'General',
        timestamp: '2026-03-01T11:00:00.000Z',
        bouncedRecipients: [
          {
            emailAddress: 'Ada <ada@example.com>',
            status: '5.1.1',
            diagnosticCode: 'smtp; 550 5.1.1 user unknown',
          },
        ],
      },
    }
    await post('ses', notification(bounce, { Subject: 'Amazon SES Email Event Notification' }))
    expect(await delivery()).toMatchObject({ state: 'bounced', permanent: true, category: 'mailbox' })
    expect(await suppressed(mailer)).toEqual(['ada@example.com bounce'])
    expect((await post('ses', notification({ eventType: 'Open', mail }))).body).toMatchObject({ ignored: 1 })
    expect(fetched).toEqual([CERTIFICATE])
  })

  it('confirms the subscription of a named topic, and no other', async () => {
    const { post, signed, fetched } = await ses()
    const confirmation = { Type: 'SubscriptionConfirmation', Message: 'Confirm', Token: 'abc' }
    const SubscribeURL = 'https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc'
    expect((await post('ses', signed({ ...confirmation, SubscribeURL }))).status).toBe(200)
    expect(fetched).toEqual([CERTIFICATE, SubscribeURL])
    const elsewhere = 'https://sns.eu-central-1.amazonaws.com.evil.example/?Action=ConfirmSubscription'
    expect((await post('ses', signed({ ...confirmation, SubscribeURL: elsewhere }))).status).toBe(401)
    const bucket = SubscribeURL.replace('eu-central-1', 's3-us-west-2')
    expect((await post('ses', signed({ ...confirmation, SubscribeURL: bucket }))).status).toBe(401)
    const other = { ...confirmation, SubscribeURL, TopicArn: `${TOPIC}-other` }
    expect((await post('ses', signed(other))).status).toBe(401)
    expect(fetched).toEqual([CERTIFICATE, SubscribeURL])
  })

  it('is refused if the certificate is not from Amazon, or the message was changed', async () => {
    const { post, delivery, notification, fetched } = await ses()
    const complaint = {
      eventType: 'Complaint',
      mail,
      complaint: { complainedRecipients: [{ emailAddress: 'ada@example.com' }] },
    }
    for (const SigningCertURL of [
      'https://evil.example/SimpleNotificationService.pem',
      'https://sns.eu-central-1.amazonaws.com.evil.example/x.pem',
      'https://sns.eu-central-1.amazonaws.com@evil.example/x.pem',
      'http://sns.eu-central-1.amazonaws.com/x.pem',
      'https://bucket.s3.amazonaws.com/x.pem',
      ...['s3', 's3-us-west-2', 's3-website-us-east-1', 's3.eu-central-1', 'us-east-1'].map((region) =>
        CERTIFICATE.replace('eu-central-1', region),
      ),
      'https://sns.eu-central-1.amazonaws.com/x.pem',
      CERTIFICATE.replace('/Simple', '/x/Simple'),
      'https://sns.eu-central-1.amazonaws.com:8443/x.pem',
      'file:///etc/passwd',
      '',
    ])
      expect((await post('ses', notification(complaint, { SigningCertURL }))).status).toBe(401)
    expect(fetched).toEqual([])
    const changed = notification(complaint)
    expect((await post('ses', { ...changed, MessageId: 'another' })).status).toBe(401)
    expect((await post('ses', { ...changed, Signature: 'AAAA' })).status).toBe(401)
    expect((await post('ses', { ...changed, SignatureVersion: '3' })).status).toBe(401)
    expect(await delivery()).toBeUndefined()
  })
})

describe('Mailgun', () => {
  const signingKey = 'key-0123456789abcdef'
  const signed = (event: object, timestamp = String(now()), token: string = randomUUID()) => ({
    signature: {
      timestamp,
      token,
      signature: createHmac('sha256', signingKey)
        .update(timestamp + token)
        .digest('hex'),
    },
    'event-data': {
      timestamp: 1_772_000_000.123,
      recipient: 'ada@example.com',
      message: { headers: { 'message-id': 'own-1@acme.example' } },
      ...event,
    },
  })

  it('reports each event once, within ten minutes of its signature', async () => {
    const { mailer, post, delivery } = await site({ mailgun: { signingKey } })
    const failed = {
      event: 'failed',
      severity: 'temporary',
      'delivery-status': { code: 452, message: '4.2.2 full' },
    }
    expect((await post('mailgun', signed(failed))).body).toEqual({ matched: 1, unmatched: 0, ignored: 0 })
    expect(await delivery()).toMatchObject({ state: 'delayed', category: 'full', detail: '452 4.2.2 full' })
    const complaint = signed({ event: 'complained' })
    expect((await post('mailgun', complaint)).body).toMatchObject({ matched: 1 })
    expect(await suppressed(mailer)).toEqual(['ada@example.com complaint'])
    expect((await post('mailgun', complaint)).body).toMatchObject({ matched: 0 })
    expect((await post('mailgun', signed({ event: 'opened' }))).body).toMatchObject({ ignored: 1 })
    for (const seconds of [-3_600, 3_600])
      expect((await post('mailgun', signed({ event: 'delivered' }, String(now() + seconds)))).status).toBe(
        401,
      )
    expect((await post('mailgun', signed({ event: 'delivered' }, String(now() - 300)))).status).toBe(200)
    const forged = signed({ event: 'delivered' })
    forged.signature.token = 'another'
    expect((await post('mailgun', forged)).status).toBe(401)
    expect((await post('mailgun', { 'event-data': {} })).status).toBe(401)
  })

  it('can not be repeated with another body, nor with the signed text divided in another way', async () => {
    const { mailer, post, delivery } = await site({ mailgun: { signingKey } })
    const { signature } = signed({}, String(now()), '123abc')
    expect((await post('mailgun', { signature, 'event-data': { event: 'opened' } })).status).toBe(200)
    const complaint = { ...signed({ event: 'complained' }), signature }
    expect((await post('mailgun', complaint)).body).toMatchObject({ matched: 0 })
    const divided = { ...signature, timestamp: `${signature.timestamp}123`, token: 'abc' }
    expect((await post('mailgun', { ...complaint, signature: divided })).body).toMatchObject({ matched: 0 })
    expect(await delivery()).toBeUndefined()
    expect(await suppressed(mailer)).toEqual([])
  })
})

describe('Postmark', () => {
  const options = { postmark: { username: 'hook', password: 'a-long-password' } }
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

  it('reports by the id that it gave the message', async () => {
    const { mailer } = await mailerWithInbox()
    const base = await listen(express().use(deliveryEventsRouter(mailer, options)))
    const post = (body: object, authorization: Record<string, string>) =>
      callAt(`${base}/postmark`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization },
        body: JSON.stringify(body),
      })
    const bounce = {
      RecordType: 'Bounce',
      Type: 'HardBounce',
      MessageID: randomUUID(),
      Email: 'ada@example.com',
    }
    expect((await post(bounce, basic('hook:a-long-password'))).body).toEqual({
      matched: 0,
      unmatched: 1,
      ignored: 0,
    })
    const auto = { ...bounce, Type: 'AutoResponder' }
    expect((await post(auto, basic('hook:a-long-password'))).body).toMatchObject({ ignored: 1 })
    for (const wrong of [basic('hook:wrong-password'), basic('other:a-long-password'), basic('hook'), {}])
      expect((await post(bounce, wrong)).status).toBe(401)
  })
})

describe('Resend', () => {
  const key = Buffer.alloc(24, 7)
  const signed = (body: string, id: string = randomUUID(), timestamp = String(now())) => ({
    'svix-id': id,
    'svix-timestamp': timestamp,
    'svix-signature': `v1,AAAA v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  })
  const event = (type: string, data: object = {}) =>
    JSON.stringify({
      type,
      created_at: '2026-03-01T10:00:00.000Z',
      data: { email_id: randomUUID(), message_id: '<own-1@acme.example>', to: ['ada@example.com'], ...data },
    })

  it('reports with a signature of Standard Webhooks', async () => {
    const { post, delivery } = await site({ resend: { secret: WHSEC } })
    const delivered = event('email.delivered')
    expect((await post('resend', delivered, signed(delivered))).body).toMatchObject({ matched: 1 })
    const bounced = event('email.bounced', {
      bounce: { type: 'Permanent', subType: 'Suppressed', message: 'on the suppression list' },
    })
    const headers = signed(bounced)
    expect((await post('resend', bounced, headers)).body).toMatchObject({ matched: 1 })
    expect((await post('resend', bounced, headers)).body).toMatchObject({ matched: 0 })
    expect(await delivery()).toMatchObject({ state: 'bounced', permanent: true, category: 'mailbox' })
    const two = event('email.complained', { to: ['ada@example.com', 'bob@example.com'] })
    expect((await post('resend', two, signed(two))).body).toMatchObject({ ignored: 1 })
    const late = signed(delivered, 'x', String(now() - 3_600))
    expect((await post('resend', delivered, late)).status).toBe(401)
    expect((await post('resend', `${delivered} `, signed(delivered))).status).toBe(401)
  })
})

describe('Brevo and Mailjet', () => {
  const options = { brevo: { token: 'brevo-token' }, mailjet: { token: 'mailjet-token' } }

  it('report with their token', async () => {
    const { mailer, post, delivery } = await site(options)
    const event = {
      event: 'delivered',
      email: 'ada@example.com',
      'message-id': '<own-1@acme.example>',
      ts_event: 1,
    }
    expect((await post('brevo', event, { authorization: 'Bearer brevo-token' })).body).toMatchObject({
      matched: 1,
    })
    const spam = { ...event, event: 'spam', ts_event: 1_772_000_000 }
    expect(
      (await post('brevo', [spam, { ...event, event: 'click' }], {}, '?token=brevo-token')).body,
    ).toEqual({
      matched: 1,
      unmatched: 0,
      ignored: 1,
    })
    expect(await delivery()).toMatchObject({ state: 'complained', source: 'brevo' })
    expect(await suppressed(mailer)).toEqual(['ada@example.com complaint'])
    expect((await post('brevo', event, {}, '?token=wrong-token')).status).toBe(401)
    expect((await post('brevo', event)).status).toBe(401)

    const bounce = {
      event: 'bounce',
      email: 'ada@example.com',
      MessageID: 7,
      time: 1_772_000_000,
      hard_bounce: true,
    }
    expect((await post('mailjet', [bounce, { event: 'open' }], {}, '?token=mailjet-token')).body).toEqual({
      matched: 0,
      unmatched: 1,
      ignored: 1,
    })
    const basic = `Basic ${Buffer.from('hook:mailjet-token').toString('base64')}`
    expect((await post('mailjet', bounce, { authorization: basic })).status).toBe(200)
    expect((await post('mailjet', bounce, { authorization: 'Bearer brevo-token' })).status).toBe(401)
  })
})

describe('a request', () => {
  const options = { brevo: { token: 'brevo-token' }, bodyLimit: 1_000 }
  const authorization = { authorization: 'Bearer brevo-token' }

  it('says so if its body was parsed before', async () => {
    const { post } = await site(options, [express.json()])
    const answer = await post('brevo', {}, authorization)
    expect(answer).toMatchObject({ status: 500, body: { code: 'INVALID_OPTIONS' } })
    expect(answer.body.detail).toContain('express.json()')
    const raw = await site(options, [express.raw({ type: '*/*' })])
    expect((await raw.post('brevo', {}, authorization)).status).toBe(200)
  })

  it('is refused if it is too large, is no JSON, or names a provider that is not configured', async () => {
    const { post } = await site(options)
    expect((await post('brevo', 'x'.repeat(1_001), authorization)).status).toBe(413)
    expect((await post('brevo', '{', authorization)).status).toBe(400)
    expect((await post('brevo', '{}', { ...authorization, 'content-encoding': 'gzip' })).status).toBe(415)
    expect((await post('sendgrid', '[]', authorization)).status).toBe(404)
    for (const body of ['null', '7', '[[]]', '[null]', '{"event":{}}', '"x"'])
      expect((await post('brevo', body, authorization)).status).toBe(200)
  })

  it('loses no event because of thousands that are invalid', async () => {
    const { post } = await site({ ...options, bodyLimit: 2_000_000 })
    const event = { event: 'delivered', email: 'ada@example.com', 'message-id': '<x@acme.example>' }
    const events = [
      { ...event, 'message-id': '<own-1@acme.example>' },
      ...Array.from({ length: 5_000 }, () => event),
      ...Array.from({ length: 4_997 }, () => ({ ...event, email: 'invalid' })),
      { ...event, event: 'constructor' },
      { ...event, event: '__proto__' },
    ]
    const answer = await post('brevo', events, authorization)
    expect(answer).toMatchObject({ status: 200, body: { matched: 1, unmatched: 5_000, ignored: 4_999 } })
  })

  it('that ends in the middle of its body is no defect, which the host would log', async () => {
    const { mailer } = await mailerWithInbox()
    const errors: unknown[] = []
    const defect: express.ErrorRequestHandler = (error, _request, response, _next) => {
      errors.push(error)
      response.end()
    }
    const closed: Promise<unknown>[] = []
    const app = express().use((_request, response, next) => {
      closed.push(once(response, 'close'))
      next()
    })
    const base = await listen(app.use(deliveryEventsRouter(mailer, options), defect))
    const socket = connect(Number(new URL(base).port), '127.0.0.1')
    socket.write('POST /brevo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{')
    await expect.poll(() => closed.length).toBe(1)
    socket.destroy()
    await closed[0]
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(errors).toEqual([])
  })

  it('is answered with 503 while the events can not be stored', async () => {
    const { mailer, post } = await site(options)
    await mailer.close()
    const event = { event: 'delivered', email: 'ada@example.com', 'message-id': '<x@acme.example>' }
    expect((await post('brevo', event, authorization)).status).toBe(503)
  })
})

import express from 'express'
import { explain } from 'threadpost'
import { deliveryEventsRouter } from 'threadpost/express'
import { describe, expect, it } from 'vitest'
import { callAt, listen } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'
import { aborted, arf, dsn } from '../support/reportMails.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }
const bounces = { address: 'bounces@acme.example', secret: 'a-secret-of-sixteen-or-more' }

const failed = (address: string, original?: string) => ({
  address,
  action: 'failed',
  status: '5.1.1',
  diagnostic: 'smtp; 550 5.1.1 no such user',
  ...(original === undefined ? {} : { original }),
})

describe('a bounce that arrives as a mail', () => {
  it('is assigned by the token in the address that it was sent to', async () => {
    const { mailer, inbox } = await mailerWithInbox({ bounces })
    const { id } = await mailer.sendAndWait(MAIL)
    const [received] = inbox.stored()
    const from = received?.envelope.from ?? ''
    expect(from).toMatch(/^bounces\+[a-z2-7]{42}@acme\.example$/)
    // The recipient's server forwarded the mail: the address is another one, and nothing else names the message.
    const raw = dsn({
      to: from.toUpperCase(),
      messageId: '<x@y>',
      recipients: [failed('forwarded@other.example')],
    })
    expect(await mailer.report({ raw })).toBe(1)
    expect((await mailer.find(id))?.recipients).toMatchObject([
      {
        delivery: {
          state: 'bounced',
          permanent: true,
          category: 'mailbox',
          source: 'dsn',
          enhanced: '5.1.1',
        },
      },
    ])
    const { suppressions } = await mailer.suppressions.list()
    expect(suppressions).toMatchObject([{ address: 'ada@example.com', reason: 'bounce' }])
    expect(await mailer.sendAndWait(MAIL)).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'SUPPRESSED' }],
    })
  })

  it('is assigned by the Message-ID together with the recipient, and with neither alone', async () => {
    const { mailer } = await mailerWithInbox()
    const { id, messageId } = await mailer.sendAndWait({ ...MAIL, cc: 'bob@example.com' })
    const reports = [
      dsn({ messageId, recipients: [failed('stranger@example.com')] }),
      dsn({ messageId: '<x@acme.example>', recipients: [failed('ada@example.com')] }),
      arf({ type: 'abuse', messageId }),
    ]
    for (const raw of reports) expect(await mailer.report({ raw })).toBe(0)
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
    expect((await mailer.stats()).unmatchedReports).toBe(3)
    const matching = dsn({
      messageId,
      recipients: [failed('new@example.com', 'rfc822;bob@example.com'), failed('x@example.com')],
    })
    expect(await mailer.report({ raw: Buffer.from(matching) })).toBe(1)
    expect(
      await mailer.report({ raw: arf({ type: 'abuse', messageId, recipient: 'ADA@example.com' }) }),
    ).toBe(1)
    expect((await mailer.find(id))?.recipients.map(({ delivery }) => delivery?.state)).toEqual([
      'complained',
      'bounced',
    ])
  })

  it('changes nothing with a token that is forged, or belongs to another message', async () => {
    const { mailer, inbox } = await mailerWithInbox({ bounces })
    await mailer.sendAndWait({ ...MAIL, cc: 'bob@example.com' })
    const from = inbox.stored()[0]?.envelope.from ?? ''
    const forged = from.replace(/\+(.)/, (_, first: string) => `+${first === 'a' ? 'b' : 'a'}`)
    for (const raw of [
      dsn({ to: forged, messageId: '<x@y>', recipients: [failed('ada@example.com')] }),
      dsn({ to: from, messageId: '<x@y>', recipients: [failed('victim@example.com')] }),
      'Return-Path: <>\r\nSubject: Out of office\r\n\r\nAway',
    ])
      expect(await mailer.report({ raw })).toBe(0)
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
  })

  it('suppresses nobody without a token, although it returns the Message-ID, and gives way to one with a token', async () => {
    const { mailer, inbox } = await mailerWithInbox({ bounces })
    const { id, messageId } = await mailer.sendAndWait(MAIL)
    const forged = dsn({ messageId, recipients: [failed('ada@example.com')] })
    const envelope = dsn({ messageId: '<x@y>', recipients: [failed('ada@example.com')] }).replace(
      'Reporting-MTA',
      `Original-Envelope-Id: ${id}\r\nReporting-MTA`,
    )
    const complaint = arf({ type: 'abuse', messageId, recipient: 'ada@example.com' })
    for (const raw of [forged, envelope, complaint]) expect(await mailer.report({ raw })).toBe(1)
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
    const delivery = async () => (await mailer.find(id))?.recipients[0]?.delivery
    expect(await delivery()).toMatchObject({ state: 'complained', unverified: true })
    expect(explain((await mailer.find(id))!)).toContain('according to a mail without a valid token')
    const to = inbox.stored()[0]?.envelope.from ?? ''
    expect(await mailer.report({ raw: dsn({ to, recipients: [failed('ada@example.com')] }) })).toBe(1)
    expect(await delivery()).not.toHaveProperty('unverified')
    expect(await delivery()).toMatchObject({ state: 'bounced' })
    expect(await mailer.suppressions.has('ada@example.com')).toBe(true)
  })

  it('settles an uncertain message only with a token', async () => {
    const { mailer, inbox } = await mailerWithInbox({ bounces, onUncertain: 'hold' })
    inbox.faults.set([{ at: 'dot', do: 'close-after' }])
    const held = new Promise<string>((resolve) => mailer.on('held', ({ id }) => resolve(id)))
    const { messageId } = await mailer.send(MAIL)
    const id = await held
    const delivered = { address: 'ada@example.com', action: 'delivered', status: '2.0.0' }
    expect(await mailer.report({ raw: dsn({ messageId, recipients: [delivered] }) })).toBe(0)
    const message = await mailer.find(id)
    expect(message?.status).not.toBe('sent')
    expect(message?.recipients[0]?.delivery).toBeUndefined()
    const to = inbox.stored()[0]?.envelope.from ?? ''
    expect(await mailer.report({ raw: dsn({ to, recipients: [delivered] }) })).toBe(1)
    expect((await mailer.find(id))?.status).toBe('sent')
  })

  it('suppresses nobody if several recipients have its token', async () => {
    const { mailer, inbox } = await mailerWithInbox({ bounces })
    const { id } = await mailer.sendAndWait({ ...MAIL, cc: 'bob@example.com' })
    const to = inbox.stored()[0]?.envelope.from ?? ''
    expect(await mailer.report({ raw: dsn({ to, recipients: [failed('ada@example.com')] }) })).toBe(1)
    expect((await mailer.find(id))?.recipients[0]?.delivery).toMatchObject({ state: 'bounced' })
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
  })

  it('is not lost because of another whose Action is the name of a property', async () => {
    const { mailer } = await mailerWithInbox()
    const { id, messageId } = await mailer.sendAndWait(MAIL)
    const withAction = (action: string) =>
      dsn({ messageId, recipients: [{ ...failed('ada@example.com'), action }] })
    const raws = ['constructor', '__proto__', 'toString', 'failed'].map(withAction)
    expect(await Promise.all(raws.map((raw) => mailer.report({ raw })))).toEqual([0, 0, 0, 1])
    expect((await mailer.find(id))?.recipients[0]?.delivery).toMatchObject({ state: 'bounced' })
  })

  it('keeps an envelope of its own, and accepts earlier secrets', async () => {
    const { mailer, inbox } = await mailerWithInbox({
      bounces: { ...bounces, secret: ['a-newer-secret-of-some-length', bounces.secret] },
    })
    await mailer.sendAndWait({ ...MAIL, envelope: { from: 'own@acme.example' } })
    expect(inbox.stored()[0]?.envelope.from).toBe('own@acme.example')
    const older = await mailerWithInbox({ bounces })
    const { id } = await older.mailer.sendAndWait(MAIL)
    const to = older.inbox.stored()[0]?.envelope.from ?? ''
    const { idInBounceAddress, resolveBounces } = await import('../../src/feedback/bounceAddress.js')
    const { Validator } = await import('../../src/validation.js')
    const plan = resolveBounces(new Validator('INVALID_OPTIONS'), {
      ...bounces,
      secret: ['another-secret-of-some-length', bounces.secret],
    })
    expect(idInBounceAddress(plan, to)).toBe(id)
    expect(idInBounceAddress({ ...plan, secrets: plan.secrets.slice(0, 1) }, to)).toBeUndefined()
  })

  it('is posted by your own mail server with a token', async () => {
    const { mailer } = await mailerWithInbox()
    const base = await listen(express().use(deliveryEventsRouter(mailer, { raw: { token: 'a-long-token' } })))
    const { messageId } = await mailer.sendAndWait(MAIL)
    const body = dsn({ messageId, recipients: [failed('ada@example.com')] })
    const post = (authorization: string) =>
      callAt(`${base}/raw`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'message/rfc822' },
        body,
      })
    expect((await post('Bearer wrong-token')).status).toBe(401)
    expect(await post('Bearer a-long-token')).toMatchObject({ status: 200, body: { matched: 1 } })
  })

  it('costs a bounded time however it is made', async () => {
    const { mailer } = await mailerWithInbox()
    for (const make of Object.values(aborted)) expect(await mailer.report({ raw: make() })).toBe(0)
    await expect(mailer.report({ raw: 7 as never })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'raw',
    })
  })
})

import { type DeliveryEvent, DELIVERY_STATES, explain, type Mailer } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

function collected(mailer: Mailer): DeliveryEvent[] {
  const events: DeliveryEvent[] = []
  for (const state of DELIVERY_STATES) mailer.on(state, (event) => events.push(event))
  return events
}

describeOnEveryQueue('delivery reports', (newQueue, durable) => {
  it('are stored with the recipient, once, and tell what happened after the mail was sent', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const events = collected(mailer)
    const statuses: string[] = []
    mailer.on('sent', ({ id }) => statuses.push(id))
    const { id, messageId } = await mailer.sendAndWait({ ...MAIL, cc: 'bob@example.com' })
    const at = '2026-03-01T10:00:00.000Z'
    const report = { id, recipient: 'ADA@example.com', state: 'delivered', at } as const
    expect(await mailer.report(report)).toBe(1)
    expect(await mailer.report([report, { ...report, state: 'delayed' }])).toBe(2)
    const bounce = {
      messageId,
      recipient: 'bob@example.com',
      state: 'bounced',
      detail: '550 5.1.1 no such user',
    } as const
    expect(await mailer.report(bounce)).toBe(1)
    const message = await mailer.find(id)
    expect(message).toMatchObject({
      status: 'sent',
      recipients: [
        { status: 'sent', delivery: { state: 'delivered', at, source: 'manual' } },
        { status: 'sent', delivery: { state: 'bounced', permanent: true, category: 'mailbox' } },
      ],
    })
    expect(explain(message!)).toContain('Bounced from bob@example.com')
    expect(events.map(({ recipient, delivery, status }) => [recipient, delivery.state, status])).toEqual([
      ['ada@example.com', 'delivered', 'sent'],
      ['bob@example.com', 'bounced', 'sent'],
    ])
    expect(statuses).toEqual([id])
    const stats = await mailer.stats()
    expect(stats.recipients).toEqual([
      { state: 'delivered', transport: 'default', count: 1 },
      { state: 'bounced', transport: 'default', count: 1 },
    ])
    expect(stats.settled).toMatchObject([{ status: 'sent', count: 1 }])
  })

  it('suppress dead mailboxes and those who complain, and whoever unsubscribes from a stream', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const { id } = await mailer.sendAndWait({
      ...MAIL,
      stream: 'newsletter',
      cc: ['b@example.com', 'c@example.com', 'd@example.com', 'e@example.com'],
    })
    await mailer.report([
      { id, recipient: 'ada@example.com', state: 'bounced', enhanced: '5.1.1' },
      { id, recipient: 'b@example.com', state: 'complained' },
      { id, recipient: 'c@example.com', state: 'unsubscribed' },
      { id, recipient: 'd@example.com', state: 'bounced', enhanced: '5.7.1', detail: 'spam' },
      { id, recipient: 'e@example.com', state: 'bounced', enhanced: '4.2.2' },
      { id, recipient: 'other@example.com', state: 'complained' },
    ])
    const { suppressions } = await mailer.suppressions.list()
    expect(suppressions.map(({ address, reason, stream }) => [address, reason, stream])).toEqual([
      ['ada@example.com', 'bounce', undefined],
      ['b@example.com', 'complaint', undefined],
      ['c@example.com', 'unsubscribe', 'newsletter'],
    ])
    expect(await mailer.sendAndWait(MAIL)).toMatchObject({ status: 'failed' })
    // A report that was stored already doesn't suppress again what a person has removed.
    await mailer.suppressions.remove('b@example.com')
    await mailer.report({ id, recipient: 'b@example.com', state: 'complained' })
    expect(await mailer.suppressions.has('b@example.com')).toBe(false)
  })

  it('settle a message whose outcome is uncertain', async () => {
    const { mailer, inbox } = await mailerWithInbox({ queue: await newQueue(), onUncertain: 'hold' })
    inbox.faults.set([{ at: 'dot', do: 'close-after' }])
    const held = new Promise<string>((resolve) => mailer.on('held', ({ id }) => resolve(id)))
    const messageId = '<own@acme.example>'
    await mailer.send({ ...MAIL, messageId })
    const settled = mailer.wait(await held)
    await expect
      .poll(() => mailer.report({ messageId, recipient: 'ada@example.com', state: 'delivered' }))
      .toBe(1)
    expect(await settled).toMatchObject({
      status: 'sent',
      uncertain: true,
      recipients: [{ status: 'sent', delivery: { state: 'delivered' } }],
    })
  })

  it('wait for the message if they come before the id that they name is stored', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const events = collected(mailer)
    const own = { messageId: '<early@acme.example>' }
    const report = { ...own, recipient: 'ADA@example.com', detail: '550 5.1.1 no such user' } as const
    expect(await mailer.report({ ...report, state: 'delivered' })).toBe(0)
    expect(await mailer.report([{ ...report, state: 'bounced' }])).toBe(0)
    expect(await mailer.report({ ...report, state: 'complained', at: Date.now() - 3_600_000 })).toBe(0)
    expect((await mailer.stats()).unmatchedReports).toBe(3)
    const { id } = await mailer.sendAndWait({ ...MAIL, ...own })
    const delivery = async () => (await mailer.find(id))?.recipients[0]?.delivery?.state
    await expect.poll(delivery, { timeout: 20_000 }).toBe('bounced')
    expect(events.at(-1)).toMatchObject({ id, recipient: 'ada@example.com', delivery: { state: 'bounced' } })
    await expect.poll(() => mailer.suppressions.has('ada@example.com'), { timeout: 20_000 }).toBe(true)
  })

  it('end a wait for the delivery', async () => {
    const queue = await newQueue()
    const { mailer } = await mailerWithInbox({ queue })
    const sender = durable ? await testMailer({ role: 'send', queue }) : mailer
    const { id } = await mailer.sendAndWait(MAIL)
    await expect(sender.wait(id, { until: 'delivered', timeout: 1 })).rejects.toMatchObject({
      code: 'WAIT_TIMEOUT',
      message: expect.stringContaining('was not reported as delivered') as string,
    })
    const delivered = sender.wait(id, { until: 'delivered' })
    await mailer.report({ id, state: 'delayed' })
    await mailer.report({ id, state: 'delivered' })
    expect((await delivered).recipients).toMatchObject([{ delivery: { state: 'delivered' } }])
    await mailer.report({ id, state: 'complained' })
    expect((await sender.wait(id, { until: 'delivered' })).status).toBe('sent')
  })
})

describe('a delivery report', () => {
  it('about a message that is no longer kept, or was never sent, is counted and changes nothing', async () => {
    const { mailer } = await mailerWithInbox({ retain: { count: 0 } })
    const events = collected(mailer)
    const { id, messageId } = await mailer.send(MAIL)
    await expect.poll(() => mailer.find(id)).toBeUndefined()
    const waiting = await mailer.send({ ...MAIL, delay: 60_000 })
    const matched = await mailer.report([
      { id, state: 'complained' },
      { messageId, state: 'complained' },
      { messageId: '<x@example.com>', state: 'complained' },
      { providerId: 'x', state: 'complained' },
      { id: 'nothing', state: 'complained' },
      { id: waiting.id, state: 'complained' },
    ])
    expect(matched).toBe(0)
    expect((await mailer.stats()).unmatchedReports).toBe(6)
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
    expect(events).toEqual([])
  })

  it('about a dead mailbox suppresses it, even if it comes while the message is being sent', async () => {
    let sent: () => void = () => undefined
    const reported = new Promise<void>((resolve) => (sent = resolve))
    const server = await ScriptedServer.start({
      dot: async () => {
        await reported
        return '250 2.0.0 taken'
      },
    })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const { id } = await mailer.send(MAIL)
    await expect.poll(() => server.messages.length).toBe(1)
    const report = mailer.report({ id, state: 'bounced', detail: '550 5.1.1 no such user' })
    // It looks at the message at least once before the server answers.
    await new Promise((resolve) => setTimeout(resolve, 200))
    sent()
    expect(await report).toBe(1)
    expect(await mailer.suppressions.has('ada@example.com')).toBe(true)
  })

  it('is one of thousands that leave room for other work', async () => {
    const { mailer } = await mailerWithInbox()
    const { id } = await mailer.sendAndWait(MAIL)
    let turns = 0
    const turn = (): void => {
      turns++
      setImmediate(turn).unref()
    }
    turn()
    const detail = '550 no such user '.repeat(30)
    const reports = Array.from({ length: 5_000 }, () => ({ id, state: 'bounced', detail }) as const)
    expect(await mailer.report(reports)).toBe(5_000)
    expect(turns).toBeGreaterThan(40)
  })

  it.each([
    [{ state: 'delivered' }, 'id'],
    [{ id: 'x', state: 'lost' }, 'state'],
    [{ id: 'x', state: 'bounced', category: 'bad' }, 'category'],
    [{ id: 'x', state: 'bounced', enhanced: '5.1' }, 'enhanced'],
    [{ id: 'x', state: 'delivered', at: 'yesterday' }, 'at'],
    [{ id: 'x', state: 'delivered', recipient: 'nobody' }, 'recipient'],
    [[{ id: 'x', state: 'delivered' }, { id: 'x' }], '[1].state'],
  ])('is refused with the path of its mistake: %j', async (report, path) => {
    const mailer = await testMailer({ transport: 'inbox:' })
    await expect(mailer.report(report as never)).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path })
  })
})

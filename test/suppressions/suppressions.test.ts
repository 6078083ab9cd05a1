import { type Mailer, explain, type SuppressedEvent } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

function collected(mailer: Mailer): SuppressedEvent[] {
  const events: SuppressedEvent[] = []
  mailer.on('suppressed', (event) => events.push(event))
  return events
}

describeOnEveryQueue('suppressed addresses', (newQueue, durable) => {
  it('get no mail: the message fails, and says since when and why', async () => {
    const { mailer, inbox } = await mailerWithInbox({ queue: await newQueue() })
    const events = collected(mailer)
    const entry = await mailer.suppressions.add({ address: 'Ada@Example.com', reason: 'bounce' })
    expect(entry).toMatchObject({ address: 'ada@example.com', reason: 'bounce' })
    const message = await mailer.sendAndWait(MAIL)
    const { since } = entry
    expect(message).toMatchObject({
      status: 'failed',
      attempts: [{ outcome: 'rejected', code: 'SUPPRESSED' }],
      recipients: [{ status: 'failed', code: 'SUPPRESSED', suppressed: { reason: 'bounce', since } }],
    })
    expect(message.attempts[0]?.message).toContain(since)
    expect(explain(message)).toMatch(/^Not sent: ada@example.com has been suppressed since .* \(bounce\)\.$/)
    expect(events).toMatchObject([
      { id: message.id, recipient: 'ada@example.com', suppression: { reason: 'bounce', since } },
    ])
    expect(inbox.stored()).toEqual([])
  })

  it('are left out of a message to several recipients, which is then partial', async () => {
    const { mailer, inbox } = await mailerWithInbox({ queue: await newQueue() })
    await mailer.suppressions.add({ address: 'bob@example.com', reason: 'complaint' })
    const message = await mailer.sendAndWait({ ...MAIL, cc: ['bob@example.com', 'eve@example.com'] })
    expect(message.status).toBe('partial')
    expect(message.recipients.map(({ address, status, code }) => [address, status, code])).toEqual([
      ['ada@example.com', 'sent', undefined],
      ['bob@example.com', 'failed', 'SUPPRESSED'],
      ['eve@example.com', 'sent', undefined],
    ])
    expect(explain(message)).toContain('bob@example.com has been suppressed since')
    expect(inbox.stored()[0]?.envelope.to).toEqual(['ada@example.com', 'eve@example.com'])
  })

  it('are checked when a mail is accepted: one for next week fails at once', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    await mailer.suppressions.add({ address: 'ada@example.com', reason: 'manual' })
    const message = await mailer.sendAndWait({ ...MAIL, delay: 7 * 86_400_000 })
    expect(message).toMatchObject({ status: 'failed', recipients: [{ code: 'SUPPRESSED' }] })
    await mailer.pause()
    const { id } = await mailer.send(MAIL)
    expect((await mailer.find(id))?.recipients).toMatchObject([{ status: 'failed', code: 'SUPPRESSED' }])
  })

  it('are checked again when a mail is handed out, and a retry checks once more', async () => {
    const { mailer, inbox } = await mailerWithInbox({ queue: await newQueue() })
    await mailer.pause()
    const { id } = await mailer.send(MAIL)
    await mailer.suppressions.add({ address: 'ada@example.com', reason: 'bounce' })
    await mailer.resume()
    expect(await mailer.wait(id)).toMatchObject({ status: 'failed', attempts: [{ code: 'SUPPRESSED' }] })
    expect(await mailer.suppressions.remove('ADA@example.com')).toBe(true)
    await mailer.retry(id)
    const sent = await mailer.wait(id)
    expect(sent).toMatchObject({ status: 'sent', recipients: [{ status: 'sent' }] })
    expect(sent.recipients[0]).not.toHaveProperty('suppressed')
    expect(inbox.stored()).toHaveLength(1)
  })

  it('are suppressed for a stream, or for every one', async () => {
    const { mailer } = await mailerWithInbox({ queue: await newQueue() })
    const { suppressions } = mailer
    await suppressions.add({ address: 'ada@example.com', reason: 'unsubscribe', stream: 'newsletter' })
    expect(await suppressions.has('ada@example.com', { stream: 'newsletter' })).toBe(true)
    expect(await suppressions.has('ada@example.com')).toBe(false)
    const [news, receipt] = await Promise.all([
      mailer.sendAndWait({ ...MAIL, stream: 'newsletter' }),
      mailer.sendAndWait(MAIL),
    ])
    expect([news.status, news.stream]).toEqual(['failed', 'newsletter'])
    expect([receipt.status, receipt.stream]).toEqual(['sent', 'transactional'])
    await suppressions.add({ address: 'ada@example.com', reason: 'complaint' })
    expect((await mailer.sendAndWait(MAIL)).recipients[0]?.suppressed).toMatchObject({ reason: 'complaint' })
    const misspelled = { steam: 'newsletter' } as object
    await expect(suppressions.remove('ada@example.com', misspelled)).rejects.toMatchObject({ path: 'steam' })
    await expect(suppressions.has('ada@example.com', misspelled)).rejects.toMatchObject({ path: 'steam' })
    expect(await suppressions.remove('ada@example.com', { stream: 'newsletter' })).toBe(true)
    expect(await suppressions.remove('ada@example.com', { stream: 'newsletter' })).toBe(false)
    expect(await suppressions.has('ada@example.com', { stream: 'newsletter' })).toBe(true)
  })

  it('are listed in order, page by page, and found by text, reason and stream', async () => {
    const { suppressions } = await testMailer({ transport: 'inbox:', queue: await newQueue() })
    for (const name of ['c', 'a', 'b', 'ä'])
      await suppressions.add({ address: `${name}@example.com`, reason: name === 'b' ? 'bounce' : 'manual' })
    await suppressions.add({ address: 'a@example.com', reason: 'unsubscribe', stream: 'news' })
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await suppressions.list({ limit: 2, ...(cursor === undefined ? {} : { cursor }) })
      expect(page.suppressions.length).toBeLessThanOrEqual(2)
      seen.push(...page.suppressions.map(({ address, reason }) => `${address} ${reason}`))
      ;({ cursor } = page)
    } while (cursor !== undefined)
    expect([...seen].sort()).toEqual([
      'a@example.com manual',
      'a@example.com unsubscribe',
      'b@example.com bounce',
      'c@example.com manual',
      'ä@example.com manual',
    ])
    const found = async (query: object): Promise<string[]> =>
      (await suppressions.list(query)).suppressions.map(({ address }) => address)
    expect(await found({ q: 'B@EX' })).toEqual(['b@example.com'])
    expect(await found({ reason: 'bounce' })).toEqual(['b@example.com'])
    expect(await found({ stream: 'news' })).toEqual(['a@example.com'])
    await expect(suppressions.list({ cursor: 'none' })).rejects.toMatchObject({ path: 'cursor' })
  })

  it('are free again after the entry has expired, and the list has a limit', async () => {
    const { suppressions } = await testMailer({
      transport: 'inbox:',
      queue: await newQueue(),
      limits: { suppressions: 2 },
    })
    await suppressions.add({ address: 'a@example.com', reason: 'manual', expiresAt: Date.now() + 300 })
    await suppressions.add({ address: 'b@example.com', reason: 'manual' })
    await expect.poll(() => suppressions.has('a@example.com')).toBe(false)
    // The expired entry no longer counts.
    await suppressions.add({ address: 'c@example.com', reason: 'manual' })
    await suppressions.add({ address: 'c@example.com', reason: 'manual', detail: 'again' })
    const full = suppressions.add({ address: 'd@example.com', reason: 'manual' })
    await expect(full).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    await suppressions.remove('b@example.com')
    await suppressions.add({ address: 'd@example.com', reason: 'manual' })
  })

  it('are shared by the processes on the queue', async () => {
    if (!durable) return
    const queue = await newQueue()
    const { mailer } = await mailerWithInbox({ queue })
    const sender = await testMailer({ role: 'send', queue })
    await sender.suppressions.add({ address: 'ada@example.com', reason: 'manual' })
    expect(await mailer.suppressions.has('ada@example.com')).toBe(true)
    expect(await mailer.sendAndWait(MAIL)).toMatchObject({ status: 'failed' })
    expect(await sender.sendAndWait(MAIL)).toMatchObject({ status: 'failed' })
  })
})

describe('the list of suppressed addresses', () => {
  const list = async () => (await testMailer({ transport: 'inbox:' })).suppressions

  it.each([
    ['BÜCHER@Bücher.example', 'bücher@xn--bcher-kva.example'],
    ['Ada+News@EXAMPLE.com', 'ada+news@example.com'],
    ['"a b"@example.com', '"a b"@example.com'],
  ])('compares %s as %s', async (written, compared) => {
    const suppressions = await list()
    expect((await suppressions.add({ address: written, reason: 'manual' })).address).toBe(compared)
    expect(await suppressions.has(compared)).toBe(true)
  })

  it('keeps plus tags and dots apart', async () => {
    const suppressions = await list()
    await suppressions.add({ address: 'a.da+x@example.com', reason: 'manual' })
    for (const other of ['ada+x@example.com', 'a.da@example.com', 'a.da+y@example.com'])
      expect(await suppressions.has(other)).toBe(false)
  })

  it('takes the longest addresses', async () => {
    const suppressions = await list()
    const address = `${'ü'.repeat(30)}@${'x'.repeat(60)}.${'y'.repeat(60)}.${'z'.repeat(60)}.example`
    await suppressions.add({ address, reason: 'bounce' })
    expect(await suppressions.has(address)).toBe(true)
    expect(await suppressions.has(address.replace('ü', 'u'))).toBe(false)
    expect((await suppressions.list()).suppressions).toMatchObject([{ address }])
    expect(await suppressions.remove(address)).toBe(true)
  })

  it.each([
    [{ address: 'Ada <ada@example.com>', reason: 'manual' }, 'address'],
    [{ address: 'ada@example.com', reason: 'because' }, 'reason'],
    [{ address: 'ada@example.com', reason: 'manual', stream: 'a b' }, 'stream'],
    [{ address: 'ada@example.com', reason: 'manual', expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    [{ address: 'ada@example.com', reason: 'manual', detail: 'a\nb' }, 'detail'],
    [{ address: 'ada@example.com', reason: 'manual', why: 'x' }, 'why'],
  ])('refuses %j', async (input, path) => {
    const suppressions = await list()
    await expect(suppressions.add(input as never)).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path })
  })

  it('is exported and imported as CSV', async () => {
    const suppressions = await list()
    await suppressions
      .add({ address: '=cmd@example.com', reason: 'bounce', detail: 'said "no",\tor so' })
      .catch(() => undefined)
    await suppressions.add({
      address: 'b@example.com',
      reason: 'unsubscribe',
      stream: 'news',
      detail: 'a, "b"',
    })
    const lines: string[] = []
    for await (const line of suppressions.exportCsv()) lines.push(line)
    expect(lines[0]).toBe('address,reason,stream,since,expiresAt,detail\r\n')
    expect(lines.join('')).toMatch(/\r\nb@example\.com,unsubscribe,news,[^,]+,,"a, ""b"""\r\n/)

    const other = await list()
    expect(await other.importCsv(lines.join(''))).toEqual({ added: lines.length - 1, problems: [] })
    expect((await other.list()).suppressions).toEqual((await suppressions.list()).suppressions)
  })

  it('imports what other services export, and reports the lines that it does not understand', async () => {
    const suppressions = await list()
    const csv =
      '\ufeffEmail,Created,Reason\nada@example.com,1,bounce\n\n"bob@example.com",2,\nnobody,3,bounce\neve@example.com,4,hm'
    expect(await suppressions.importCsv(csv)).toEqual({
      added: 2,
      problems: [
        { line: 5, problem: expect.stringContaining('address') },
        { line: 6, problem: expect.stringContaining('reason') },
      ],
    })
    expect(await suppressions.has('bob@example.com')).toBe(true)
    await expect(suppressions.importCsv('a,b\n1,2')).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
  })

  it('cancels a message that is being checked', async () => {
    const { mailer, inbox } = await mailerWithInbox()
    await mailer.suppressions.add({ address: 'bob@example.com', reason: 'manual' })
    const { id } = await mailer.send(MAIL)
    const cancelled = await mailer.cancel(id).catch(() => mailer.wait(id))
    expect(cancelled.status).toMatch(/cancelled|sent/)
    expect(inbox.stored().length).toBe(cancelled.status === 'sent' ? 1 : 0)
  })
})

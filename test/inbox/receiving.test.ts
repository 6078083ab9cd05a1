import { describe, expect, test, vi } from 'vitest'
import { stopClock } from '../support/stoppedClock.js'
import { BODY, useVisitedInbox } from '../support/visitedInbox.js'

const house = useVisitedInbox()

describe('receiving', () => {
  test('greets without delay and announces its extensions', async () => {
    // smtp-server would wait for 100 ms, to catch those who talk too early: here they never pass.
    stopClock()
    expect(await house.connect().reply()).toMatch(/^220 localhost ESMTP/)
    vi.useRealTimers()
    const client = await house.upTo('helo')
    client.say('EHLO client.example')
    await client.reply()
    for (const extension of ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'SIZE 26214400'])
      expect(client.heard).toContain(extension)
    expect(client.heard).not.toContain('AUTH')
    expect(client.heard).not.toContain('STARTTLS')
  })

  test('can omit extensions', async () => {
    await house.restart({ without: ['PIPELINING', 'ENHANCEDSTATUSCODES'] })
    const client = await house.upTo('mail')
    expect(client.heard).not.toContain('PIPELINING')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toBe('250 Accepted')
  })

  test('keeps the exact bytes and parses them', async () => {
    const before = Date.now()
    const client = await house.upTo('dot', ['bob@b.example', 'Carl@C.example'])
    expect(await client.ask(...BODY.slice(0, -1), '..dotted', '.')).toMatch(/^250 2\.\d\.\d OK, kept as /)
    const [mail] = await house.inbox.messages()
    expect(mail).toMatchObject({
      envelope: { from: 'ada@a.example', to: ['bob@b.example', 'Carl@C.example'] },
      subject: 'Hello',
      from: { name: 'Ada', address: 'ada@a.example' },
      to: [{ address: 'bob@b.example' }],
      attachments: [],
    })
    expect(mail!.text).toContain('Hi Bob')
    expect(mail!.headers[0]).toEqual({ name: 'Subject', value: 'Hello' })
    expect(Buffer.from(mail!.raw).toString()).toMatch(/\r\n\r\nHi Bob\r\n\.dotted\r\n$/)
    expect(Date.parse(mail!.receivedAt)).toBeGreaterThanOrEqual(before)
    expect(await house.inbox.find(mail!.id)).toEqual(mail)
    expect(await house.inbox.find('nobody')).toBeUndefined()
  })

  test('handles commands pipelined after the final dot', async () => {
    const client = await house.upTo('mail')
    const envelope = ['MAIL FROM:<a@a.example>', 'RCPT TO:<b@b.example>', 'DATA']
    client.say(...envelope)
    for (let round = 0; round < 50; round++) {
      for (const code of ['250', '250', '354']) expect((await client.reply()).slice(0, 3)).toBe(code)
      client.say(`Subject: ${round}`, '', 'x', '.', ...envelope)
      expect((await client.reply()).slice(0, 3)).toBe('250')
    }
    expect((await house.inbox.messages()).map(({ subject }) => subject)).toEqual(
      [...Array(50).keys()].map(String),
    )
    expect(house.inbox.connections()).toHaveLength(1)
    expect(house.inbox.connections()[0]).toMatchObject({ transactions: 51, messages: 50, quit: false })
  })

  test('parses attachments, inline images, groups, and malformed messages', async () => {
    const client = await house.upTo('dot')
    const mail = [
      'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=',
      'To: Team: a@a.example, b@b.example;',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Type: text/html; charset=utf-8',
      '',
      '<img src="cid:logo">',
      '--x',
      'Content-Type: image/png',
      'Content-ID: <logo>',
      'Content-Transfer-Encoding: base64',
      '',
      'AAEC',
      '--x',
      'Content-Type: text/csv; name="a.csv"',
      'Content-Disposition: attachment; filename="a.csv"',
      '',
      'a,b',
      '--x--',
      '.',
    ]
    await client.ask(...mail)
    const received = await house.inbox.waitFor()
    expect(received.subject).toBe('Grüße')
    expect(received.to.map(({ address }) => address)).toEqual(['a@a.example', 'b@b.example'])
    expect(received.attachments).toMatchObject([
      { cid: 'logo', inline: true, contentType: 'image/png', content: new Uint8Array([0, 1, 2]) },
      { filename: 'a.csv', inline: false, contentType: 'text/csv' },
    ])

    await house.restart({})
    const again = await house.upTo('dot')
    await again.ask('\x00\xff\x01 no header', '.')
    expect((await house.inbox.waitFor()).subject).toBe('')
  })

  test('rejects a message that is too large', async () => {
    await house.restart({ size: 1000 })
    const client = await house.upTo('mail')
    expect(await client.ask('MAIL FROM:<a@a.example> SIZE=2000')).toMatch(/^552 /)
    await client.ask('MAIL FROM:<a@a.example>')
    await client.ask('RCPT TO:<b@b.example>')
    await client.ask('DATA')
    expect(await client.ask('x'.repeat(1200), '.')).toMatch(/^552 /)
    expect(house.inbox.count).toBe(0)
  })

  test('keeps only the last messages, by number and by bytes', async () => {
    await house.restart({ keep: 5 })
    const client = await house.upTo('mail')
    for (let round = 0; round < 8; round++) {
      client.say('MAIL FROM:<a@a.example>', 'RCPT TO:<b@b.example>', 'DATA')
      for (let reply = 0; reply < 3; reply++) await client.reply()
      await client.ask(`Subject: ${round}`, '', '.')
    }
    expect(house.inbox.count).toBe(8)
    expect((await house.inbox.messages()).map(({ subject }) => subject)).toEqual(['3', '4', '5', '6', '7'])

    await house.restart({ keepBytes: 3000 })
    for (let round = 0; round < 4; round++) await house.deliver('b@b.example', 'x'.repeat(900))
    expect(house.inbox.stored()).toHaveLength(3)
  })

  test('requires authentication if a password is set', async () => {
    await house.restart({ auth: { user: 'ada', pass: 'secret' } })
    const client = await house.upTo('mail')
    expect(client.heard).toContain('AUTH LOGIN PLAIN')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^530 /)
    const plain = (pass: string) => `AUTH PLAIN ${Buffer.from(`\0ada\0${pass}`).toString('base64')}`
    expect(await client.ask(plain('wrong'))).toMatch(/^535 /)
    expect(await client.ask(plain('secret'))).toMatch(/^235 /)
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^250 /)
    expect(JSON.stringify(house.inbox.connections())).not.toContain(
      Buffer.from('\0ada').toString('base64').slice(0, 5),
    )
  })
})

describe('the record of connections', () => {
  test('records the commands of a client', async () => {
    await house.deliver()
    const [visit] = house.inbox.connections()
    expect(visit).toMatchObject({ transactions: 1, messages: 1, quit: true })
    expect(visit!.commands).toEqual([
      'EHLO client.example',
      'MAIL FROM:<ada@a.example>',
      'RCPT TO:<bob@b.example>',
      'DATA',
      'QUIT',
    ])
    await expect.poll(() => house.inbox.connections()[0]!.closedAt).toBeDefined()
  })
})

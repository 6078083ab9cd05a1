import { once } from 'node:events'
import net from 'node:net'
import { type Fault, type Inbox, type InboxOptions, startInbox } from 'threadpost/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let inbox: Inbox
const clients: Client[] = []

beforeEach(async () => {
  inbox = await startInbox()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy()
  await inbox.close()
})

async function restart(options: InboxOptions): Promise<void> {
  await inbox.close()
  inbox = await startInbox(options)
}

/** A raw TCP client that says what it is told to and remembers every byte it hears. */
class Client {
  readonly socket: net.Socket
  heard = ''
  ended: 'fin' | 'reset' | undefined
  #read = 0

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1')
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => (this.heard += chunk))
    this.socket.on('end', () => (this.ended ??= 'fin'))
    this.socket.on('error', () => (this.ended = 'reset'))
    clients.push(this)
  }

  say(...lines: string[]): void {
    this.socket.write(lines.map((line) => `${line}\r\n`).join(''))
  }

  /** The next complete reply, its last line only. */
  async reply(): Promise<string> {
    const deadline = Date.now() + 2000
    while (Date.now() < deadline) {
      const match = /^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/.exec(this.heard.slice(this.#read))
      if (match) {
        this.#read += match[0].length
        return match[1]!
      }
      if (this.ended !== undefined)
        throw new Error(`closed (${this.ended}) after ${JSON.stringify(this.heard)}`)
      await pause(2)
    }
    throw new Error(`no reply after ${JSON.stringify(this.heard)}`)
  }

  async ask(...lines: string[]): Promise<string> {
    this.say(...lines)
    return this.reply()
  }

  /** Nothing more came for a while, and the connection stands. */
  async hearsNothing(ms = 80): Promise<boolean> {
    await pause(ms)
    return this.heard.length === this.#read && this.ended === undefined
  }

  async closed(): Promise<'fin' | 'reset'> {
    if (!this.socket.closed) await once(this.socket, 'close').catch(() => undefined)
    return this.ended ?? 'fin'
  }

  get unread(): string {
    return this.heard.slice(this.#read)
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const BODY = ['Subject: Hello', 'From: Ada <ada@a.example>', 'To: bob@b.example', '', 'Hi Bob', '.']

/** Goes through the session up to, but not including, the step. */
async function upTo(step: Fault['at'], to = ['bob@b.example']): Promise<Client> {
  const client = new Client(inbox.port)
  if (step === 'connect' || step === 'greeting') return client
  await client.reply()
  if (step === 'helo') return client
  await client.ask('EHLO client.example')
  if (step === 'mail') return client
  await client.ask('MAIL FROM:<ada@a.example>')
  if (step === 'rcpt') return client
  for (const address of to) await client.ask(`RCPT TO:<${address}>`)
  if (step === 'data') return client
  await client.ask('DATA')
  return client
}

const LINES: Record<string, string[]> = {
  connect: [],
  greeting: [],
  helo: ['EHLO client.example'],
  mail: ['MAIL FROM:<ada@a.example>'],
  rcpt: ['RCPT TO:<bob@b.example>'],
  data: ['DATA'],
  dot: BODY,
}

async function deliver(to = 'bob@b.example', subject = 'Hello'): Promise<void> {
  const client = await upTo('dot', [to])
  expect(await client.ask(`Subject: ${subject}`, '', 'Hi', '.')).toMatch(/^250 /)
  client.say('QUIT')
  await client.closed()
}

describe('receiving', () => {
  test('greets at once and offers its extensions', async () => {
    const start = Date.now()
    const client = new Client(inbox.port)
    expect(await client.reply()).toMatch(/^220 localhost ESMTP/)
    expect(Date.now() - start).toBeLessThan(90)
    client.say('EHLO client.example')
    await client.reply()
    for (const extension of ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'SIZE 26214400'])
      expect(client.heard).toContain(extension)
    expect(client.heard).not.toContain('AUTH')
    expect(client.heard).not.toContain('STARTTLS')
  })

  test('can leave extensions out', async () => {
    await restart({ without: ['PIPELINING', 'ENHANCEDSTATUSCODES'] })
    const client = await upTo('mail')
    expect(client.heard).not.toContain('PIPELINING')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toBe('250 Accepted')
  })

  test('keeps the exact bytes and parses them', async () => {
    const client = await upTo('dot', ['bob@b.example', 'Carl@C.example'])
    expect(await client.ask(...BODY.slice(0, -1), '..dotted', '.')).toMatch(/^250 2\.\d\.\d OK, kept as /)
    const [mail] = await inbox.messages()
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
    expect(Date.parse(mail!.receivedAt)).toBeGreaterThan(Date.now() - 5000)
    expect(await inbox.find(mail!.id)).toEqual(mail)
    expect(await inbox.find('nobody')).toBeUndefined()
  })

  test('serves transactions that ride behind the final dot', async () => {
    const client = await upTo('mail')
    const envelope = ['MAIL FROM:<a@a.example>', 'RCPT TO:<b@b.example>', 'DATA']
    client.say(...envelope)
    for (let round = 0; round < 50; round++) {
      for (const code of ['250', '250', '354']) expect((await client.reply()).slice(0, 3)).toBe(code)
      client.say(`Subject: ${round}`, '', 'x', '.', ...envelope)
      expect((await client.reply()).slice(0, 3)).toBe('250')
    }
    expect((await inbox.messages()).map(({ subject }) => subject)).toEqual([...Array(50).keys()].map(String))
    expect(inbox.connections()).toHaveLength(1)
    expect(inbox.connections()[0]).toMatchObject({ transactions: 51, messages: 50, quit: false })
  })

  test('reads attachments, inline images, groups and broken mails', async () => {
    const client = await upTo('dot')
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
    const received = await inbox.waitFor()
    expect(received.subject).toBe('Grüße')
    expect(received.to.map(({ address }) => address)).toEqual(['a@a.example', 'b@b.example'])
    expect(received.attachments).toMatchObject([
      { cid: 'logo', inline: true, contentType: 'image/png', content: new Uint8Array([0, 1, 2]) },
      { filename: 'a.csv', inline: false, contentType: 'text/csv' },
    ])

    await inbox.close()
    inbox = await startInbox()
    const again = await upTo('dot')
    await again.ask('\x00\xff\x01 no header', '.')
    expect((await inbox.waitFor()).subject).toBe('')
  })

  test('refuses what is too big', async () => {
    await restart({ size: 1000 })
    const client = await upTo('mail')
    expect(await client.ask('MAIL FROM:<a@a.example> SIZE=2000')).toMatch(/^552 /)
    await client.ask('MAIL FROM:<a@a.example>')
    await client.ask('RCPT TO:<b@b.example>')
    await client.ask('DATA')
    expect(await client.ask('x'.repeat(1200), '.')).toMatch(/^552 /)
    expect(inbox.count).toBe(0)
  })

  test('keeps the last mails only, by number and by bytes', async () => {
    await restart({ keep: 5 })
    const client = await upTo('mail')
    for (let round = 0; round < 8; round++) {
      client.say('MAIL FROM:<a@a.example>', 'RCPT TO:<b@b.example>', 'DATA')
      for (let reply = 0; reply < 3; reply++) await client.reply()
      await client.ask(`Subject: ${round}`, '', '.')
    }
    expect(inbox.count).toBe(8)
    expect((await inbox.messages()).map(({ subject }) => subject)).toEqual(['3', '4', '5', '6', '7'])

    await restart({ keepBytes: 3000 })
    for (let round = 0; round < 4; round++) await deliver('b@b.example', 'x'.repeat(900))
    expect(inbox.stored()).toHaveLength(3)
  })

  test('asks for a password where there is one', async () => {
    await restart({ auth: { user: 'ada', pass: 'secret' } })
    const client = await upTo('mail')
    expect(client.heard).toContain('AUTH LOGIN PLAIN')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^530 /)
    const plain = (pass: string) => `AUTH PLAIN ${Buffer.from(`\0ada\0${pass}`).toString('base64')}`
    expect(await client.ask(plain('wrong'))).toMatch(/^535 /)
    expect(await client.ask(plain('secret'))).toMatch(/^235 /)
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^250 /)
    expect(JSON.stringify(inbox.connections())).not.toContain(
      Buffer.from('\0ada').toString('base64').slice(0, 5),
    )
  })
})

describe('waiting', () => {
  test('finds what is there and what comes', async () => {
    const early = inbox.waitFor({ to: 'BOB@b.example', subject: /^Wel/ })
    await deliver('bob@b.example', 'Reset')
    await deliver('bob@b.example', 'Welcome')
    expect((await early).subject).toBe('Welcome')
    expect((await inbox.waitFor({ to: /bob/ })).subject).toBe('Reset')
    expect((await inbox.waitFor({ subject: 'Welcome', timeout: 10 })).envelope.to).toEqual(['bob@b.example'])
  })

  test('says what came instead when it is too late', async () => {
    await deliver('bob@b.example', 'Hello')
    await expect(inbox.waitFor({ to: 'eve@b.example', subject: 'Hi', timeout: 30 })).rejects.toThrow(
      "No mail to eve@b.example with the subject 'Hi' came within 30 ms: of 1 mails the last are 'Hello' to bob@b.example",
    )
  })

  test('ends with the inbox', async () => {
    const waiting = inbox.waitFor({ to: 'nobody@b.example' })
    const refused = expect(waiting).rejects.toThrow('closed')
    await inbox.close()
    await refused
  })

  test('tells listeners, and forgets on clear', async () => {
    const ids: string[] = []
    inbox.on('received', ({ id }) => ids.push(id))
    await deliver()
    expect(ids).toEqual(inbox.stored().map(({ id }) => id))
    inbox.clear()
    expect([inbox.count, inbox.stored(), inbox.connections()]).toEqual([0, [], []])
  })
})

const STEPS = ['greeting', 'helo', 'mail', 'rcpt', 'data', 'dot'] as const

describe.each(STEPS)('faults at %s', (at) => {
  test('refuse and defer give the reply, once if asked', async () => {
    for (const [kind, reply] of [
      ['refuse', '550 5.9.9 Go away'],
      ['defer', '451 4.9.9 Later'],
    ] as const) {
      inbox.faults.set([{ at, do: kind, reply, times: 1 }])
      const client = await upTo(at)
      if (LINES[at]!.length > 0) client.say(...LINES[at]!)
      expect(await client.reply()).toBe(reply)
      if (at === 'greeting') expect(await client.closed()).toBe('fin')
      expect(inbox.count).toBe(0)
      expect(inbox.faults.list()).toEqual([])
    }
    await deliver()
  })

  test('have replies of their own', async () => {
    inbox.faults.set([{ at, do: 'refuse' }])
    const first = await upTo(at)
    if (LINES[at]!.length > 0) first.say(...LINES[at]!)
    expect(await first.reply()).toMatch(/^5\d\d 5\.\d\.\d \w/)
    inbox.faults.set([{ at, do: 'defer' }])
    const second = await upTo(at)
    if (LINES[at]!.length > 0) second.say(...LINES[at]!)
    expect(await second.reply()).toMatch(/^4\d\d 4\.\d\.\d \w/)
  })

  test('silence answers nothing and notices when the client leaves', async () => {
    inbox.faults.set([{ at, do: 'silence' }])
    const client = await upTo(at)
    client.say(...LINES[at]!, 'NOOP')
    expect(await client.hearsNothing()).toBe(true)
    client.socket.end()
    expect(await client.closed()).toBe('fin')
    expect(inbox.count).toBe(0)
  })

  test('close ends the connection without a word', async () => {
    inbox.faults.set([{ at, do: 'close' }])
    const client = await upTo(at)
    client.say(...LINES[at]!)
    await client.closed()
    expect(client.unread).toBe('')
    expect(inbox.count).toBe(0)
  })

  test('delay waits and goes on', async () => {
    inbox.faults.set([{ at, do: 'delay', ms: 120 }])
    const start = performance.now()
    const client = await upTo(at)
    if (LINES[at]!.length > 0) client.say(...LINES[at]!)
    expect(await client.reply()).toMatch(/^[23]/)
    expect(performance.now() - start).toBeGreaterThan(115)
  })

  test('drip never comes to an end', async () => {
    inbox.faults.set([{ at, do: 'drip', ms: 5 }])
    const client = await upTo(at)
    client.say(...LINES[at]!)
    await pause(100)
    expect(client.unread).toMatch(/^250-\.+$/)
    expect(client.ended).toBeUndefined()
  })

  test('garbage is no reply', async () => {
    inbox.faults.set([{ at, do: 'garbage' }])
    const client = await upTo(at)
    client.say(...LINES[at]!)
    await pause(60)
    expect(client.unread).toMatch(/^No reply .*\r\n$/)
  })
})

describe('faults', () => {
  test('at connect: reset, closed, put off, silent', async () => {
    inbox.faults.set([{ at: 'connect', do: 'refuse' }])
    const reset = new Client(inbox.port)
    expect(await reset.closed()).toBe('reset')
    inbox.faults.set([{ at: 'connect', do: 'close' }])
    const closed = new Client(inbox.port)
    expect(await closed.closed()).toBe('fin')
    expect(closed.heard).toBe('')
    inbox.faults.set([{ at: 'connect', do: 'defer' }])
    expect(await new Client(inbox.port).reply()).toMatch(/^421 /)
    inbox.faults.set([{ at: 'connect', do: 'silence' }])
    expect(await new Client(inbox.port).hearsNothing()).toBe(true)
  })

  test('close-before takes the body but not its end', async () => {
    inbox.faults.set([{ at: 'dot', do: 'close-before', times: 1 }])
    const client = await upTo('dot')
    client.say('Subject: never', '', 'half a')
    await client.closed()
    expect(client.unread).toBe('')
    expect(inbox.count).toBe(0)
    await deliver()
  })

  test('close-after keeps the mail and loses the reply', async () => {
    inbox.faults.set([{ at: 'dot', do: 'close-after', times: 1 }])
    const client = await upTo('dot')
    client.say(...BODY)
    expect(await client.closed()).toBe('fin')
    expect(client.unread).toBe('')
    expect(inbox.count).toBe(1)
    expect(inbox.connections()[0]).toMatchObject({ messages: 1, quit: false })
  })

  test('silence-after keeps the mail and never replies', async () => {
    inbox.faults.set([{ at: 'dot', do: 'silence-after' }])
    const client = await upTo('dot')
    client.say(...BODY)
    expect(await client.hearsNothing()).toBe(true)
    expect(inbox.count).toBe(1)
  })

  test('can be meant for some recipients', async () => {
    inbox.faults.set([
      { at: 'rcpt', do: 'refuse', to: '*@bounce.example' },
      { at: 'rcpt', do: 'defer', to: 'BUSY@b.example' },
    ])
    const client = await upTo('rcpt')
    expect(await client.ask('RCPT TO:<x@bounce.example>')).toMatch(/^550 /)
    expect(await client.ask('RCPT TO:<busy@b.example>')).toMatch(/^450 /)
    expect(await client.ask('RCPT TO:<bob@b.example>')).toMatch(/^250 /)
    await client.ask('DATA')
    await client.ask(...BODY)
    expect((await inbox.messages())[0]!.envelope.to).toEqual(['bob@b.example'])
    inbox.faults.set([{ at: 'dot', do: 'refuse', to: 'eve@b.example' }])
    await deliver()
    expect(await (await upTo('dot', ['bob@b.example', 'eve@b.example'])).ask(...BODY)).toMatch(/^554 /)
  })

  test('add up delays, keep to their number and their probability', async () => {
    inbox.faults.set([
      { at: 'mail', do: 'delay', ms: 60 },
      { at: 'mail', do: 'defer', times: 2 },
      { at: 'mail', do: 'refuse', probability: 0 },
    ])
    expect(inbox.faults.list()[1]).toEqual({ at: 'mail', do: 'defer', times: 2 })
    const client = await upTo('mail')
    const start = performance.now()
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^451 /)
    expect(performance.now() - start).toBeGreaterThan(55)
    expect(inbox.faults.list()[1]).toEqual({ at: 'mail', do: 'defer', times: 1 })
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^451 /)
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^250 /)
    inbox.faults.clear()
    expect(inbox.faults.list()).toEqual([])
  })

  test('a 421 closes the connection', async () => {
    inbox.faults.set([{ at: 'mail', do: 'defer', reply: '421 4.3.2 Going down' }])
    const client = await upTo('mail')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toBe('421 4.3.2 Going down')
    expect(await client.closed()).toBe('fin')
  })

  test.each<[object, string]>([
    [{ at: 'nowhere', do: 'close' }, 'faults[0].at must be one of'],
    [{ at: 'mail', do: 'explode' }, 'faults[0].do must be one of'],
    [{ at: 'mail', do: 'close-after' }, "faults[0].do can be 'close-after' only at 'dot'"],
    [{ at: 'mail', do: 'refuse', to: 'a@b.example' }, "faults[0].to can't be known at 'mail'"],
    [{ at: 'mail', do: 'refuse', reply: '250 fine' }, 'faults[0].reply must look like'],
    [{ at: 'mail', do: 'refuse', reply: '550 a\r\n250 b' }, 'faults[0].reply must look like'],
    [{ at: 'mail', do: 'refuse', times: 0 }, 'faults[0].times'],
    [{ at: 'mail', do: 'refuse', probability: 2 }, 'faults[0].probability'],
    [{ at: 'mail', do: 'refuse', ms: 5 }, 'faults[0].ms'],
    [{ at: 'mail', do: 'refuse', chance: 5 }, 'faults[0].chance'],
  ])('%j is refused', (fault, message) => {
    expect(() => inbox.faults.set([fault as Fault])).toThrow(message)
  })
})

describe('the guest book', () => {
  test('tells what a client said', async () => {
    await deliver()
    const [visit] = inbox.connections()
    expect(visit).toMatchObject({ transactions: 1, messages: 1, quit: true })
    expect(visit!.commands).toEqual([
      'EHLO client.example',
      'MAIL FROM:<ada@a.example>',
      'RCPT TO:<bob@b.example>',
      'DATA',
      'QUIT',
    ])
    await expect.poll(() => inbox.connections()[0]!.closedAt).toBeDefined()
  })
})

describe('close', () => {
  test('destroys connections in every state and frees the port', async () => {
    const idle = await upTo('mail')
    const midway = await upTo('dot')
    inbox.faults.set([{ at: 'mail', do: 'silence' }])
    const silent = await upTo('mail')
    silent.say('MAIL FROM:<a@a.example>')
    inbox.faults.set([{ at: 'mail', do: 'delay', ms: 60_000 }])
    const delayed = await upTo('mail')
    delayed.say('MAIL FROM:<a@a.example>')
    inbox.faults.set([{ at: 'connect', do: 'delay', ms: 60_000 }])
    const early = new Client(inbox.port)
    await pause(30)

    const start = Date.now()
    await inbox.close()
    expect(Date.now() - start).toBeLessThan(500)
    for (const client of [idle, midway, silent, delayed, early]) await client.closed()
    await inbox.close()

    const { port } = inbox
    inbox = await startInbox({ port })
    expect(inbox.url).toBe(`smtp://127.0.0.1:${port}`)
  })

  test('a port in use is an error', async () => {
    await expect(startInbox({ port: inbox.port })).rejects.toThrow('EADDRINUSE')
  })
})

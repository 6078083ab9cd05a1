import { describe, expect, it } from 'vitest'
import { CLOSE, ScriptedServer, type Script } from '../../support/scriptedServer.js'
import { Notes, send, senderTo } from '../../support/smtpSender.js'

const STEPWISE = ['8BITMIME', 'SIZE 1000']

describe('the envelope', () => {
  it('is one write, and the next one follows the final dot in the same write', async () => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port, {}, 1)
    const texts = Array.from({ length: 50 }, (_, index) => `message ${index}`)
    const all = await Promise.all(texts.map((text) => send(sender, { text })))
    expect(all.every(({ outcome }) => outcome.result === 'sent')).toBe(true)
    expect(server.messages.map(({ data }) => data)).toEqual(
      texts.map((text) => `Subject: hi\r\n\r\n${text}\r\n`),
    )

    const [conversation] = server.conversations
    expect(server.conversations).toHaveLength(1)
    const cycle = ['MAIL FROM:<a@acme.example>', 'RCPT TO:<ada@example.com>', 'DATA', '.']
    expect(conversation?.commands).toEqual(['EHLO client.example', ...texts.flatMap(() => cycle)])
  })

  it('is sent before the reply to the previous final dot arrives', async () => {
    const server = await ScriptedServer.start({
      // The first message is taken only once the second's envelope is there.
      dot: async (_, conversation) => {
        await conversation.until(() => conversation.turn !== 1 || conversation.input.endsWith('DATA\r\n'))
        return '250 ok'
      },
    })
    const sender = senderTo(server.port, {}, 1)
    await Promise.all([send(sender), send(sender)])
    expect(server.messages).toHaveLength(2)
  })

  it('of a message that arrives later is pipelined, too', async () => {
    let late: Promise<unknown> = Promise.resolve()
    const server = await ScriptedServer.start({
      dot: async (_, conversation) => {
        if (conversation.turn === 1) late = send(sender)
        await conversation.until(() => conversation.turn !== 1 || conversation.input.endsWith('DATA\r\n'))
        return '250 ok'
      },
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    await late
    expect(server.messages).toHaveLength(2)
  })

  it('is sent step by step if the server does not offer PIPELINING', async () => {
    const server = await ScriptedServer.start({ extensions: STEPWISE })
    const sender = senderTo(server.port, {}, 1)
    const all = await Promise.all(
      Array.from({ length: 10 }, () => send(sender, { to: ['a@example.com', 'b@example.com'] })),
    )
    expect(all.every(({ outcome }) => outcome.result === 'sent')).toBe(true)
    expect(server.conversations.map(({ ahead }) => ahead)).toEqual([0])
    expect(server.messages).toHaveLength(10)
  })

  it('is sent step by step if PIPELINING is turned off', async () => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port, { pipelining: false }, 1)
    await Promise.all([send(sender), send(sender)])
    expect(server.conversations.map(({ ahead }) => ahead)).toEqual([0])
    expect(server.messages).toHaveLength(2)
  })

  it('omits the commands after a refusal, step by step', async () => {
    const server = await ScriptedServer.start({
      extensions: [],
      mail: (line) => (line.includes('bad@') ? '550 5.7.1 not you' : '250 ok'),
      rcpt: (line) => (line.includes('nobody@') ? '550 5.1.1 nobody' : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    await Promise.all([
      send(sender, { from: 'bad@acme.example' }),
      send(sender, { to: ['nobody@example.com'] }),
      send(sender),
    ])
    expect(server.conversations[0]?.commands.slice(1)).toEqual([
      'MAIL FROM:<bad@acme.example>',
      'MAIL FROM:<a@acme.example>',
      'RCPT TO:<nobody@example.com>',
      'RSET',
      'MAIL FROM:<a@acme.example>',
      'RCPT TO:<ada@example.com>',
      'DATA',
      '.',
    ])
  })

  it('records each phase right before it begins', async () => {
    const server = await ScriptedServer.start()
    const notes = new Notes()
    await send(senderTo(server.port), { notes, to: ['a@example.com', 'b@example.com'] })
    expect(notes.phases).toEqual(['connecting', 'envelope', 'body', 'replied'])
    expect(notes.replies).toEqual([[250, ['accepted', 'accepted']]])
  })
})

describe.each([
  ['pipelined', undefined],
  ['step by step', STEPWISE],
])('replies, %s', (_, extensions) => {
  const start = (script: Parameters<typeof ScriptedServer.start>[0]) =>
    ScriptedServer.start({ ...script, ...(extensions === undefined ? {} : { extensions }) })

  it('are kept for each recipient', async () => {
    const server = await start({
      rcpt: (line) =>
        line.includes('none@')
          ? '550 5.1.1 no such user'
          : line.includes('later@')
            ? '451 4.3.0 later'
            : '250 ok',
    })
    const to = ['none@example.com', 'yes@example.com', 'later@example.com']
    const notes = new Notes()
    const delivered = await send(senderTo(server.port), { to, notes })
    expect(delivered).toMatchObject({
      outcome: { result: 'sent', code: 'OK' },
      message: 'The server accepted the message for 1 of 3 recipients.',
      reply: { code: 250 },
      recipients: [
        { result: 'rejected', reply: { code: 550, enhanced: '5.1.1' } },
        { result: 'accepted', reply: { code: 250 } },
        { result: 'deferred', reply: { code: 451, enhanced: '4.3.0' } },
      ],
    })
    expect(notes.replies).toEqual([[250, ['rejected', 'accepted', 'deferred']]])
    expect(server.messages.map((message) => message.to)).toEqual([['yes@example.com']])
  })

  it.each<[string, Script, string, string, number]>([
    ['MAIL', { mail: () => '550 5.7.1 no' }, 'rejected', 'SMTP_REJECTED', 550],
    ['MAIL', { mail: () => '452 4.3.1 full' }, 'deferred', 'SMTP_DEFERRED', 452],
    ['RCPT', { rcpt: () => '550 5.1.1 no' }, 'rejected', 'SMTP_REJECTED', 550],
    ['RCPT', { rcpt: () => '450 4.2.0 greylisted' }, 'deferred', 'SMTP_DEFERRED', 450],
    ['DATA', { data: () => '554 5.3.0 no' }, 'rejected', 'SMTP_REJECTED', 554],
    ['DATA', { data: () => '451 4.3.0 later' }, 'deferred', 'SMTP_DEFERRED', 451],
    ['the dot', { dot: () => '552 5.3.4 too big' }, 'rejected', 'SMTP_REJECTED', 552],
    ['the dot', { dot: () => '451 4.3.0 later' }, 'deferred', 'SMTP_DEFERRED', 451],
  ] satisfies [string, Script, string, string, number][])(
    'to %s that say no decide, and the connection goes on',
    async (_step, script, result, code, reply) => {
      const server = await start(script)
      const sender = senderTo(server.port, {}, 1)
      for (const delivered of await Promise.all([send(sender), send(sender), send(sender)]))
        expect(delivered).toMatchObject({
          outcome: { result, code },
          reply: { code: reply },
          recipients: [{ address: 'ada@example.com', result, reply: { code: reply } }],
        })
      expect(server.conversations).toHaveLength(1)
    },
  )

  it('may come byte by byte', async () => {
    const server = await start({
      write: async (socket, reply) => {
        for (const character of reply) {
          socket.write(character)
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
    })
    const sender = senderTo(server.port, {}, 1)
    const all = await Promise.all([send(sender), send(sender), send(sender)])
    expect(all.map(({ outcome }) => outcome.result)).toEqual(['sent', 'sent', 'sent'])
  })

  it('reset a transaction without a message before the next one begins', async () => {
    const server = await start({ rcpt: (line) => (line.includes('nobody') ? '550 no' : '250 ok') })
    const sender = senderTo(server.port, {}, 1)
    const all = await Promise.all([send(sender, { to: ['nobody@example.com'] }), send(sender)])
    expect(all.map(({ outcome }) => outcome.result)).toEqual(['rejected', 'sent'])
    expect(server.conversations[0]?.commands.filter((line) => line === 'RSET')).toHaveLength(1)
  })
})

describe('a server that answers 354 although it accepted no recipient', () => {
  it('receives a lone dot, and nothing of the message (RFC 2920 section 3.1)', async () => {
    const server = await ScriptedServer.start({
      rcpt: (line) => (line.includes('nobody') ? '550 5.1.1 no' : '250 ok'),
      data: () => '354 go on',
      dot: (_, { messages }) => (messages.at(-1)?.data === '' ? '554 5.5.1 no valid recipients' : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    const notes = new Notes()
    const [first, second] = await Promise.all([
      send(sender, { to: ['nobody@example.com'], text: 'secret', notes }),
      send(sender, { text: 'for Ada' }),
    ])
    expect(first.outcome).toEqual({ result: 'rejected', code: 'SMTP_REJECTED' })
    expect(second.outcome.result).toBe('sent')
    expect(notes.phases).not.toContain('body')
    expect(server.messages.map(({ data }) => data)).toEqual(['', 'Subject: hi\r\n\r\nfor Ada\r\n'])
  })

  it('has not accepted the message, even if its reply says so', async () => {
    const server = await ScriptedServer.start({ rcpt: () => '450 4.2.0 no', data: () => '354 go on' })
    const delivered = await send(senderTo(server.port))
    expect(delivered.outcome).toEqual({ result: 'deferred', code: 'SMTP_DEFERRED' })
    expect(server.messages.map(({ data }) => data)).toEqual([''])
  })

  it('receives no message after a refused MAIL, either', async () => {
    const server = await ScriptedServer.start({ mail: () => '550 5.7.1 no', data: () => '354 go on' })
    const delivered = await send(senderTo(server.port), { text: 'secret' })
    expect(delivered).toMatchObject({ outcome: { code: 'SMTP_REJECTED' }, reply: { code: 550 } })
    expect(server.messages.map(({ data }) => data)).toEqual([''])
  })
})

describe('extensions', () => {
  const mailCommand = (server: ScriptedServer) =>
    server.conversations[0]?.commands.find((line) => line.startsWith('MAIL'))

  it('are requested if they are offered and needed', async () => {
    const server = await ScriptedServer.start({
      extensions: ['PIPELINING', 'SIZE 1000', '8BITMIME', 'SMTPUTF8'],
    })
    const bytes = Buffer.from('To: ä@example.com\r\n\r\nü\r\n')
    const delivered = await send(senderTo(server.port), { bytes, to: ['ä@xn--exmple-cua.com'] })
    expect(delivered.outcome.result).toBe('sent')
    expect(mailCommand(server)).toBe(`MAIL FROM:<a@acme.example> SIZE=${bytes.length} BODY=8BITMIME SMTPUTF8`)
    expect(server.conversations[0]?.commands).toContain(
      Buffer.from('RCPT TO:<ä@xn--exmple-cua.com>').toString('latin1'),
    )
  })

  it('are not requested if they are not needed', async () => {
    const server = await ScriptedServer.start()
    await send(senderTo(server.port), { to: ['ada@xn--exmple-cua.com'] })
    expect(mailCommand(server)).toBe('MAIL FROM:<a@acme.example>')
    expect(server.conversations[0]?.commands).toContain('RCPT TO:<ada@xn--exmple-cua.com>')
  })

  it.each([
    ['SMTPUTF8_UNSUPPORTED', { to: ['ä@example.com'] }],
    ['SMTPUTF8_UNSUPPORTED', { from: 'ä@example.com' }],
    ['SMTPUTF8_UNSUPPORTED', { bytes: Buffer.from('To: ä@example.com\r\n\r\nx\r\n') }],
    ['8BITMIME_UNSUPPORTED', { bytes: Buffer.from('To: a@example.com\r\n\r\nä\r\n') }],
    ['SIZE_EXCEEDED', { text: 'x'.repeat(1_000) }],
    ['INVALID_MESSAGE', { to: ['a@example.com>\r\nRCPT TO:<evil@example.com'] }],
    ['INVALID_MESSAGE', { from: 'a b@example.com' }],
  ])('%s rejects the message before a word of it is sent', async (code, sending) => {
    const server = await ScriptedServer.start({ extensions: ['PIPELINING', 'SIZE 1000'] })
    const sender = senderTo(server.port, {}, 1)
    const [refused, next] = await Promise.all([send(sender, sending), send(sender)])
    expect(refused.outcome).toEqual({ result: 'rejected', code })
    expect(next.outcome.result).toBe('sent')
    expect(server.conversations[0]?.commands.filter((line) => line.startsWith('MAIL'))).toHaveLength(1)
  })

  it('are empty if the server only supports HELO', async () => {
    const server = await ScriptedServer.start({ ehlo: () => '502 5.5.1 what?' })
    // The scripted server knows no HELO either.
    const delivered = await send(senderTo(server.port))
    expect(delivered.outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  })
})

describe('cancellation and expiry', () => {
  it.each(['CANCELLED', 'EXPIRED'] as const)(
    '%s is decided when the envelope would be sent',
    async (code) => {
      const server = await ScriptedServer.start()
      const sender = senderTo(server.port, {}, 1)
      const notes = new Notes()
      notes.claim = code
      const [first, withdrawn, last] = await Promise.all([
        send(sender),
        send(sender, { notes }),
        send(sender),
      ])
      expect(withdrawn.outcome).toEqual({ result: 'withdrawn', code })
      expect([first.outcome.result, last.outcome.result]).toEqual(['sent', 'sent'])
      expect(server.messages).toHaveLength(2)
    },
  )

  it('is asked before anything is written', async () => {
    const server = await ScriptedServer.start()
    const notes = new Notes()
    notes.atCommit = () => {
      expect(server.conversations[0]?.commands).toEqual(['EHLO client.example'])
    }
    await send(senderTo(server.port), { notes })
    expect.assertions(1)
  })
})

describe('an unused connection', () => {
  it('is closed with QUIT', async () => {
    let quit: (commands: string[]) => void = () => undefined
    const farewell = new Promise<string[]>((resolve) => (quit = resolve))
    const server = await ScriptedServer.start({
      quit: (_, { commands }) => {
        quit(commands)
        return '221 bye'
      },
    })
    const sender = senderTo(server.port, { timeouts: { idle: 20 } })
    await send(sender)
    expect((await farewell).at(-1)).toBe('QUIT')
    await send(sender)
    expect(server.conversations).toHaveLength(2)
  })

  it('is reused for the next message', async () => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port)
    for (let index = 0; index < 5; index++) await send(sender)
    expect(server.conversations).toHaveLength(1)
  })

  it('sends QUIT when the sender quits', async () => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port)
    await send(sender)
    await sender.quit()
    expect(server.conversations[0]?.commands.at(-1)).toBe('QUIT')
  })

  it('is closed if the server does not answer QUIT', async () => {
    const server = await ScriptedServer.start({ quit: () => CLOSE })
    const sender = senderTo(server.port)
    await send(sender)
    await sender.quit()
    expect(server.conversations).toHaveLength(1)
  })
})

it('a retired sender passes further messages to its successor', async () => {
  const first = await ScriptedServer.start()
  const second = await ScriptedServer.start()
  const old = senderTo(first.port)
  await send(old)
  await old.retire(senderTo(second.port))
  expect((await send(old)).outcome.result).toBe('sent')
  expect([first.messages.length, second.messages.length]).toEqual([1, 1])
})

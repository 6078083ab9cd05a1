import { describe, expect, it } from 'vitest'
import { CLOSE, ScriptedServer, type Answer, type Script } from '../../support/scriptedServer.js'
import { Notes, send, senderTo } from '../../support/smtpSender.js'

const MODES: [string, string[]][] = [
  ['pipelined', ['PIPELINING']],
  ['in chunks', ['PIPELINING', 'CHUNKING', '8BITMIME']],
  ['step by step', []],
]

const closing: Answer = (socket) => socket.end('421 4.7.0 enough for one connection\r\n')

/** The refusals at MAIL that servers use to end a session that served enough. */
const REFUSALS: [name: string, answer: Answer][] = [
  ['452 without an enhanced code', '452 too many messages in this session'],
  ['452 4.3.2', '452 4.3.2 too many messages, reconnect'],
  ['450', '450 4.7.1 try another connection'],
  ['550', '550 5.7.0 maximum messages per connection exceeded'],
  ['421 that leaves the connection open', '421 4.7.0 enough for one connection'],
  ['421 that closes', closing],
  ['421 in several lines', '421-4.7.0 enough\r\n421 4.7.0 for one connection'],
  ['530', '530 5.7.0 the login has expired'],
]

/** Refuses MAIL on a connection that has served so many messages. */
function limited(messages: number, answer: Answer): Script {
  return {
    mail: (_, { turn }) => (turn >= messages ? answer : '250 ok'),
    rcpt: (_, { turn }) => (turn >= messages ? '503 5.5.1 MAIL first' : '250 ok'),
  }
}

describe.each(MODES)('a refusal at MAIL on a session that has served messages, %s', (_, extensions) => {
  it.each(REFUSALS)('is tried once on a fresh connection: %s', async (_name, answer) => {
    const server = await ScriptedServer.start({ extensions, ...limited(2, answer) })
    const sender = senderTo(server.port, {}, 1)
    const texts = Array.from({ length: 7 }, (_, index) => `message ${index}`)
    const results = await Promise.all(texts.map((text) => send(sender, { text })))
    expect(results.map(({ outcome }) => outcome)).toEqual(texts.map(() => ({ result: 'sent', code: 'OK' })))
    expect(server.messages.map(({ data }) => data.trim().split('\r\n').at(-1)).sort()).toEqual(texts)
    expect(server.conversations.map(({ messages }) => messages.length)).toEqual([2, 2, 2, 1])
  })

  it('counts if the fresh connection refuses it too', async () => {
    const server = await ScriptedServer.start({
      extensions,
      mail: (line) => (line.includes('spam@') ? '550 5.7.1 not you' : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    const notes = new Notes()
    const result = await send(sender, { from: 'spam@acme.example', notes })
    expect(result).toMatchObject({
      outcome: { result: 'rejected', code: 'SMTP_REJECTED' },
      recipients: [{ result: 'rejected', reply: { code: 550 } }],
    })
    // With CHUNKING, the body follows its envelope at once.
    const phases = notes.phases.filter((phase) => phase !== 'body')
    expect(phases).toEqual(['connecting', 'envelope', 'released', 'connecting', 'envelope'])
    const refusals = server.conversations.map(({ commands }) =>
      commands.filter((line) => line.includes('spam@')),
    )
    expect(refusals.map(({ length }) => length)).toEqual([1, 1])
  })

  it('ends that session with QUIT', async () => {
    const server = await ScriptedServer.start({ extensions, ...limited(1, '452 4.3.2 reconnect') })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    await send(sender)
    expect(server.conversations[0]?.commands.at(-1)).toBe('QUIT')
  })

  it('is tried on a fresh connection if the server closes without the other replies', async () => {
    const server = await ScriptedServer.start({
      extensions: ['PIPELINING'],
      ...limited(1, (socket) => socket.end('452 4.3.2 reconnect\r\n')),
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    expect((await send(sender)).outcome).toEqual({ result: 'sent', code: 'OK' })
    expect(server.conversations).toHaveLength(2)
  })

  it('at RCPT is about the recipient and counts at once', async () => {
    const server = await ScriptedServer.start({
      extensions,
      rcpt: (line) => (line.includes('nobody@') ? '550 5.1.1 nobody' : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    const { outcome } = await send(sender, { to: ['nobody@example.com'] })
    expect(outcome.result).toBe('rejected')
    expect(server.conversations).toHaveLength(1)
  })

  it('does not delay the messages behind it', async () => {
    const server = await ScriptedServer.start({
      extensions,
      mail: (line) => (line.includes('spam@') ? '452 4.3.1 no' : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    const froms = ['spam@a.example', 'b@a.example', 'c@a.example']
    const results = await Promise.all(froms.map((from) => send(sender, { from })))
    expect(results.map(({ outcome }) => outcome.result)).toEqual(['deferred', 'sent', 'sent'])
  })

  it('on a fresh session counts at once', async () => {
    const server = await ScriptedServer.start({ extensions, mail: () => '452 4.3.1 full' })
    const { outcome } = await send(senderTo(server.port, {}, 1))
    expect(outcome).toEqual({ result: 'deferred', code: 'SMTP_DEFERRED' })
    expect(server.conversations).toHaveLength(1)
  })
})

describe.each(MODES.filter(([name]) => name !== 'step by step'))(
  'a refusal at MAIL on a fresh session, %s',
  (_, extensions) => {
    it.each([
      ['451 4.3.0 later', 'SMTP_DEFERRED', ['deferred']],
      ['421 4.3.2 closing', 'SMTP_DEFERRED', ['deferred']],
      ['550 5.7.1 no', 'SMTP_REJECTED', ['rejected']],
      ['530 5.7.0 log in', 'AUTH_FAILED', []],
    ])('counts, and not the reply to RCPT, if the server then closes: %s', async (reply, code, expected) => {
      const server = await ScriptedServer.start({
        extensions,
        mail: () => (socket) => void socket.end(`${reply}\r\n503 5.5.1 MAIL first\r\n`),
      })
      const { outcome, recipients } = await send(senderTo(server.port, {}, 1))
      expect(outcome.code).toBe(code)
      expect(recipients.map(({ result }) => result)).toEqual(expected)
    })
  },
)

describe.each(MODES)('a login that MAIL demands, %s', (_, extensions) => {
  it.each([530, 534, 535, 538])('%i is a failure of the transport and ends the session', async (code) => {
    const server = await ScriptedServer.start({
      extensions,
      mail: (_line, { index }) => (index === 0 ? `${code} 5.7.0 authentication required` : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    const result = await send(sender)
    expect(result).toMatchObject({
      outcome: { result: 'deferred', code: 'AUTH_FAILED' },
      message: `The server accepts no mail with these credentials: ${code} 5.7.0 authentication required`,
      recipients: [],
      reply: { code },
    })
    expect((await send(sender)).outcome.result).toBe('sent')
    expect(server.conversations).toHaveLength(2)
    expect(server.conversations[0]?.commands.at(-1)).toBe('QUIT')
  })
})

describe.each(MODES)('a login that every RCPT demands, %s', (_, extensions) => {
  it.each([530, 535])('%i is a failure of the transport', async (code) => {
    const rcpt = (): string => `${code} 5.7.1 authentication required`
    const server = await ScriptedServer.start({ extensions, rcpt })
    const result = await send(senderTo(server.port, {}, 1), { to: ['ada@example.com', 'eve@example.com'] })
    expect(result).toMatchObject({ outcome: { result: 'deferred', code: 'AUTH_FAILED' }, reply: { code } })
  })

  it('is a matter of the recipient if others are refused for another reason', async () => {
    const rcpt = (line: string): string => (line.includes('eve') ? '550 5.1.1 unknown' : '530 5.7.1 log in')
    const server = await ScriptedServer.start({ extensions, rcpt })
    const result = await send(senderTo(server.port, {}, 1), { to: ['ada@example.com', 'eve@example.com'] })
    expect(result.outcome).toMatchObject({ result: 'rejected' })
  })
})

describe.each(MODES)('messagesPerConnection, %s', (_, extensions) => {
  it('replaces a connection after so many messages', async () => {
    const server = await ScriptedServer.start({ extensions })
    const sender = senderTo(server.port, { messagesPerConnection: 3 }, 1)
    const results = await Promise.all(Array.from({ length: 8 }, () => send(sender)))
    expect(results.every(({ outcome }) => outcome.result === 'sent')).toBe(true)
    expect(server.conversations.map(({ messages }) => messages.length)).toEqual([3, 3, 2])
    expect(server.conversations.map(({ commands }) => commands.includes('QUIT'))).toEqual([true, true, false])
  })

  it('holds for messages that come one by one', async () => {
    const server = await ScriptedServer.start({ extensions })
    const sender = senderTo(server.port, { messagesPerConnection: 1 }, 1)
    for (let index = 0; index < 3; index++) await send(sender)
    expect(server.conversations.map(({ messages }) => messages.length)).toEqual([1, 1, 1])
  })
})

describe('a close at MAIL without a reply', () => {
  it('on a used connection is not counted either', async () => {
    const server = await ScriptedServer.start({
      mail: (_, { turn, index }) => (turn === 1 && index === 0 ? CLOSE : '250 ok'),
    })
    const sender = senderTo(server.port, {}, 1)
    await send(sender)
    expect((await send(sender)).outcome.result).toBe('sent')
  })
})

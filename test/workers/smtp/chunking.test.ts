import { describe, expect, it } from 'vitest'
import { PipelineDepth } from '../../../workers/transports/smtp/pipelineDepth.js'
import { CLOSE, type Conversation, ScriptedServer, type Script } from '../../support/scriptedServer.js'
import { Notes, type Sending, send, senderTo } from '../../support/smtpSender.js'

const EXTENSIONS = ['PIPELINING', 'CHUNKING', '8BITMIME', 'SMTPUTF8', 'SIZE 100000000', 'ENHANCEDSTATUSCODES']
const start = (script: Script = {}) => ScriptedServer.start({ extensions: EXTENSIONS, ...script })

/** The names in the text of the messages of these tests: m0, m1, … */
const namesOf = (server: ScriptedServer): string[] =>
  server.messages.map(({ data }) => /m\d+/.exec(data)?.[0] ?? '')

/** Sends messages m0, m1, … at once over one connection. */
function sendAll(
  server: ScriptedServer,
  count: number,
  more: (index: number) => Sending = () => ({}),
  extra = {},
) {
  const sender = senderTo(server.port, { pipelineDepth: count, ...extra }, 1)
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      send(sender, { text: `m${index}`, to: [`m${index}@example.com`], ...more(index) }),
    ),
  )
}

const results = (outcomes: { outcome: { result: string } }[]) => outcomes.map(({ outcome }) => outcome.result)

/** Waits until so many messages arrived behind the one that is being answered. */
async function behind(conversation: Conversation, count: number): Promise<void> {
  await conversation.until(() => conversation.input.split('BDAT ').length > count)
}

describe('a connection with CHUNKING', () => {
  it('has as many messages in flight as pipelineDepth, and each message is one BDAT', async () => {
    const server = await start({
      bdat: async (_, conversation) => {
        if (conversation.turn === 1) await behind(conversation, 3)
        return '250 2.0.0 taken'
      },
    })
    expect(results(await sendAll(server, 4))).toEqual(['sent', 'sent', 'sent', 'sent'])
    expect(namesOf(server)).toEqual(['m0', 'm1', 'm2', 'm3'])
    expect(server.conversations).toHaveLength(1)
    const verbs = server.conversations[0]?.commands.map((line) => line.slice(0, 4))
    expect(verbs).not.toContain('DATA')
    expect(verbs?.filter((verb) => verb === 'BDAT')).toHaveLength(4)
  })

  it('sends with DATA if pipelineDepth is 1, or without CHUNKING or PIPELINING', async () => {
    for (const [extensions, pipelineDepth] of [
      [EXTENSIONS, 1],
      [['PIPELINING'], 8],
      [['CHUNKING'], 8],
    ] as const) {
      const server = await ScriptedServer.start({ extensions: [...extensions] })
      await sendAll(server, 2, undefined, { pipelineDepth })
      const commands = server.conversations.flatMap((conversation) => conversation.commands)
      expect(commands).toContain('DATA')
      expect(commands.filter((line) => line.startsWith('BDAT'))).toEqual([])
    }
  })

  it.each([
    ['dots at the start of lines', '.\r\n..\r\n.hidden\r\n\r\n.\r\n'],
    ['a long line', `${'x'.repeat(5_000)}\r\n`],
    ['commands in the text', 'QUIT\r\nMAIL FROM:<evil@example.com>\r\n'],
    ['octets above 127', 'caf\u00e9\r\n'],
    ['more than the kernel takes at once', `${'y'.repeat(76)}\r\n`.repeat(100_000)],
  ])('sends %s unchanged', async (_, body) => {
    const bytes = Buffer.from(`Subject: m0\r\n\r\n${body}`)
    const server = await start()
    expect(results(await sendAll(server, 2, (index) => (index === 0 ? { bytes } : {})))).toEqual([
      'sent',
      'sent',
    ])
    expect(Buffer.from(server.messages[0]?.data ?? '', 'latin1').equals(bytes)).toBe(true)
  })

  it.each<[string, Script, string]>([
    [
      'MAIL with 451',
      { mail: (line) => (line.includes('refused') ? '451 4.3.0 later' : '250 ok') },
      'deferred',
    ],
    ['MAIL with 550', { mail: (line) => (line.includes('refused') ? '550 5.7.1 no' : '250 ok') }, 'rejected'],
    ['every RCPT', { rcpt: (line) => (line.includes('m1@') ? '550 5.1.1 unknown' : '250 ok') }, 'rejected'],
    [
      'the message with 552',
      { bdat: (_, { to }) => (to[0] === 'm1@example.com' ? '552 5.3.4 too big' : '250 ok') },
      'rejected',
    ],
    [
      'the message with 451',
      { bdat: (_, { to }) => (to[0] === 'm1@example.com' ? '451 4.3.0 later' : '250 ok') },
      'deferred',
    ],
  ])('sends the messages behind one that is refused at %s', async (_, script, result) => {
    const server = await start(script)
    const sent = await sendAll(server, 4, (index) => (index === 1 ? { from: 'refused@acme.example' } : {}))
    expect(results(sent)).toEqual(['sent', result, 'sent', 'sent'])
    expect(namesOf(server).filter((name) => name !== 'm1')).toEqual(['m0', 'm2', 'm3'])
  })

  it('reports each recipient of a message, and sends the rest of a long list in a further transaction', async () => {
    const server = await start({
      rcpt: (line, { to }) =>
        line.includes('<b@') ? '550 5.1.1 unknown' : to.length >= 2 ? '452 4.5.3 too many' : '250 ok',
    })
    const [first] = await sendAll(server, 2, (index) =>
      index === 0 ? { to: ['a', 'b', 'c', 'd'].map((name) => `${name}@example.com`) } : {},
    )
    expect(first?.recipients.map(({ result }) => result)).toEqual([
      'accepted',
      'rejected',
      'accepted',
      'accepted',
    ])
  })

  it.each([
    ['closes', true, ['sent', 'sent', 'sent', 'sent'], 1],
    ['goes on', false, ['sent', 'uncertain', 'uncertain', 'uncertain'], 0],
  ] as const)(
    'sends the messages behind a refused RSET over another connection if the server %s',
    async (_, closes, expected, times) => {
      const server = await start({
        rset: (_line, { index }) => {
          if (index > 0) return '250 ok'
          const refusal = '554 Too many nonmail commands'
          return closes ? (socket) => socket.end(`${refusal}\r\n`) : refusal
        },
      })
      expect(results(await sendAll(server, 4))).toEqual(expected)
      const others = server.conversations.slice(1).flatMap(({ messages }) => messages)
      for (const name of ['m1', 'm2', 'm3'])
        expect(others.filter(({ data }) => data.includes(name))).toHaveLength(times)
    },
  )

  it.each(['mail', 'rcpt', 'bdat'] as const)(
    'sends the messages behind a 421 at %s over another connection, once and for certain',
    async (at) => {
      let closed = false
      const server = await start({
        [at]: (line: string, { to }: Conversation) => {
          const second = at === 'bdat' ? to[0] === 'm1@example.com' : line.includes('m1@')
          if (!second || closed) return '250 ok'
          closed = true
          return (socket: { end: (text: string) => void }) => socket.end('421 4.3.2 shutting down\r\n')
        },
      })
      const sent = await sendAll(server, 4, (index) => ({ from: `m${index}@acme.example` }))
      expect(results(sent).filter((_, index) => index !== 1)).toEqual(['sent', 'sent', 'sent'])
      expect(results(sent)[1]).toBe(at === 'mail' ? 'sent' : 'deferred')
      for (const name of ['m0', 'm2', 'm3'])
        expect(namesOf(server).filter((each) => each === name)).toHaveLength(1)
    },
  )

  it('settles the messages in flight one by one when the connection closes', async () => {
    const server = await start({
      rcpt: (line) => (line.includes('m1@') ? '550 5.1.1 unknown' : '250 ok'),
      bdat: async (_, conversation) => {
        if (conversation.messages.length < 2) return '250 ok'
        await behind(conversation, 1)
        return CLOSE
      },
    })
    const notes = Array.from({ length: 4 }, () => new Notes())
    const sent = await sendAll(server, 4, (index) => ({ notes: notes[index]! }))
    // m1 has its last reply; m2 and m3 were handed over and have none.
    expect(results(sent)).toEqual(['sent', 'rejected', 'uncertain', 'uncertain'])
    expect(notes.map(({ phases }) => phases.at(-1))).toEqual(['replied', 'body', 'body', 'body'])
  })

  it('knows that a message was not sent if the server refused it before the connection closed', async () => {
    const server = await start({
      mail: (line) => (line.includes('refused') ? '550 5.7.1 no' : '250 ok'),
      rcpt: (line) => (line.includes('m0@') ? CLOSE : '250 ok'),
    })
    const sender = senderTo(server.port, { pipelineDepth: 2 }, 1)
    const sent = await send(sender, { from: 'refused@acme.example', to: ['x@example.com'] })
    expect(sent.outcome.result).toBe('rejected')
  })

  it('is uncertain about the messages in flight if the server answers nothing', async () => {
    const server = await start({ bdat: () => new Promise(() => undefined) })
    const sent = await sendAll(server, 3, undefined, { timeouts: { body: 100 } })
    expect(results(sent)).toEqual(['uncertain', 'uncertain', 'uncertain'])
  })

  it('is certain that nothing was sent of a message whose last octet the kernel did not take', async () => {
    const server = await start({
      body: (conversation) => {
        conversation.socket.pause()
        conversation.socket.destroy()
      },
    })
    const bytes = Buffer.from(`Subject: m0\r\n\r\n${`${'y'.repeat(76)}\r\n`.repeat(300_000)}`)
    const [sent] = await sendAll(server, 1, () => ({ bytes }))
    expect(sent?.outcome.result).toBe('deferred')
  })

  it('drops a message that is cancelled right before its write, and sends those behind it', async () => {
    const server = await start()
    const notes = new Notes()
    notes.claim = 'CANCELLED'
    const sent = await sendAll(server, 3, (index) => (index === 1 ? { notes } : {}))
    expect(results(sent)).toEqual(['sent', 'withdrawn', 'sent'])
    expect(namesOf(server)).toEqual(['m0', 'm2'])
  })

  it('enters the body before it writes, and replaces it by the reply', async () => {
    const server = await start()
    const notes = new Notes()
    await sendAll(server, 1, () => ({ notes }))
    expect(notes.phases).toEqual(['connecting', 'envelope', 'body', 'replied'])
  })
})

describe('the depth of a pipeline', () => {
  /** Sends with as many in flight as allowed, over a line and to a server with these times (ms). */
  function depthAfter(
    messages: number,
    roundTrip: number,
    service: number,
    depth = new PipelineDepth(undefined),
  ) {
    for (let sent = 0; sent < messages; sent++)
      depth.record(Math.max(roundTrip + service, depth.current * service), true)
    return depth.current
  }

  it('grows up to 8 while the round trip is the bottleneck', () => {
    expect(depthAfter(200, 50, 0.1)).toBe(8)
  })

  it('stays small if the server is the bottleneck', () => {
    expect(depthAfter(2_000, 0.05, 1)).toBeLessThanOrEqual(2)
  })

  it('stops growing where the server is saturated', () => {
    const depth = depthAfter(500, 10, 5)
    expect(depth).toBeGreaterThanOrEqual(2)
    expect(depth).toBeLessThanOrEqual(5)
  })

  it('becomes smaller when the server becomes slower', () => {
    const depth = new PipelineDepth(undefined)
    depthAfter(200, 50, 0.1, depth)
    depthAfter(40, 50, 40, depth)
    expect(depth.current).toBeLessThan(8)
  })

  it('does not grow without messages to send', () => {
    const depth = new PipelineDepth(undefined)
    for (let sent = 0; sent < 100; sent++) depth.record(50, false)
    expect(depth.current).toBe(1)
  })

  it('is fixed if the transport sets it', () => {
    expect(depthAfter(100, 50, 0.1, new PipelineDepth(3))).toBe(3)
  })
})

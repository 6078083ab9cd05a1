import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../../src/protocol/phaseBoard.js'
import { CLOSE, ScriptedServer, type Answer, type Reaction } from '../../support/scriptedServer.js'
import { Notes, send, senderTo } from '../../support/smtpSender.js'

const MODES: [string, string[]][] = [
  ['pipelined', ['PIPELINING']],
  ['in chunks', ['PIPELINING', 'CHUNKING', '8BITMIME']],
  ['step by step', []],
]

const REFUSALS = [
  '452 4.5.3 Error: too many recipients',
  '552 5.5.3 too many recipients',
  '452 too many recipients',
  '552 Too many recipients in this transaction',
  '451 4.5.3 no more',
]

/** Takes so many recipients per transaction. */
function atMost(limit: number, answer: string): Reaction {
  return (_, { to }) => (to.length >= limit ? answer : '250 ok')
}

const FIVE = ['a', 'b', 'c', 'd', 'e'].map((local) => `${local}@example.com`)

describe.each(MODES)('a server that limits the recipients of a transaction, %s', (_, extensions) => {
  it.each(REFUSALS)('gets the remaining ones in further transactions: %s', async (answer) => {
    const server = await ScriptedServer.start({ extensions, rcpt: atMost(2, answer) })
    const notes = new Notes()
    const result = await send(senderTo(server.port, {}, 1), { to: FIVE, notes })
    expect(result).toMatchObject({
      outcome: { result: 'sent', code: 'OK' },
      message: 'The server accepted the message.',
      recipients: FIVE.map((address) => ({ address, result: 'accepted' })),
    })
    expect(server.messages.map(({ to }) => to)).toEqual([FIVE.slice(0, 2), FIVE.slice(2, 4), FIVE.slice(4)])
    expect(new Set(server.messages.map(({ data }) => data)).size).toBe(1)
    expect(server.conversations).toHaveLength(1)
    expect(notes.phases.filter((phase) => phase !== 'replied')).toEqual([
      'connecting',
      'envelope',
      'body',
      'body',
      'body',
    ])
    expect(notes.replies.at(-1)).toEqual([250, FIVE.map(() => 'accepted')])
  })

  it('asks step by step for no recipient after the first refusal', async () => {
    const server = await ScriptedServer.start({ extensions: [], rcpt: atMost(2, '452 4.5.3 enough') })
    await send(senderTo(server.port, {}, 1), { to: FIVE })
    const asked = server.conversations[0]?.commands.filter((line) => line.startsWith('RCPT'))
    expect(asked).toHaveLength(3 + 3 + 1)
  })

  it('keeps the order of other messages', async () => {
    const server = await ScriptedServer.start({ extensions, rcpt: atMost(2, '452 4.5.3 enough') })
    const sender = senderTo(server.port, {}, 1)
    const results = await Promise.all([
      send(sender, { to: FIVE }),
      send(sender, { text: 'other' }),
      send(sender, { to: FIVE }),
    ])
    expect(results.map(({ outcome }) => outcome.result)).toEqual(['sent', 'sent', 'sent'])
    expect(server.messages.flatMap(({ to }) => to)).toHaveLength(11)
  })

  it('keeps the other refusals apart', async () => {
    const server = await ScriptedServer.start({
      extensions,
      rcpt: (line, { to }) =>
        line.includes('<b@')
          ? '550 5.1.1 no such user'
          : line.includes('<d@')
            ? '452 4.2.2 mailbox full'
            : to.length >= 1
              ? '452 4.5.3 too many recipients'
              : '250 ok',
    })
    const { outcome, message, recipients } = await send(senderTo(server.port, {}, 1), { to: FIVE })
    expect(outcome.result).toBe('sent')
    expect(message).toBe('The server accepted the message for 3 of 5 recipients.')
    expect(recipients.map(({ result }) => result)).toEqual([
      'accepted',
      'rejected',
      'accepted',
      'deferred',
      'accepted',
    ])
  })

  it('that accepts no recipient defers them: 552 is temporary here', async () => {
    const server = await ScriptedServer.start({ extensions, rcpt: () => '552 5.5.3 too many recipients' })
    const { outcome, recipients } = await send(senderTo(server.port), { to: FIVE.slice(0, 2) })
    expect(outcome).toEqual({ result: 'deferred', code: 'SMTP_DEFERRED' })
    expect(recipients.map(({ result }) => result)).toEqual(['deferred', 'deferred'])
    expect(server.messages).toEqual([])
  })

  it.each<[string, Reaction, string, string]>([
    ['is lost', () => CLOSE, 'uncertain REPLY_LOST', 'uncertain'],
    ['is nonsense', () => 'HTTP/1.1 200 OK', 'uncertain REPLY_INVALID', 'uncertain'],
    ['is 450', () => '450 4.3.0 later', 'sent OK', 'deferred'],
    ['is 550', () => '550 5.7.1 spam', 'sent OK', 'rejected'],
  ])(
    'whose reply to the further body %s leaves the others accepted',
    async (_name, dot, expected, result) => {
      const server = await ScriptedServer.start({
        extensions,
        rcpt: atMost(3, '452 4.5.3 enough'),
        dot: (line, conversation) => (conversation.turn === 2 ? dot(line, conversation) : '250 ok'),
        bdat: (line, conversation) => (conversation.turn === 2 ? dot(line, conversation) : '250 ok'),
      })
      const notes = new Notes()
      const { outcome, recipients } = await send(senderTo(server.port, {}, 1), { to: FIVE, notes })
      expect(`${outcome.result} ${outcome.code}`).toBe(expected)
      expect(recipients.map((each) => each.result)).toEqual([
        ...Array<string>(3).fill('accepted'),
        result,
        result,
      ])
      expect(server.messages).toHaveLength(2)
    },
  )

  it('records before a further body that its recipients are unknown from here on', async () => {
    const server = await ScriptedServer.start({ extensions, rcpt: atMost(3, '452 4.5.3 enough') })
    const notes = new Notes()
    await send(senderTo(server.port, {}, 1), { to: FIVE, notes })
    expect(notes.replies).toEqual([
      [250, ['accepted', 'accepted', 'accepted', 'deferred', 'deferred']],
      [250, ['accepted', 'accepted', 'accepted', 'uncertain', 'uncertain']],
      [250, FIVE.map(() => 'accepted')],
    ])
  })
})

describe.each(MODES.filter(([name]) => name !== 'in chunks'))(
  'a server that limits the recipients of a transaction, %s, before the body',
  (_, extensions) => {
    it.each<[string, Answer]>([
      ['a close', CLOSE],
      ['421', '421 4.3.2 going down'],
    ])(
      'and then ends the session with %s leaves the remaining ones certainly not sent',
      async (_name, answer) => {
        const server = await ScriptedServer.start({
          extensions,
          rcpt: atMost(3, '452 4.5.3 enough'),
          data: (_line, { turn }) => (turn === 1 ? answer : '354 go on'),
        })
        const notes = new Notes()
        const { outcome, recipients } = await send(senderTo(server.port, {}, 1), { to: FIVE, notes })
        expect(outcome).toEqual({ result: 'sent', code: 'OK' })
        expect(recipients.map(({ result }) => result)).toEqual([
          ...Array<string>(3).fill('accepted'),
          'deferred',
          'deferred',
        ])
        expect(notes.phases.at(-1)).toBe('replied')
        expect(notes.replies.at(-1)).toEqual([
          250,
          ['accepted', 'accepted', 'accepted', 'deferred', 'deferred'],
        ])
      },
    )
  },
)

it('the phase board keeps the last record of each recipient', () => {
  const board = new PhaseBoard(PhaseBoard.allocate(2, 40), 40)
  const generation = board.assign(1)
  const results = (last: 'deferred' | 'uncertain' | 'accepted') =>
    Array.from({ length: 40 }, (_, index) => (index < 20 ? 'accepted' : last))
  board.reply(1, generation, 250, results('deferred'))
  board.reply(1, generation, 250, results('uncertain'))
  board.enter(1, generation, 'body')
  const evidence = board.read(1, 40)
  expect(evidence).toMatchObject({ phase: 'body', reply: 250 })
  expect(evidence.recipients).toEqual(
    results('uncertain').map((result) => (result === 'uncertain' ? undefined : result)),
  )
  expect(board.read(0, 40).recipients.every((result) => result === undefined)).toBe(true)
})

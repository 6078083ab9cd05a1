import { type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { DeadlineTimer } from '../../../workers/transports/smtp/deadlineTimer.js'
import {
  type Answer,
  CLOSE,
  ScriptedServer,
  type Script,
  SILENCE,
  drip,
} from '../../support/scriptedServer.js'
import { Notes, send, senderTo, TIMEOUTS } from '../../support/smtpSender.js'
import { stopClock } from '../../support/stoppedClock.js'

/** A reaction that gives the answer; `reached` resolves when the client waits for it. */
function reactionOf(answer: Answer, before: Script['dot'] = () => answer) {
  let reach: () => void = () => undefined
  const reached = new Promise<void>((resolve) => (reach = resolve))
  const reaction: Script['dot'] = async (line, conversation) => {
    const reply = await before(line, conversation)
    if (reply === answer) reach()
    return reply
  }
  return { reaction, reached }
}

/**
 * Moves the clock past the limit of a client that waits for a server which is silent or sends single bytes. Bytes that arrive
 * shortly before the limit must not extend it.
 */
async function passLimit(answer: Answer, { conversations }: ScriptedServer): Promise<void> {
  if (answer !== SILENCE && answer !== drip) return
  vi.advanceTimersByTime(LIMIT - 1)
  const socket = conversations[0]?.socket
  const before = socket?.bytesWritten ?? 0
  if (answer === drip) await expect.poll(() => socket?.bytesWritten).toBeGreaterThan(before + 2)
  vi.advanceTimersByTime(1)
}

/** The time limit of the envelope and of the body, in ms. */
const LIMIT = TIMEOUTS.envelope

const cutReply: Answer = (socket: Socket) => socket.end('250 2.0')
const reset: Answer = (socket: Socket) => void socket.resetAndDestroy()

/** The ways in which a server can end a session instead of replying, with the outcomes before and after the final dot. */
const ENDINGS: [name: string, answer: Answer, before: string, after: string][] = [
  ['closes the connection', CLOSE, 'deferred CONNECTION_CLOSED', 'uncertain REPLY_LOST'],
  ['resets the connection', reset, 'deferred CONNECTION_CLOSED', 'uncertain REPLY_LOST'],
  ['closes the connection within a reply', cutReply, 'deferred CONNECTION_CLOSED', 'uncertain REPLY_LOST'],
  ['sends nothing', SILENCE, 'deferred TIMEOUT', 'uncertain REPLY_TIMEOUT'],
  ['sends single bytes', drip, 'deferred TIMEOUT', 'uncertain REPLY_TIMEOUT'],
  ['sends an invalid reply', 'HTTP/1.1 200 OK', 'deferred REPLY_INVALID', 'uncertain REPLY_INVALID'],
  [
    'sends an endless reply',
    '250-and so on\r\n'.repeat(3_000),
    'deferred REPLY_INVALID',
    'uncertain REPLY_INVALID',
  ],
  ['replies 334', '334 VXNlcm5hbWU6', 'deferred REPLY_INVALID', 'uncertain REPLY_INVALID'],
  ['replies 421', '421 4.3.2 going down', 'deferred SMTP_DEFERRED', 'deferred SMTP_DEFERRED'],
]

const MODES: [string, string[]][] = [
  ['pipelined', ['PIPELINING']],
  ['step by step', []],
]

describe.each(MODES)('a server that ends the session, %s', (_, extensions) => {
  const before = ENDINGS.flatMap(([name, answer, expected]) =>
    (['mail', 'rcpt', 'data'] as const).map((step) => [name, step, answer, expected] as const),
  )

  /** Sends a message to a server that gives the answer at one step. */
  async function sendTo(step: 'mail' | 'rcpt' | 'data' | 'dot', answer: Answer) {
    stopClock()
    const { reaction, reached } = reactionOf(answer)
    const server = await ScriptedServer.start({ extensions, [step]: reaction })
    const notes = new Notes()
    const sending = send(senderTo(server.port, {}, 1), { notes })
    await reached
    await passLimit(answer, server)
    const { outcome, recipients } = await sending
    return { outcome, recipients, phases: notes.phases, messages: server.messages }
  }

  it.each(before)('%s at %s: the message was certainly not sent', async (_name, step, answer, expected) => {
    const { outcome, recipients, phases, messages } = await sendTo(step, answer)
    expect(`${outcome.result} ${outcome.code}`).toBe(expected)
    expect(recipients).toMatchObject([{ address: 'ada@example.com', result: 'deferred' }])
    expect(messages).toEqual([])
    expect(phases).not.toContain('body')
  })

  it.each(ENDINGS)('%s after the final dot', async (_name, answer, _before, expected) => {
    const { outcome, recipients, phases, messages } = await sendTo('dot', answer)
    expect(`${outcome.result} ${outcome.code}`).toBe(expected)
    expect(recipients).toMatchObject([{ address: 'ada@example.com', result: outcome.result }])
    expect(messages).toHaveLength(1)
    expect(phases).toContain('body')
    expect(phases.includes('replied')).toBe(outcome.result === 'deferred')
  })

  it('keeps refused recipients refused while the others are uncertain', async () => {
    const rcpt = (line: string) =>
      line.includes('no@') ? '550 no' : line.includes('later@') ? '450 later' : '250 ok'
    const server = await ScriptedServer.start({ extensions, rcpt, dot: () => CLOSE })
    const to = ['no@example.com', 'ada@example.com', 'later@example.com']
    const { recipients } = await send(senderTo(server.port), { to })
    expect(recipients.map(({ result }) => result)).toEqual(['rejected', 'uncertain', 'deferred'])
  })

  it('is cut off by the deadline of the attempt', async () => {
    stopClock()
    const { reaction, reached } = reactionOf(SILENCE)
    const server = await ScriptedServer.start({ extensions, dot: reaction })
    const sending = send(senderTo(server.port), { limit: LIMIT / 2 })
    await reached
    vi.advanceTimersByTime(LIMIT / 2)
    const { outcome } = await sending
    expect(outcome).toEqual({ result: 'uncertain', code: 'REPLY_TIMEOUT' })
  })
})

describe('within the body', () => {
  const bytes = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.alloc(40_000_000, 'line\r\n')])

  it('a close means that the message was not sent, because its final dot never left', async () => {
    const server = await ScriptedServer.start({ body: ({ socket }) => void socket.destroy() })
    const { outcome } = await send(senderTo(server.port), { bytes })
    expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_CLOSED' })
    expect(server.messages).toEqual([])
  })

  it('a server that stops reading times out, and the message was not sent', async () => {
    const server = await ScriptedServer.start({ body: ({ socket }) => void socket.pause() })
    const { outcome } = await send(senderTo(server.port, { timeouts: { body: 100 } }), { bytes })
    expect(outcome).toEqual({ result: 'deferred', code: 'TIMEOUT' })
    expect(server.messages).toEqual([])
  })

  it.each([
    ['552 5.3.4 too big', { result: 'rejected', code: 'SMTP_REJECTED' }],
    ['452 4.3.1 full', { result: 'deferred', code: 'SMTP_DEFERRED' }],
    ['250 2.0.0 taken', { result: 'deferred', code: 'REPLY_INVALID' }],
  ])('a reply of %s before the final dot counts only if it refuses the message', async (reply, expected) => {
    let replied = false
    const server = await ScriptedServer.start({
      body: ({ socket }, received) => {
        if (!replied && received > 100_000) replied = socket.write(`${reply}\r\n`)
      },
    })
    const sender = senderTo(server.port, {}, 1)
    const [delivered, next] = await Promise.all([send(sender, { bytes }), send(sender)])
    expect(delivered.outcome).toEqual(expected)
    expect(next.outcome.result).toBe('sent')
    expect(server.messages.map(({ data }) => data.length)).toEqual([22])
  })

  it('a reply that arrives with the 354 is invalid', async () => {
    const server = await ScriptedServer.start({ data: () => '354 go on\r\n250 2.0.0 taken' })
    const notes = new Notes()
    const { outcome } = await send(senderTo(server.port), { notes, text: 'secret' })
    expect(outcome).toEqual({ result: 'deferred', code: 'REPLY_INVALID' })
    expect(notes.phases).not.toContain('body')
    expect(server.messages).toEqual([])
  })
})

describe('replies out of order', () => {
  it.each([
    ['a second reply to MAIL', { mail: () => '250 ok\r\n250 ok' }],
    ['a 354 for MAIL', { mail: () => '354 go on' }],
    ['a 354 for RCPT', { rcpt: () => '354 go on' }],
    ['a 250 for DATA', { data: () => '250 ok' }],
  ] satisfies [string, Script][])('%s means that nothing is sent', async (_, script) => {
    const server = await ScriptedServer.start({ ...script })
    const { outcome } = await send(senderTo(server.port), { text: 'secret' })
    expect(outcome).toEqual({ result: 'deferred', code: 'REPLY_INVALID' })
    expect(server.messages).toEqual([])
  })

  it('an unsolicited reply ends an idle connection, and the next message is sent', async () => {
    let replyUnasked: () => void = () => undefined
    const server = await ScriptedServer.start({
      dot: (_, { socket, index }) => {
        if (index === 0) replyUnasked = () => socket.write('250 surprise\r\n')
        return '250 ok'
      },
    })
    const sender = senderTo(server.port)
    await send(sender)
    const [first] = server.conversations
    const closed = new Promise((resolve) => first?.socket.once('close', resolve))
    replyUnasked()
    await closed
    expect((await send(sender)).outcome.result).toBe('sent')
    expect(server.conversations).toHaveLength(2)
  })
})

describe('a message whose envelope was pipelined behind one that failed', () => {
  it.each(ENDINGS)(
    'is sent again on another connection, without counting an attempt, when the server %s',
    async (_name, answer, _before, after) => {
      stopClock()
      const { reaction, reached } = reactionOf(answer, async (_, conversation) => {
        if (conversation.index > 0) return '250 ok'
        await conversation.until(() => conversation.input.endsWith('DATA\r\n'))
        return answer
      })
      const server = await ScriptedServer.start({ dot: reaction })
      const sender = senderTo(server.port, {}, 1)
      const notes = new Notes()
      const sending = Promise.all([send(sender), send(sender, { text: 'rider', notes })])
      await reached
      await passLimit(answer, server)
      const [first, second] = await sending
      expect(`${first.outcome.result} ${first.outcome.code}`).toBe(after)
      expect(second.outcome).toEqual({ result: 'sent', code: 'OK' })
      expect(notes.phases).toEqual([
        'connecting',
        'envelope',
        'released',
        'connecting',
        'envelope',
        'body',
        'replied',
      ])
      expect(server.messages.filter(({ data }) => data.includes('rider'))).toHaveLength(1)
    },
  )

  it.each(['mail', 'rcpt', 'data'] as const)(
    'is requeued when the server closes each connection at its second MAIL, but not at a later command (%s)',
    async (step) => {
      const server = await ScriptedServer.start({
        [step]: (_: string, { turn }: { turn: number }) => (turn > 0 ? CLOSE : undefined),
      })
      const sender = senderTo(server.port, {}, 1)
      const all = await Promise.all(
        Array.from({ length: 6 }, (_, index) => send(sender, { text: `m${index}` })),
      )
      const expected = step === 'mail' ? 'sent' : 'deferred'
      expect(all[1]?.outcome.result).toBe(expected)
      if (step === 'mail') {
        expect(all.map(({ outcome }) => outcome.result)).toEqual(all.map(() => 'sent'))
        expect(server.messages).toHaveLength(6)
      }
    },
  )

  it('is not requeued forever', async () => {
    const server = await ScriptedServer.start({ mail: () => CLOSE })
    const sender = senderTo(server.port, {}, 2)
    const all = await Promise.all([send(sender), send(sender), send(sender)])
    expect(all.map(({ outcome }) => outcome.code)).toEqual(all.map(() => 'CONNECTION_CLOSED'))
  })
})

describe('a connection that died unnoticed', () => {
  it.each([
    ['closes the connection', CLOSE],
    ['resets the connection', reset],
    ['replies 421', '421 4.4.2 idle for too long'],
  ] satisfies [string, Answer][])(
    'costs no attempt when the server %s at the next message',
    async (_, answer) => {
      const server = await ScriptedServer.start({ mail: (_line, { turn }) => (turn > 0 ? answer : '250 ok') })
      const sender = senderTo(server.port)
      await send(sender)
      const notes = new Notes()
      expect((await send(sender, { notes })).outcome.result).toBe('sent')
      expect(notes.phases).toContain('released')
      expect(server.conversations).toHaveLength(2)
    },
  )

  it.each([
    ['with a reply', '421 4.4.2 idle for too long\r\n'],
    ['without a reply', ''],
  ])('is not used again after the server closed it %s', async (_, farewell) => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port)
    await send(sender)
    const [first] = server.conversations
    const closed = new Promise((resolve) => first?.socket.once('close', resolve))
    first?.socket.end(farewell)
    await closed
    const notes = new Notes()
    expect((await send(sender, { notes })).outcome.result).toBe('sent')
    expect(notes.phases).not.toContain('released')
  })
})

it('a deadline beyond the range of setTimeout does not expire early', () => {
  const timers = vi.spyOn(globalThis, 'setTimeout')
  onTestFinished(() => timers.mockRestore())
  const timer = new DeadlineTimer(() => undefined)
  onTestFinished(() => timer.stop())
  timer.set(performance.now() + 3_000_000_000)
  expect(timers.mock.lastCall?.[1]).toBe(2 ** 31 - 1)
  timer.stop()
  timer.set(Infinity)
  expect(timers).toHaveBeenCalledOnce()
})

it('timeouts may add up to more than the range of setTimeout', async () => {
  const server = await ScriptedServer.start()
  const longest = 2 ** 31 - 1
  const limits = { connect: longest, greeting: longest, handshake: longest, idle: Infinity }
  const sender = senderTo(server.port, { timeouts: limits })
  expect((await send(sender)).outcome.result).toBe('sent')
})

import { describe, expect, it, vi } from 'vitest'
import { type Answer, type Conversation, ScriptedServer } from '../../support/scriptedServer.js'
import { Notes, send, senderTo } from '../../support/smtpSender.js'
import { stopClock } from '../../support/stoppedClock.js'

const CHUNKS = ['PIPELINING', 'CHUNKING', '8BITMIME']
const COUNT = 4

/** The command with an unexpected reply: any of a message, or the RCPT of one recipient of two. */
type Command = 'rset' | 'mail' | 'rcpt' | 'one rcpt' | 'data' | 'end'

/** The behavior of a server with that reply. It executes and answers everything in front of the command. */
const AFTER = [
  'goes on',
  // It executes the command in spite of its reply.
  'goes on regardless',
  // The reply was not to the command, whose own reply follows.
  'replies to the command, too, and goes on',
  'closes at once',
  'resets the connection at once',
  'closes after it answered those behind',
  // It executes what has arrived, without a reply.
  'closes, and accepts those behind',
  'accepts those behind, and resets the connection',
] as const
type After = (typeof AFTER)[number]

const CLOSING = ['421 4.2.1 try later', '421-4.3.2 closing\r\n421 4.3.2 now']
const REPLIES = [...CLOSING, '451 4.3.0 later', '550 5.7.1 no', '354 go on', 'HTTP/1.1 200 OK', '']

/** Whether no client can know the truth: the server says of a message that it was not accepted, and accepts it. */
function isLie(command: Command, reply: string, after: After): boolean {
  const contradicted = after === 'goes on regardless' || after.startsWith('replies')
  // Without a reply, those behind seem to be earlier ones; and only a 421 may come unasked.
  if (after.includes('accepts those behind') && (reply.startsWith('421') || command === 'rset')) return true
  if (reply === '' && (after.includes('goes on') || after.includes('answered'))) return true
  if (after.startsWith('replies') && !reply.startsWith('421')) return true
  if (!contradicted || !/^[45]/.test(reply)) return contradicted && command === 'data'
  // 421 is about the session, and casts doubt on what follows. Other codes are about the recipient.
  return command === 'end' || command === 'data' || (command === 'rcpt' && !reply.startsWith('421'))
}

const nameIn = (text: string): string => /m\d/.exec(text)?.[0] ?? ''

/** A server whose reply to one command of one message on its first connection is an unexpected one. */
class Unruly {
  /** How often the server accepted each message. */
  readonly copies = new Map<string, number>()
  readonly #command: Command
  readonly #name: string
  readonly #reply: string
  readonly #after: After
  #server: ScriptedServer | undefined
  /** All of a pipeline has arrived. */
  #filled = false
  #said = false
  #silent = false
  /** Written in place of the next reply. */
  #substitute: string | undefined

  constructor(command: Command, position: number, reply: string, after: After) {
    this.#command = command
    this.#name = `m${position}`
    this.#reply = reply === '' ? '' : `${reply}\r\n`
    this.#after = after
  }

  async start(extensions: string[]): Promise<ScriptedServer> {
    const recipient = this.#command === 'one rcpt' ? 'one rcpt' : 'rcpt'
    const end = (_line: string, conversation: Conversation): Answer =>
      this.#answer('end', nameIn(conversation.messages.at(-1)?.data ?? ''), conversation)
    this.#server = await ScriptedServer.start({
      extensions,
      rset: (_line, conversation) => this.#answer('rset', nameIn(conversation.input), conversation),
      mail: async (line, conversation) => {
        if (extensions === CHUNKS && !this.#filled) await this.#fill(conversation)
        this.#filled = true
        return this.#answer('mail', nameIn(line), conversation)
      },
      rcpt: (line, conversation) =>
        this.#answer(line.includes('other') ? 'rcpt' : recipient, nameIn(line), conversation),
      data: (_line, conversation) => this.#answer('data', nameIn(conversation.to[0] ?? ''), conversation),
      dot: end,
      bdat: end,
      write: (socket, reply) => this.#write(socket, reply),
    })
    return this.#server
  }

  /** Waits until every message has arrived as a whole. */
  async #fill(conversation: Conversation): Promise<void> {
    while (conversation.input.split(' LAST\r\n').length <= COUNT || !conversation.input.endsWith('end\r\n'))
      if (!(await conversation.more())) return
  }

  #answer(command: Command, name: string, { index }: Conversation): Answer {
    const honest = command === 'data' ? '354 go on' : '250 2.0.0 ok'
    const hit = !this.#said && index === 0 && command === this.#command && name === this.#name
    const toBoth = this.#after.startsWith('replies')
    const executed = !hit || toBoth || this.#after === 'goes on regardless'
    if (command === 'end' && executed) this.copies.set(name, (this.copies.get(name) ?? 0) + 1)
    if (!hit) return honest
    this.#said = true
    if (this.#after === 'closes at once') return (socket) => void socket.end(this.#reply)
    if (this.#after === 'resets the connection at once')
      return (socket) => void socket.write(this.#reply, () => socket.resetAndDestroy())
    this.#substitute = toBoth ? `${this.#reply}${honest}\r\n` : this.#reply
    return executed ? honest : '450 not executed'
  }

  #write(socket: Conversation['socket'], reply: string): void {
    const [first] = this.#server?.conversations ?? []
    if (first?.socket !== socket) {
      socket.write(reply)
      return
    }
    if (!this.#silent) socket.write(this.#substitute ?? reply)
    this.#substitute = undefined
    if (!this.#said || !this.#after.includes('those behind')) return
    this.#silent = this.#after.includes('accepts')
    // The server executes what has arrived even if it can no longer reply.
    if (this.#after === 'closes, and accepts those behind') socket.end()
    if (first.input !== '') return
    if (this.#after.includes('resets')) socket.resetAndDestroy()
    else socket.end()
  }
}

/** Sends a message as a queue does, until it is sent or refused for good. Returns the result of each attempt. */
async function deliver(sender: ReturnType<typeof senderTo>, index: number, to: string[]): Promise<string[]> {
  const results: string[] = []
  for (;;) {
    const sent = await send(sender, {
      from: `m${index}@acme.example`,
      to: to.map((name) => `m${index}${name}@example.com`),
      text: `m${index} end`,
    })
    const { result } = sent.outcome
    results.push(result)
    if (result === 'sent' || result === 'rejected') return results
    if (results.length > 10) throw new Error(`m${index} is never settled: ${results.join()}`)
  }
}

const MODES: [name: string, extensions: string[], commands: Command[]][] = [
  ['in chunks, four in flight', CHUNKS, ['rset', 'mail', 'rcpt', 'one rcpt', 'end']],
  ['pipelined', ['PIPELINING'], ['mail', 'rcpt', 'one rcpt', 'data', 'end']],
  ['step by step', [], ['mail', 'rcpt', 'one rcpt', 'data', 'end']],
]

describe.each(MODES)('a server with an unexpected reply, %s', (_, extensions, commands) => {
  const inChunks = extensions === CHUNKS

  /** Sends the messages at once. Checks that none is lost, and that only an uncertain one is sent twice. */
  async function check(command: Command, position: number, reply: string, after: After): Promise<void> {
    const unruly = new Unruly(command, position, reply, after)
    const server = await unruly.start(extensions)
    const sender = senderTo(server.port, inChunks ? { pipelineDepth: COUNT } : {}, 1)
    const to = command === 'one rcpt' ? ['', 'other'] : ['']
    const all = await Promise.all(Array.from({ length: COUNT }, (_each, index) => deliver(sender, index, to)))
    for (const [index, results] of all.entries()) {
      const copies = unruly.copies.get(`m${index}`) ?? 0
      const facts = `m${index} was ${results.join()}, and accepted ${copies} times; ${reply || 'no reply'} to m${position}`
      const last = results.at(-1)
      if (!results.includes('uncertain')) expect(copies, facts).toBe(last === 'sent' ? 1 : 0)
      else if (last === 'sent') expect(copies, facts).toBeGreaterThan(0)
      const answered = after === 'goes on' || after === 'closes after it answered those behind'
      const known = command !== 'rset' && answered && CLOSING.includes(reply)
      const ahead = index < position && !after.includes('resets')
      if (ahead || (inChunks && known && index > position)) expect(results, facts).toEqual(['sent'])
    }
  }

  it.each(commands.flatMap((command) => AFTER.map((after) => [command, after] as const)))(
    'neither loses a message nor sends one twice without a mark, at %s, if the server %s',
    async (command, after) => {
      for (const reply of REPLIES)
        for (let position = 0; position < COUNT; position++)
          if (!isLie(command, reply, after)) await check(command, position, reply, after)
    },
  )
})

describe('a server that answers 421 to a message in flight', () => {
  const CLOSES_LATE = 5_000

  it('and then nothing leaves those behind uncertain after a while', async () => {
    stopClock()
    const server = await ScriptedServer.start({
      extensions: CHUNKS,
      mail: async (line, conversation) => {
        if (!line.includes('m0')) return '250 ok'
        await conversation.until(() => conversation.input.split(' LAST\r\n').length > COUNT)
        return (socket) => void socket.write('421 4.3.2 closing\r\n')
      },
    })
    const sender = senderTo(server.port, { pipelineDepth: COUNT }, 2)
    const sending = Array.from({ length: COUNT + 1 }, (_, index) =>
      send(sender, { from: `m${index}@acme.example`, to: [`m${index}@example.com`] }),
    )
    // It goes to a second connection, because the first takes no more after the 421.
    expect((await sending.pop())?.outcome.result).toBe('sent')
    vi.advanceTimersByTime(CLOSES_LATE)
    const results = (await Promise.all(sending)).map(({ outcome }) => `${outcome.result} ${outcome.code}`)
    const late = 'uncertain REPLY_TIMEOUT'
    expect(results).toEqual(['deferred SMTP_DEFERRED', late, late, late])
  })

  it('gets no more of a long one, which is sent over another connection', async () => {
    const long = Buffer.from(`Subject: m1\r\n\r\n${`${'y'.repeat(76)}\r\n`.repeat(300_000)}`)
    const server = await ScriptedServer.start({
      extensions: CHUNKS,
      mail: async (line, conversation) => {
        if (conversation.index > 0 || !line.includes('m0')) return '250 ok'
        await conversation.until(() => conversation.input.includes('Subject: m1'))
        conversation.socket.pause()
        return '421 4.3.2 closing'
      },
    })
    const sender = senderTo(server.port, { pipelineDepth: 2 }, 1)
    const notes = new Notes()
    const [first, second] = await Promise.all([
      send(sender, { from: 'm0@acme.example' }),
      send(sender, { from: 'm1@acme.example', bytes: long, notes }),
    ])
    expect(first.outcome.result).toBe('deferred')
    expect(second.outcome.result).toBe('sent')
    expect(notes.phases).toContain('released')
    expect(server.messages.map(({ data }) => data.length)).toEqual([long.length])
  })
})

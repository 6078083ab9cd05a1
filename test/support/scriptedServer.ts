import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Acts of a scripted server in place of an answer. */
export const CLOSE = Symbol('close')
export const SILENCE = Symbol('silence')

/** A reply without its line end, several of them, or something worse. */
export type Answer = string | typeof CLOSE | typeof SILENCE | ((socket: Socket) => void)

/** Sends a byte every few milliseconds, for ever. */
export const drip: Answer = (socket) => {
  socket.write('250-')
  const timer = setInterval(() => socket.write('x'), 5)
  socket.on('close', () => clearInterval(timer))
}

/** The commands and mails that the server took on one connection. */
export class Conversation {
  readonly commands: string[] = []
  readonly messages: { from: string; to: string[]; data: string }[] = []
  /** Commands that were already there when the answer to an earlier one was still to be written. */
  ahead = 0
  /** The server said its last: it neither answers nor listens any more. */
  over = false
  from = ''
  to: string[] = []
  /** MAIL was accepted: the next MAIL is refused unless a message or RSET comes first. */
  open = false
  /** The text that was received and not looked at yet. */
  input = ''
  #wake: (() => void) | undefined

  constructor(
    readonly socket: Socket,
    /** Counted from 0. */
    readonly index: number,
  ) {
    socket.on('data', (chunk) => {
      this.input += chunk.toString('latin1')
      this.#wake?.()
    })
    socket.on('close', () => this.#wake?.())
  }

  /** Waits for more input. False once the connection is closed. */
  async more(): Promise<boolean> {
    if (!this.socket.destroyed) await new Promise<void>((resolve) => (this.#wake = resolve))
    return !this.socket.destroyed
  }

  /** Waits until the input satisfies a condition. False if the connection is closed before: a loop over `more()` would never end then. */
  async until(condition: () => boolean): Promise<boolean> {
    while (!condition()) if (!(await this.more())) return false
    return true
  }

  /** How many messages were handed over here before. */
  get turn(): number {
    return this.messages.length
  }
}

export type Reaction = (line: string, conversation: Conversation) => Answer | Promise<Answer>

/** Answers in place of those of an honest server, which takes everything. */
export interface Script {
  /** @default PIPELINING, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES */
  extensions?: string[]
  greeting?: Reaction
  ehlo?: Reaction
  starttls?: Reaction
  auth?: Reaction
  mail?: Reaction
  rcpt?: Reaction
  data?: Reaction
  /** Called with each chunk of a message; may close. */
  body?: (conversation: Conversation, bytes: number) => void
  dot?: Reaction
  /** The reply to a last BDAT chunk, which was read. */
  bdat?: Reaction
  rset?: Reaction
  quit?: Reaction
  /** Writes a reply, line end included. */
  write?: (socket: Socket, reply: string) => void | Promise<void>
}

const EXTENSIONS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES']

/** An SMTP server on a bare socket that does what its script says, and keeps a record of its own. */
export class ScriptedServer {
  readonly conversations: Conversation[] = []
  readonly #server: Server
  readonly #script: Script

  private constructor(script: Script) {
    this.#script = script
    this.#server = createServer((socket) => void this.#converse(socket))
  }

  /** Closed when the test ends. */
  static async start(script: Script = {}, port = 0): Promise<ScriptedServer> {
    const server = new ScriptedServer(script)
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve))
    onTestFinished(() => server.close())
    return server
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Messages the server was given up to their final dot, whatever it answered. */
  get messages(): Conversation['messages'] {
    return this.conversations.flatMap(({ messages }) => messages)
  }

  async close(): Promise<void> {
    for (const { socket } of this.conversations) socket.destroy()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  async #converse(socket: Socket): Promise<void> {
    const conversation = new Conversation(socket, this.conversations.length)
    this.conversations.push(conversation)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    await this.#answer(conversation, this.#script.greeting, '', '220 scripted ESMTP')
    while (!conversation.over) {
      let end: number
      while ((end = conversation.input.indexOf('\r\n')) < 0) if (!(await conversation.more())) return
      const line = conversation.input.slice(0, end)
      conversation.input = conversation.input.slice(end + 2)
      conversation.commands.push(line)
      if (conversation.input !== '') conversation.ahead++
      if ((await this.#obey(conversation, line)) !== 'data') continue

      conversation.input = `\r\n${conversation.input}`
      while ((end = conversation.input.indexOf('\r\n.\r\n')) < 0) {
        this.#script.body?.(conversation, conversation.input.length)
        if (!(await conversation.more())) return
      }
      const data = conversation.input.slice(2, end + 2).replace(/(^|\r\n)\.\./g, '$1.')
      conversation.input = conversation.input.slice(end + 5)
      conversation.messages.push({ from: conversation.from, to: conversation.to, data })
      conversation.commands.push('.')
      conversation.to = []
      conversation.open = false
      await this.#answer(conversation, this.#script.dot, '.', '250 2.0.0 taken')
    }
  }

  async #obey(conversation: Conversation, line: string): Promise<'data' | undefined> {
    const script = this.#script
    const verb = line.slice(0, 4).toUpperCase()
    switch (verb) {
      case 'EHLO': {
        const lines = ['scripted', ...(script.extensions ?? EXTENSIONS)]
        const reply = lines.map((each, index) => `250${index === lines.length - 1 ? ' ' : '-'}${each}`)
        await this.#answer(conversation, script.ehlo, line, reply.join('\r\n'))
        return undefined
      }
      case 'HELO':
        await this.#answer(conversation, script.ehlo, line, '250 scripted')
        return undefined
      case 'STAR':
        await this.#answer(conversation, script.starttls, line, '454 4.7.0 not now')
        return undefined
      case 'AUTH':
        await this.#answer(conversation, script.auth, line, '235 2.7.0 welcome')
        return undefined
      case 'MAIL': {
        const honest = conversation.open ? '503 5.5.1 nested MAIL' : '250 2.1.0 ok'
        conversation.from = /<(.*?)>/.exec(line)?.[1] ?? ''
        conversation.to = []
        const reply = await this.#answer(conversation, script.mail, line, honest)
        conversation.open = reply.startsWith('2')
        return undefined
      }
      case 'RCPT': {
        const honest = conversation.open ? '250 2.1.5 ok' : '503 5.5.1 MAIL first'
        const reply = await this.#answer(
          conversation,
          conversation.open ? script.rcpt : undefined,
          line,
          honest,
        )
        if (reply.startsWith('2')) conversation.to = [...conversation.to, /<(.*?)>/.exec(line)?.[1] ?? '']
        return undefined
      }
      case 'DATA': {
        const honest = conversation.to.length > 0 ? '354 go on' : '554 5.5.1 no valid recipients'
        const reply = await this.#answer(conversation, script.data, line, honest)
        return reply.startsWith('354') ? 'data' : undefined
      }
      case 'BDAT': {
        const size = Number(line.split(' ')[1])
        while (conversation.input.length < size) {
          script.body?.(conversation, conversation.input.length)
          if (!(await conversation.more())) return undefined
        }
        const data = conversation.input.slice(0, size)
        conversation.input = conversation.input.slice(size)
        const { from, to } = conversation
        if (to.length > 0) conversation.messages.push({ from, to, data })
        const honest = to.length > 0 ? '250 2.0.0 taken' : '554 5.5.1 no valid recipients'
        const reply = await this.#answer(conversation, to.length > 0 ? script.bdat : undefined, line, honest)
        if (reply.startsWith('2')) {
          conversation.to = []
          conversation.open = false
        }
        return undefined
      }
      case 'RSET':
        conversation.to = []
        conversation.open = false
        await this.#answer(conversation, script.rset, line, '250 2.0.0 ok')
        return undefined
      case 'QUIT':
        await this.#answer(conversation, script.quit, line, '221 2.0.0 bye')
        conversation.socket.end()
        return undefined
      default:
        await this.#answer(conversation, undefined, line, '500 5.5.2 what?')
        return undefined
    }
  }

  /** The reply that was written, or nothing. */
  async #answer(
    conversation: Conversation,
    reaction: Reaction | undefined,
    line: string,
    honest: string,
  ): Promise<string> {
    const answer = (await reaction?.(line, conversation)) ?? honest
    if (typeof answer === 'string') {
      const text = `${answer}\r\n`
      if (this.#script.write === undefined) conversation.socket.write(text)
      else await this.#script.write(conversation.socket, text)
      return answer
    }
    conversation.over = true
    if (answer === CLOSE) conversation.socket.destroy()
    else if (answer !== SILENCE) answer(conversation.socket)
    return ''
  }
}

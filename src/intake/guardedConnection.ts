import type { Socket } from 'node:net'
import type { SMTPServer } from 'smtp-server'
import { acceptUnusualPaths } from '../protocol/smtpPaths.js'
import type { SmtpIntakeLimits } from './smtpIntakeOptions.js'

export type Connection = SMTPServer['connections'] extends Set<infer C> ? C : never
type Parser = Exclude<Connection['_parser'], false>

const STARTS_WITH_ENHANCED_CODE = /^[245]\.\d{1,3}\.\d{1,3} /
const CR = 0x0d
const LF = 0x0a

/**
 * Bounds what a client can do on a connection, where the smtp-server package doesn't:
 *
 * - A command must be complete in time, and so must a message. The package's idle timeout starts anew with each octet.
 * - AUTH is refused within a transaction (RFC 4954 section 4): the sender was checked without the user's rights.
 * - Between two messages, a client gives a limited number of commands.
 * - A command ends with CRLF. The package also accepts LF, and CR within a command.
 * - A connection without messages ends when the server closes.
 */
export class GuardedConnection {
  readonly address: string
  readonly #connection: Connection
  readonly #limits: Required<SmtpIntakeLimits>
  #timer: NodeJS.Timeout | undefined
  #commands = 0
  #failedLogins = 0
  #receiving = false
  #closing = false

  constructor(connection: Connection, socket: Socket, limits: Required<SmtpIntakeLimits>) {
    this.#connection = connection
    this.#limits = limits
    this.address = connection.remoteAddress
    this.#replyWithOwnCodes()
    acceptUnusualPaths(connection)
    this.#countCommands()
    this.#requireLineEnds()
    socket.once('close', () => clearTimeout(this.#timer))
    this.#expect(limits.command)
    // smtp-server delays its greeting by 100 ms to detect spammers that talk early. This server knows its clients.
    connection.connectionReady()
    connection.connectionReady = () => undefined
  }

  /** The client named a recipient, which is accepted. */
  recipientAccepted(): void {
    this.#commands--
  }

  /** @returns whether the connection may try again */
  loginFailed(): boolean {
    return ++this.#failedLogins < 3
  }

  /** A message begins. */
  messageStarted(): void {
    this.#receiving = true
    this.#expect(this.#limits.transfer)
  }

  /** The message is here; the client waits for the server now. */
  messageReceived(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** The message was answered. */
  messageAnswered(): void {
    this.#receiving = false
    this.#commands = 0
    this.#expect(this.#limits.command)
    // The reply is written first.
    if (this.#closing) setImmediate(() => this.end(421, '4.3.2 The server is shutting down'))
  }

  /** Ends the connection, after the message in progress. */
  closeGently(): void {
    this.#closing = true
    if (!this.#receiving) this.end(421, '4.3.2 The server is shutting down')
  }

  /** Replies and closes the connection. */
  end(code: number, text: string): void {
    clearTimeout(this.#timer)
    this.#connection.send(code, text)
    this.#connection.close()
  }

  #expect(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.end(421, '4.4.2 Timeout, closing the connection'), ms)
    this.#timer.unref()
  }

  /** smtp-server adds an enhanced status code to every reply, even if the text already has one. */
  #replyWithOwnCodes(): void {
    const connection = this.#connection
    const send = connection.send.bind(connection)
    connection.send = (code, text, context) =>
      send(code, text, typeof text === 'string' && STARTS_WITH_ENHANCED_CODE.test(text) ? false : context)
  }

  #countCommands(): void {
    const connection = this.#connection
    const handle = connection._onCommand.bind(connection)
    connection._onCommand = (command, callback) => {
      if (!this.#receiving) this.#expect(this.#limits.command)
      if (++this.#commands > this.#limits.commands) this.end(421, '4.7.0 Too many commands without a message')
      else if (/^AUTH(?: |$)/i.test(command.toString()) && connection.session.envelope.mailFrom !== false) {
        connection.send(503, '5.5.1 AUTH is not allowed within a transaction; send RSET first')
        callback?.()
      } else handle(command, callback)
    }
  }

  #requireLineEnds(): void {
    const connection = this.#connection
    const create = connection._createParser.bind(connection)
    if (connection._parser !== false) this.#guard(connection._parser)
    // The TLS session after STARTTLS has a parser of its own.
    connection._createParser = () => this.#guard(create())
  }

  #guard(parser: Parser): Parser {
    const write = parser._write.bind(parser)
    let last = 0
    parser._write = (chunk: Buffer, encoding, next) => {
      // Octets that follow a message in the same chunk come here again, when they are read as commands.
      if (!parser._dataMode) {
        for (const octet of chunk) {
          if ((octet === LF) !== (last === CR)) {
            this.end(500, '5.5.2 Commands must end with CRLF (RFC 5321 section 2.3.8)')
            return
          }
          last = octet
        }
      } else last = 0
      write(chunk, encoding, next)
    }
    return parser
  }
}

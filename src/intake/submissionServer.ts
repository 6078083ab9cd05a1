import type { AddressInfo, Socket } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import { clientNetwork } from '../web/clientNetwork.js'
import { ReceivingMemory } from './clientLimits.js'
import { GuardedConnection } from './guardedConnection.js'
import { OctetCollector } from './octetCollector.js'
import type { ResolvedSmtpIntake } from './smtpIntakeOptions.js'
import { isRefusal, refusal, type SmtpRefusal, toCallbackError } from './smtpReply.js'
import { type Submitter, SubmissionPolicy } from './submissionPolicy.js'
import type { CollectedMessage } from './submittedMessage.js'
import { mailDate, type TraceSource } from './traceFields.js'

/** A message as it was received, with its envelope. */
export interface ReceivedSubmission {
  message: CollectedMessage
  from: string
  to: string[]
  /** Whether it is for the bounce address, and not to be relayed. */
  isReport: boolean
  submitter: Submitter
  source: TraceSource
}

/** Takes a message over. @returns the text of the reply 250, or a refusal */
export type SubmissionHandler = (
  submission: ReceivedSubmission,
  policy: SubmissionPolicy,
) => Promise<string | SmtpRefusal>

type Done<T = unknown> = (error: Error | null, value?: T) => void

/** A client may send this many times the allowed size and is told that its message is too large; then the connection ends. */
const PATIENCE = 4

/** A server that reports: it may write to the bounce address, and to no other. */
const REPORTER: Submitter = { senders: [], recipients: [] }

/** The SMTP server: sessions, limits, and who may send what. The protocol itself is the smtp-server package's. */
export class SubmissionServer {
  readonly #settings: ResolvedSmtpIntake
  readonly #policy: SubmissionPolicy
  readonly #handler: SubmissionHandler
  readonly #memory: ReceivingMemory
  readonly #server: SMTPServer
  readonly #sockets = new Set<Socket>()
  readonly #connections = new Map<string, GuardedConnection>()
  readonly #byAddress = new Map<string, number>()
  #admitted = 0
  #closed = false

  constructor(settings: ResolvedSmtpIntake, handler: SubmissionHandler) {
    const { tls, users, limits, size, name, bounces } = settings
    this.#settings = settings
    this.#handler = handler
    this.#policy = new SubmissionPolicy(settings)
    this.#memory = new ReceivingMemory(limits.memory, size)
    this.#server = new SMTPServer({
      name,
      banner: 'threadpost',
      size,
      rejectOversized: true,
      maxRecipients: limits.recipients,
      maxClients: limits.connections,
      socketTimeout: limits.command,
      disableReverseLookup: true,
      hideENHANCEDSTATUSCODES: false,
      logger: false,
      ...(tls === undefined ? {} : { key: tls.key, cert: tls.cert, secure: tls.implicit }),
      allowInsecureAuth: tls === undefined,
      disabledCommands: [
        ...['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'],
        ...(users === undefined ? ['AUTH'] : []),
        ...(tls === undefined || tls.implicit ? ['STARTTLS'] : []),
      ],
      onAuth: ({ username = '', password }, session, done) =>
        this.#logIn(username, password ?? '', session, done),
      // Anyone may send reports; the policy then asks for a login where another recipient is named.
      authOptional: bounces !== undefined,
      onMailFrom: ({ address }, session, done) => {
        const utf8 = session.envelope.smtpUtf8 === true
        const refused = this.#policy.refusedSender(this.#submitterOf(session), address, utf8)
        done(refused && toCallbackError(refused))
      },
      onRcptTo: ({ address }, session, done) => {
        const submitter = this.#submitterOf(session)
        const refused = this.#policy.refusedRecipient(submitter, address, session.envelope)
        if (refused === undefined) this.#connections.get(session.id)?.recipientAccepted()
        done(refused && toCallbackError(refused))
      },
      onData: (stream, session, done) => this.#receive(stream, session, done),
    })
    // The package guards connections before their TLS handshake, but counts them apart, and not by client.
    const guard = this.#server._acceptSocket.bind(this.#server)
    this.#server._acceptSocket = (socket, handshake) =>
      this.#admit(socket, handshake) && guard(socket, handshake)
    const connect = this.#server.connect.bind(this.#server)
    this.#server.connect = (socket, options) => this.#accept(socket, () => connect(socket, options))
    // An error on one connection affects only its client.
    this.#server.on('error', () => undefined)
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.size
  }

  listen(): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      const { server } = this.#server
      server.once('error', reject)
      server.listen(this.#settings.port, this.#settings.host, () => {
        server.off('error', reject)
        resolve(server.address() as AddressInfo)
      })
    })
  }

  /** Stops listening, and ends each connection after its message in progress. */
  close(deadline: number): Promise<void> {
    this.#closed = true
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, deadline)
    // Later than the deadline, at which sockets are destroyed.
    this.#server.options.closeTimeout = deadline + 1_000
    return new Promise((resolve) => {
      // Ends connections in their TLS handshake, too.
      this.#server.close(() => {
        clearTimeout(timer)
        resolve()
      })
      for (const connection of this.#connections.values()) connection.closeGently()
    })
  }

  /** Counts a connection, unless there are too many. */
  #admit(socket: Socket, handshake: boolean): boolean {
    const { connections, connectionsPerClient } = this.#settings.limits
    const address = socket.remoteAddress && clientNetwork(socket.remoteAddress)
    const open = address === undefined ? 0 : (this.#byAddress.get(address) ?? 0)
    if (address === undefined || open >= connectionsPerClient || this.#admitted >= connections) {
      socket.on('error', () => undefined)
      if (handshake) socket.destroy()
      else socket.end('421 4.7.0 Too many connections, try again later\r\n', () => socket.destroy())
      return false
    }
    this.#admitted++
    this.#byAddress.set(address, open + 1)
    socket.once('close', () => {
      this.#admitted--
      const left = (this.#byAddress.get(address) ?? 1) - 1
      if (left === 0) this.#byAddress.delete(address)
      else this.#byAddress.set(address, left)
    })
    return true
  }

  #accept(socket: Socket, connect: () => void): void {
    socket.on('error', () => undefined)
    // The client left before, or the server stopped listening meanwhile.
    if (this.#closed || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    connect()
    const { limits } = this.#settings
    const connection = [...this.#server.connections].at(-1)
    if (connection === undefined) return
    this.#connections.set(connection.id, new GuardedConnection(connection, socket, limits))
    socket.once('close', () => this.#connections.delete(connection.id))
  }

  #submitterOf(session: SMTPServerSession): Submitter | undefined {
    return (session.user as Submitter | undefined) ?? this.#policy.anonymous(session.remoteAddress)
  }

  #logIn(name: string, pass: string, session: SMTPServerSession, done: Done<{ user: Submitter }>): void {
    const result = this.#policy.logIn(name, pass, session.remoteAddress)
    if (!isRefusal(result)) {
      done(null, { user: result })
      return
    }
    this.#settings.logger.warn(
      { client: session.remoteAddress, user: name.slice(0, 100) },
      'SMTP login refused',
    )
    const again = this.#connections.get(session.id)?.loginFailed() ?? false
    done(toCallbackError(again ? result : { ...result, refused: 421, enhanced: '4.7.0' }))
  }

  #receive(stream: SMTPServerDataStream, session: SMTPServerSession, done: Done<string>): void {
    const connection = this.#connections.get(session.id)
    const { from, to, size } = envelopeOf(session)
    const isReport = to.some((address) => this.#policy.isBounceAddress(address))
    const submitter = this.#submitterOf(session) ?? (isReport ? REPORTER : undefined)
    if (connection === undefined || submitter === undefined) {
      done(toCallbackError(refusal(530, '5.7.0', 'Authentication is required')))
      return
    }
    connection.messageStarted()
    const client = submitter.user ?? clientNetwork(session.remoteAddress)
    const collector = new OctetCollector(size, this.#settings.size)
    let taken = 0
    let full = false
    const free = () => {
      this.#memory.give(client, taken)
      taken = 0
      collector.clear()
    }
    const answer = (result: string | SmtpRefusal) => {
      free()
      if (typeof result === 'string') done(null, result)
      else {
        this.#logRefusal(result, session, submitter)
        done(toCallbackError(result))
      }
      connection.messageAnswered()
    }
    stream.on('error', free)
    stream.on('close', () => {
      // Nothing is left to answer if the client went away in the middle of its message.
      if (!stream.readableEnded) free()
    })
    stream.on('data', (chunk: Buffer) => {
      if (full || stream.sizeExceeded) {
        free()
        if (stream.byteLength > PATIENCE * this.#settings.size)
          connection.end(421, `5.3.4 The message is larger than ${this.#settings.size} bytes`)
        return
      }
      if (this.#memory.take(client, chunk.length)) {
        taken += chunk.length
        full = !collector.add(chunk)
      } else full = true
      if (full) free()
    })
    stream.on('end', () => {
      connection.messageReceived()
      // smtp-server replies with 552 itself.
      if (stream.sizeExceeded) answer('')
      else if (full) answer(refusal(452, '4.3.1', 'Too many messages are being received, try again later'))
      else {
        const submission: ReceivedSubmission = {
          message: collector.take(),
          from,
          to,
          isReport,
          submitter,
          source: this.#sourceOf(session),
        }
        void this.#handler(submission, this.#policy).then(answer)
      }
    })
  }

  #sourceOf({
    hostNameAppearsAs,
    remoteAddress,
    transmissionType,
    envelope,
    id,
    transaction,
  }: SMTPServerSession): TraceSource {
    return {
      greeting: hostNameAppearsAs,
      address: remoteAddress,
      server: this.#settings.name,
      protocol: envelope.smtpUtf8 === true ? `UTF8${transmissionType.replace(/^E/, '')}` : transmissionType,
      id: `${id}.${transaction}`,
      date: mailDate(new Date()),
    }
  }

  #logRefusal(
    { refused, enhanced, text }: SmtpRefusal,
    session: SMTPServerSession,
    { user }: Submitter,
  ): void {
    this.#settings.logger.warn(
      {
        client: session.remoteAddress,
        ...(user === undefined ? {} : { user }),
        reply: refused,
        enhanced,
        reason: text,
      },
      'SMTP message refused',
    )
  }
}

/** The envelope, and the length of the message if the client states it (RFC 1870). */
function envelopeOf({ envelope: { mailFrom, rcptTo } }: SMTPServerSession) {
  const { address = '', args = false } = mailFrom === false ? {} : mailFrom
  const size = args === false ? 0 : Number(args['SIZE']) || 0
  return { from: address, to: rcptTo.map(({ address }) => address), size }
}

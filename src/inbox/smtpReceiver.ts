import type { AddressInfo, Socket } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import { injectFault, type FaultTarget } from './faultInjector.js'
import type { FaultPlan, FaultStep } from './faults.js'
import type { InboxEnvelope, RawMail } from './mailStore.js'

/** What one client did on one connection. */
export interface Visit {
  id: number
  /** ISO 8601. */
  openedAt: string
  /** Absent while the connection is open. */
  closedAt?: string
  /** The commands as they arrived, without credentials; at most the first 1,000. */
  commands: string[]
  /** MAIL commands that arrived. */
  transactions: number
  /** Messages that were kept. */
  messages: number
  /** Whether the client said QUIT. */
  quit: boolean
}

const COMMANDS_KEPT = 1000

/** The guest book: the last connections, newest last. */
export class VisitLog {
  readonly #limit: number
  #visits: Visit[] = []
  #count = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  open(): Visit {
    const visit: Visit = {
      id: ++this.#count,
      openedAt: new Date().toISOString(),
      commands: [],
      transactions: 0,
      messages: 0,
      quit: false,
    }
    this.#visits.push(visit)
    if (this.#visits.length > this.#limit) this.#visits.shift()
    return visit
  }

  list(): Visit[] {
    return this.#visits.map((visit) => ({ ...visit, commands: [...visit.commands] }))
  }

  clear(): void {
    this.#visits = []
  }
}

function recordCommand(visit: Visit, verb: string, line: string): void {
  if (verb === 'MAIL') visit.transactions++
  if (verb === 'QUIT') visit.quit = true
  if (visit.commands.length < COMMANDS_KEPT) visit.commands.push(verb === 'AUTH' ? 'AUTH …' : line)
}

export type SmtpExtension = 'PIPELINING' | '8BITMIME' | 'SMTPUTF8' | 'ENHANCEDSTATUSCODES'

export interface SmtpSettings {
  /** Bytes of one message. */
  size: number
  auth?: { user: string; pass: string }
  without: readonly SmtpExtension[]
}

type Connection = SMTPServer['connections'] extends Set<infer C> ? C : never

interface Peer {
  socket: Socket
  connection: Connection
  visit: Visit
}

const COMMANDS = [
  'EHLO',
  'HELO',
  'AUTH',
  'MAIL',
  'RCPT',
  'DATA',
  'RSET',
  'NOOP',
  'VRFY',
  'HELP',
  'QUIT',
] as const

const STEP_OF: Partial<Record<(typeof COMMANDS)[number], FaultStep>> = {
  EHLO: 'helo',
  HELO: 'helo',
  AUTH: 'auth',
  MAIL: 'mail',
  RCPT: 'rcpt',
  DATA: 'data',
}

const STARTS_WITH_ENHANCED_CODE = /^[245]\.\d{1,3}\.\d{1,3} /

/** npm's smtp-server, made to commit faults and to write down what its clients do. */
export class SmtpReceiver {
  readonly #server: SMTPServer
  readonly #plan: FaultPlan
  readonly #visits: VisitLog
  readonly #keep: (envelope: InboxEnvelope, raw: Uint8Array) => RawMail
  readonly #sockets = new Set<Socket>()
  readonly #peers = new Map<string, Peer>()
  #closed = false

  constructor(
    settings: SmtpSettings,
    plan: FaultPlan,
    visits: VisitLog,
    keep: (envelope: InboxEnvelope, raw: Uint8Array) => RawMail,
  ) {
    this.#plan = plan
    this.#visits = visits
    this.#keep = keep
    const { auth, without } = settings
    this.#server = new SMTPServer({
      name: 'localhost',
      banner: 'threadpost inbox',
      size: settings.size,
      rejectOversized: true,
      disabledCommands: auth === undefined ? ['AUTH', 'STARTTLS'] : ['STARTTLS'],
      allowInsecureAuth: true,
      maxAllowedUnauthenticatedCommands: false,
      disableReverseLookup: true,
      logger: false,
      hidePIPELINING: without.includes('PIPELINING'),
      hide8BITMIME: without.includes('8BITMIME'),
      hideSMTPUTF8: without.includes('SMTPUTF8'),
      hideENHANCEDSTATUSCODES: without.includes('ENHANCEDSTATUSCODES'),
      onAuth: ({ username, password }, _session, callback) => {
        if (auth !== undefined && username === auth.user && password === auth.pass)
          callback(null, { user: auth.user })
        else callback(Object.assign(new Error('Wrong user name or password'), { responseCode: 535 }))
      },
      onData: (stream, session, callback) => this.#receive(stream, session, callback),
    })
    const connect = this.#server.connect.bind(this.#server)
    this.#server.connect = (socket, options) => this.#welcome(socket, () => connect(socket, options))
    // What goes wrong on one connection is between it and its client.
    this.#server.on('error', () => undefined)
  }

  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      const { server } = this.#server
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        resolve(server.address() as AddressInfo)
      })
    })
  }

  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }

  #welcome(socket: Socket, connect: () => void): void {
    // It was accepted already when the server stopped listening, which would wait for it for ever.
    if (this.#closed) {
      socket.destroy()
      return
    }
    const visit = this.#visits.open()
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      visit.closedAt = new Date().toISOString()
    })
    socket.setNoDelay(true)
    const stranger: FaultTarget = {
      socket,
      reply: (code, text) => socket.end(`${code} ${text}\r\n`),
    }
    injectFault(this.#plan.take('connect'), stranger, () =>
      injectFault(this.#plan.take('greeting'), stranger, () => {
        connect()
        this.#attend(socket, visit)
      }),
    )
  }

  /** Puts the faults in front of the command handlers of the connection that smtp-server just made. */
  #attend(socket: Socket, visit: Visit): void {
    const connection = [...this.#server.connections].at(-1)
    if (connection === undefined) return
    const peer: Peer = { socket, connection, visit }
    this.#peers.set(connection.id, peer)
    socket.once('close', () => this.#peers.delete(connection.id))

    // smtp-server puts an enhanced code before every text, also where the text brings its own.
    const send = connection.send.bind(connection)
    connection.send = (code, text, context) =>
      send(code, text, typeof text === 'string' && STARTS_WITH_ENHANCED_CODE.test(text) ? false : context)

    for (const verb of COMMANDS) this.#intercept(peer, verb)

    // It waits 100 ms before its greeting to catch spammers who talk too soon. Nobody here does.
    connection.connectionReady()
    connection.connectionReady = () => undefined
  }

  #intercept({ connection, socket, visit }: Peer, verb: (typeof COMMANDS)[number]): void {
    const handle = connection[`handler_${verb}`].bind(connection)
    const step = STEP_OF[verb]
    connection[`handler_${verb}`] = (command, done) => {
      const line = command.toString()
      recordCommand(visit, verb, line)
      if (step === undefined) {
        handle(command, done)
        return
      }
      const to = verb === 'RCPT' ? [/<([^>]*)>/.exec(line)?.[1] ?? ''] : recipientsOf(connection.session)
      const victim: FaultTarget = {
        socket,
        reply: (code, text) => {
          connection.send(code, text, false)
          done()
        },
      }
      injectFault(this.#plan.take(step, to), victim, () => handle(command, done))
    }
  }

  #receive(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    done: (error: Error | null, message?: string) => void,
  ): void {
    const peer = this.#peers.get(session.id)
    stream.on('error', () => undefined)
    if (peer === undefined) return
    const { socket, visit } = peer
    const { mailFrom } = session.envelope
    const envelope = { from: mailFrom === false ? '' : mailFrom.address, to: recipientsOf(session) }
    const mishap = this.#plan.take('dot', envelope.to)
    if (mishap.fault?.do === 'close-before') {
      const cut = () => injectFault(mishap, { socket, reply: () => undefined }, () => undefined)
      stream.once('data', cut).once('end', cut)
      return
    }

    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => {
      if (stream.sizeExceeded) chunks.length = 0
      else chunks.push(chunk)
    })
    stream.on('end', () => {
      if (stream.sizeExceeded) {
        done(null) // answered with 552 by smtp-server
        return
      }
      const keep = () => {
        visit.messages++
        return this.#keep(envelope, Buffer.concat(chunks))
      }
      const victim: FaultTarget = {
        socket,
        reply: (code, text) => done(Object.assign(new Error(text), { responseCode: code })),
        keep,
      }
      injectFault(mishap, victim, () => done(null, `OK, kept as ${keep().id}`))
    })
  }
}

function recipientsOf(session: SMTPServerSession): string[] {
  return session.envelope.rcptTo.map(({ address }) => address)
}

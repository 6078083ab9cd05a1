import type { AddressInfo, Socket } from 'node:net'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import { acceptUnusualPaths } from '../protocol/smtpPaths.js'
import { injectFault, type FaultTarget } from './faultInjector.js'
import type { FaultPlan, FaultStep } from './faults.js'
import type { InboxEnvelope, RawMail } from './mailStore.js'

/** The record of one connection. */
export interface Visit {
  id: number
  /** ISO 8601. */
  openedAt: string
  /** Absent while the connection is open. */
  closedAt?: string
  /** The commands as received, without credentials; at most the first 1,000. */
  commands: string[]
  /** Number of MAIL commands. */
  transactions: number
  /** Number of messages kept. */
  messages: number
  /** Whether the client sent QUIT. */
  quit: boolean
}

const MAX_COMMANDS = 1000

/** The last connections, newest last. */
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
  if (visit.commands.length < MAX_COMMANDS) visit.commands.push(verb === 'AUTH' ? 'AUTH …' : line)
}

export type SmtpExtension = 'PIPELINING' | '8BITMIME' | 'SMTPUTF8' | 'ENHANCEDSTATUSCODES'

export interface SmtpSettings {
  /** Maximum bytes of one message. */
  size: number
  auth?: { user: string; pass: string }
  without: readonly SmtpExtension[]
}

type Connection = SMTPServer['connections'] extends Set<infer C> ? C : never

interface Client {
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

/** Wraps the smtp-server package: simulates faults and records the commands of each client. */
export class SmtpReceiver {
  readonly #server: SMTPServer
  readonly #plan: FaultPlan
  readonly #visits: VisitLog
  readonly #keep: (envelope: InboxEnvelope, raw: Uint8Array) => RawMail
  readonly #sockets = new Set<Socket>()
  readonly #clients = new Map<string, Client>()
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
    this.#server.connect = (socket, options) => this.#accept(socket, () => connect(socket, options))
    // An error on one connection affects only its client.
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

  #accept(socket: Socket, connect: () => void): void {
    // The connection was accepted before the server stopped listening; `close()` would wait for it forever.
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
    const target: FaultTarget = {
      socket,
      reply: (code, text) => socket.end(`${code} ${text}\r\n`),
    }
    injectFault(this.#plan.take('connect'), target, () =>
      injectFault(this.#plan.take('greeting'), target, () => {
        connect()
        this.#addSession(socket, visit)
      }),
    )
  }

  /** Wraps the command handlers of the connection that smtp-server just created, so that faults come first. */
  #addSession(socket: Socket, visit: Visit): void {
    const connection = [...this.#server.connections].at(-1)
    if (connection === undefined) return
    const client: Client = { socket, connection, visit }
    this.#clients.set(connection.id, client)
    socket.once('close', () => this.#clients.delete(connection.id))

    // smtp-server adds an enhanced status code to every reply, even if the text already has one.
    const send = connection.send.bind(connection)
    connection.send = (code, text, context) =>
      send(code, text, typeof text === 'string' && STARTS_WITH_ENHANCED_CODE.test(text) ? false : context)

    acceptUnusualPaths(connection)
    for (const verb of COMMANDS) this.#intercept(client, verb)

    // smtp-server delays its greeting by 100 ms to detect clients that talk early. The inbox doesn't need that.
    connection.connectionReady()
    connection.connectionReady = () => undefined
  }

  #intercept({ connection, socket, visit }: Client, verb: (typeof COMMANDS)[number]): void {
    const handle = connection[`handler_${verb}`].bind(connection)
    const step = STEP_OF[verb]
    connection[`handler_${verb}`] = (command, done) => {
      const line = command.toString()
      recordCommand(visit, verb, line)
      if (step === undefined) {
        handle(command, done)
        return
      }
      const to = verb === 'RCPT' ? [/<([^<>]*)>/.exec(line)?.[1] ?? ''] : recipientsOf(connection.session)
      const target: FaultTarget = {
        socket,
        reply: (code, text) => {
          connection.send(code, text, false)
          done()
        },
      }
      injectFault(this.#plan.take(step, to), target, () => handle(command, done))
    }
  }

  #receive(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    done: (error: Error | null, message?: string) => void,
  ): void {
    const client = this.#clients.get(session.id)
    stream.on('error', () => undefined)
    if (client === undefined) return
    const { socket, visit } = client
    const { mailFrom } = session.envelope
    const envelope = { from: mailFrom === false ? '' : mailFrom.address, to: recipientsOf(session) }
    const effect = this.#plan.take('dot', envelope.to)
    if (effect.fault?.do === 'close-before') {
      const cut = () => injectFault(effect, { socket, reply: () => undefined }, () => undefined)
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
        done(null) // smtp-server replies with 552
        return
      }
      const keep = () => {
        visit.messages++
        return this.#keep(envelope, Buffer.concat(chunks))
      }
      const target: FaultTarget = {
        socket,
        reply: (code, text) => done(Object.assign(new Error(text), { responseCode: code })),
        keep,
      }
      injectFault(effect, target, () => done(null, `OK, kept as ${keep().id}`))
    })
  }
}

function recipientsOf(session: SMTPServerSession): string[] {
  return session.envelope.rcptTo.map(({ address }) => address)
}

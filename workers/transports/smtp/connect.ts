import { isIPv6, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type {
  RouteReport,
  SmtpTransport,
  TlsReport,
  TransportReport,
} from '../../../src/protocol/transportConfig.js'
import type { ConnectionFailure } from '../sendResults.js'
import { LONGEST_TIMER } from './deadlineTimer.js'
import { ehloNameFor } from './ehloName.js'
import { openSocket } from './openSocket.js'
import { SmtpLogin } from './smtpLogin.js'

/** The service extensions that the server offers in its reply to the last EHLO (RFC 5321 section 4.1.1.1). */
export interface Extensions {
  /** RFC 2920. */
  pipelining: boolean
  /** RFC 3030. */
  chunking: boolean
  /** RFC 6152. */
  eightBitMime: boolean
  /** RFC 6531. */
  smtpUtf8: boolean
  /** RFC 3461. */
  dsn: boolean
  /** RFC 1870. */
  size: boolean
  /** Largest message the server accepts, in octets; 0 if it doesn't say. */
  maxSize: number
  /** The EHLO keywords with their parameters, in upper case. */
  keywords: string[]
}

/** @param reply the complete reply to EHLO, or to HELO, which offers no extensions */
function parseExtensions(reply: string): Extensions {
  const lines = reply
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.slice(4).trim().toUpperCase())
    .filter((line) => line !== '')
  const has = (keyword: string): boolean =>
    lines.some((line) => line === keyword || line.startsWith(`${keyword} `))
  const maxSize = Number(
    lines.map((line) => /^SIZE +(\d{1,15})$/.exec(line)?.[1]).find((digits) => digits !== undefined) ?? 0,
  )
  return {
    pipelining: has('PIPELINING'),
    chunking: has('CHUNKING'),
    eightBitMime: has('8BITMIME'),
    smtpUtf8: has('SMTPUTF8'),
    dsn: has('DSN'),
    size: has('SIZE'),
    maxSize,
    keywords: lines,
  }
}

/** Returns the names of the mechanisms behind AUTH, also in the form `AUTH=`, which is older than the standard. */
function mechanismsOf({ keywords }: Extensions): string[] {
  return keywords.flatMap((line) => (/^AUTH[ =]/.test(line) ? line.slice('AUTH '.length).split(/ +/) : []))
}

/** A connection that is ready for mail: greeted, encrypted as the transport requires, and authenticated. */
export interface OpenConnection {
  socket: Socket
  /** The name sent in EHLO. */
  ehloName: string
  extensions: Extensions
}

/**
 * Opens a connection. nodemailer greets, encrypts and authenticates; then this module takes over its socket. It relies
 * on these properties of nodemailer, and no other file does:
 *
 * - `lastServerResponse`, when `connect()` calls back, is the complete reply to the last EHLO;
 * - `stage` is `init` until the connection is open, and `allowsAuth` says whether that reply offered AUTH;
 * - `_socket` is the current socket: after STARTTLS the TLS socket;
 * - `_onData` gets what the server sends, also over TLS;
 * - once `_socket` is cleared, `close()` leaves the socket alone, and its remaining listeners do nothing.
 *
 * Never rejects: resolves with the failure.
 */
export async function connect(
  config: SmtpTransport,
  ehloName: string,
  signal: AbortSignal,
): Promise<OpenConnection | ConnectionFailure> {
  const named = { ...config, ehloName }
  const login = new SmtpLogin(config, signal)
  const unavailable = await login.prepare()
  if (unavailable !== undefined) return unavailable
  try {
    return await prepare(named, await openSocket(config, signal), login, signal)
  } catch (error) {
    return login.toFailure(error as Error, named)
  }
}

function prepare(
  config: SmtpTransport & { ehloName: string },
  opened: Socket | undefined,
  login: SmtpLogin,
  signal: AbortSignal,
): Promise<OpenConnection | ConnectionFailure> {
  const { host, port, secure, requireTLS, ignoreTLS = false, tls, ehloName, timeouts, auth } = config
  const total = Math.min(timeouts.connect + timeouts.greeting + timeouts.handshake, LONGEST_TIMER)
  const connection = new SMTPConnection({
    host,
    port,
    secure,
    requireTLS,
    ignoreTLS,
    tls,
    name: ehloName,
    connection: opened,
    customAuth: login.methods,
    // nodemailer's limit includes the greeting and the TLS upgrade; the timers below enforce the single limits.
    connectionTimeout: total,
    greetingTimeout: timeouts.greeting,
    socketTimeout: timeouts.handshake,
    socketCloseTimeout: 1_000,
    maxResponseSize: 64 * 1024,
  })
  return new Promise((resolve) => {
    let extensions: Extensions | undefined
    const fail = (error: Error): void => {
      settle()
      connection.close()
      resolve(login.toFailure(error, config))
    }
    const abort = (): void => fail(new Error('the transport was closed'))
    const connecting = setTimeout(() => {
      if (connection.stage === 'init') fail(new Error('the connection was not open within the time limit'))
    }, timeouts.connect)
    const preparing = setTimeout(
      () => fail(new Error('the greeting, TLS handshake and login exceeded the time limit')),
      total,
    )
    const settle = (): void => {
      clearTimeout(connecting)
      clearTimeout(preparing)
      signal.removeEventListener('abort', abort)
    }
    const ready = (): void => {
      const socket = takeOver(connection)
      if (socket === undefined) {
        fail(new Error('nodemailer returned no socket'))
        return
      }
      settle()
      const problem = tlsProblem(socket, config)
      if (problem === undefined && extensions !== undefined) {
        resolve({ socket, extensions, ehloName })
        return
      }
      socket.destroy()
      resolve(login.toFailure(Object.assign(new Error(problem), { code: 'ETLS' }), config))
    }
    limitReplies(connection, fail)
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    // This listener is never removed: a late error must not become an unhandled one.
    connection.on('error', fail)
    connection.connect((error) => {
      if (error !== undefined) {
        fail(error)
        return
      }
      extensions = parseExtensions(String(connection.lastServerResponse))
      extensions.pipelining &&= config.pipelining
      if (auth === undefined) ready()
      else if (!connection.allowsAuth)
        fail(Object.assign(new Error('the server does not offer authentication'), { code: 'ENOAUTH' }))
      else {
        login.mechanisms = mechanismsOf(extensions)
        connection.login(login.credentials, (refusal) => (refusal === null ? ready() : fail(refusal)))
      }
    })
  })
}

/** Octets that a server may send until the login is complete: the greeting, two replies to EHLO, and a few short ones. */
const MAX_RECEIVED = 256 * 1024

/** nodemailer limits each reply, and queues any number of them: a server that floods the client would fill its memory. */
function limitReplies(connection: SMTPConnection, fail: (error: Error) => void): void {
  const reader = connection as unknown as { _onData: (chunk: Buffer) => void }
  const read = reader._onData.bind(connection)
  let received = 0
  reader._onData = (chunk) => {
    received += chunk.length
    if (received <= MAX_RECEIVED) read(chunk)
    else fail(new Error(`the server sent more than ${MAX_RECEIVED} bytes before the login was complete`))
  }
}

function takeOver(connection: SMTPConnection): Socket | undefined {
  const socket = connection._socket
  if (socket === false || socket === null) return undefined
  connection._socket = null
  connection.close()
  socket.removeAllListeners('data')
  socket.removeAllListeners('timeout')
  socket.setTimeout(0)
  socket.setNoDelay(true)
  return socket
}

/** Verifies the encryption before any message is written, independently of nodemailer's own checks. */
function tlsProblem(socket: Socket, { secure, requireTLS, tls }: SmtpTransport): string | undefined {
  if (!secure && !requireTLS) return undefined
  if (!(socket instanceof TLSSocket)) return 'the connection is not encrypted'
  if (tls.rejectUnauthorized !== false && !socket.authorized) return 'the certificate was not verified'
  return undefined
}

/** How long a server may take to answer QUIT and close after a verification, in ms. */
const QUIT_TIMEOUT = 1_000

/** Tests connection, TLS and authentication, and sends no message. */
export async function verifySmtp(config: SmtpTransport): Promise<TransportReport> {
  const start = performance.now()
  const { name: transport, host, port } = config
  const ehloName = ehloNameFor(config)
  const result = await connect(config, ehloName, new AbortController().signal)
  const facts = { transport, host, port, ms: Math.round(performance.now() - start) }
  if (!('socket' in result)) return { ...facts, ok: false, ...result }

  const { socket, extensions } = result
  const report: TransportReport = {
    ...facts,
    ok: true,
    ...(socket instanceof TLSSocket ? { tls: tlsReport(socket) } : {}),
    route: routeReport(socket, config),
    authenticated: config.auth !== undefined,
    ehloName,
    extensions: extensions.keywords,
    pipelining: extensions.pipelining,
    maxSize: extensions.maxSize,
  }
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, QUIT_TIMEOUT)
    socket.on('data', () => undefined)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.end('QUIT\r\n')
  })
  socket.destroy()
  return report
}

function tlsReport(socket: TLSSocket): TlsReport {
  const { valid_to, subject, subjectaltname = '' } = socket.getPeerCertificate()
  // Many certificates have no common name; their names are the alternative ones (RFC 9525).
  const name: string | undefined = [(subject as Partial<typeof subject>).CN].flat()[0]
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    authorized: socket.authorized,
    subject: name ?? /(?:DNS|IP Address):([^,]+)/.exec(subjectaltname)?.[1] ?? '',
    expires: new Date(valid_to).toISOString(),
  }
}

function routeReport(socket: Socket, { proxy }: SmtpTransport): RouteReport {
  const { remoteAddress = '', localAddress = '' } = socket
  const route: RouteReport = { address: remoteAddress, family: isIPv6(remoteAddress) ? 6 : 4, localAddress }
  if (proxy !== undefined) route.proxy = `${new URL(proxy).protocol}//${new URL(proxy).host}`
  return route
}

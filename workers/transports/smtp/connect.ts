import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import httpProxyClient from 'nodemailer/lib/smtp-connection/http-proxy-client'
import XOAuth2 from 'nodemailer/lib/xoauth2'
import type {
  SmtpAuth,
  SmtpTransport,
  TlsReport,
  TransportReport,
} from '../../../src/protocol/transportConfig.js'
import type { ConnectionFailure } from '../sendResults.js'
import { toConnectionFailure } from './connectionFailure.js'
import { LONGEST_TIMER } from './deadlineTimer.js'

/** What the server offers, read from its reply to the last EHLO (RFC 5321 section 4.1.1.1). */
export interface Extensions {
  /** RFC 2920. */
  pipelining: boolean
  /** RFC 6152. */
  eightBitMime: boolean
  /** RFC 6531. */
  smtpUtf8: boolean
  /** RFC 1870. */
  size: boolean
  /** Octets a message may have at most; 0 where the server doesn't say. */
  maxSize: number
  /** Keywords as announced, upper case, without the server's name. */
  keywords: string[]
}

/** @param reply the whole reply to EHLO, or to HELO, which offers nothing */
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
    eightBitMime: has('8BITMIME'),
    smtpUtf8: has('SMTPUTF8'),
    size: has('SIZE'),
    maxSize,
    keywords: lines,
  }
}

/** A connection through the transport's HTTP proxy (CONNECT, RFC 9110 section 9.3.6); undefined without one. */
function openThroughProxy({ proxy, host, port, timeouts }: SmtpTransport): Promise<Socket> | undefined {
  if (proxy === undefined) return undefined
  return new Promise((resolve, reject) => {
    httpProxyClient(proxy, port, host, { timeout: timeouts.connect }, (error, socket) => {
      if (error === null) resolve(socket)
      else reject(error)
    })
  })
}

/** Keeps the access token of an account, and gets another in time: one for all connections of a transport. */
const generators = new WeakMap<SmtpAuth, XOAuth2>()

/** What nodemailer's login takes: a password, or for XOAUTH2 what gives access tokens. */
function credentialsOf(auth: SmtpAuth): { user: string; pass: string } | { user: string; oauth2: XOAuth2 } {
  if ('pass' in auth) return { user: auth.user, pass: auth.pass }
  const known = generators.get(auth)
  if (known !== undefined) return { user: auth.user, oauth2: known }
  const oauth2 = new XOAuth2({ user: auth.user, ...auth.oauth2 })
  // Failures come back through the login; this event only repeats them.
  oauth2.on('error', () => undefined)
  generators.set(auth, oauth2)
  return { user: auth.user, oauth2 }
}

/** A connection on which mail can be sent: greeted, secured as the transport asks, and authenticated. */
export interface OpenConnection {
  socket: Socket
  extensions: Extensions
}

/**
 * Opens a connection. nodemailer greets, secures and authenticates; then its socket is taken over. What is relied on
 * in nodemailer is all in this file:
 *
 * - `lastServerResponse`, when it calls back from `connect()`, is the whole reply to the last EHLO;
 * - `stage` is `init` until the connection stands, and `allowsAuth` tells of AUTH in that reply;
 * - `_socket` is the socket in use, after STARTTLS the TLS one;
 * - once `_socket` is gone, `close()` leaves the socket alone, and its remaining listeners do nothing.
 *
 * Never rejects: what went wrong is in the answer.
 */
export async function connect(
  config: SmtpTransport,
  signal: AbortSignal,
): Promise<OpenConnection | ConnectionFailure> {
  try {
    return await converse(config, await openThroughProxy(config), signal)
  } catch (error) {
    return toConnectionFailure(error as Error, config)
  }
}

function converse(
  config: SmtpTransport,
  proxied: Socket | undefined,
  signal: AbortSignal,
): Promise<OpenConnection | ConnectionFailure> {
  const { host, port, secure, requireTLS, tls, ehloName, timeouts, auth } = config
  const inAll = Math.min(timeouts.connect + timeouts.greeting + timeouts.handshake, LONGEST_TIMER)
  const connection = new SMTPConnection({
    host,
    port,
    secure,
    requireTLS,
    tls,
    name: ehloName,
    connection: proxied,
    // nodemailer counts the greeting and the TLS upgrade among connecting: the limits of the phases are kept here.
    connectionTimeout: inAll,
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
      resolve(toConnectionFailure(error, config))
    }
    const abort = (): void => fail(new Error('the transport was closed'))
    const connecting = setTimeout(() => {
      if (connection.stage === 'init') fail(new Error('no connection within the time limit'))
    }, timeouts.connect)
    const preparing = setTimeout(() => fail(new Error('the server took too long to get ready')), inAll)
    const settle = (): void => {
      clearTimeout(connecting)
      clearTimeout(preparing)
      signal.removeEventListener('abort', abort)
    }
    const ready = (): void => {
      const socket = takeOver(connection)
      if (socket === undefined) {
        fail(new Error('nodemailer gave no socket'))
        return
      }
      settle()
      const problem = insecurity(socket, config)
      if (problem === undefined && extensions !== undefined) {
        resolve({ socket, extensions })
        return
      }
      socket.destroy()
      resolve(toConnectionFailure(Object.assign(new Error(problem), { code: 'ETLS' }), config))
    }
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    // Stays for good: a late error must not be an unhandled one.
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
        fail(Object.assign(new Error('it offers no authentication'), { code: 'ENOAUTH' }))
      else connection.login(credentialsOf(auth), (refusal) => (refusal === null ? ready() : fail(refusal)))
    })
  })
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

/** A last look before anything of a message is written: whatever happened before, clear text is not what was asked for. */
function insecurity(socket: Socket, { secure, requireTLS, tls }: SmtpTransport): string | undefined {
  if (!secure && !requireTLS) return undefined
  if (!(socket instanceof TLSSocket)) return 'the connection is not encrypted'
  if (tls.rejectUnauthorized !== false && !socket.authorized) return 'the certificate was not verified'
  return undefined
}

/** How long the goodbye may take, in ms. */
const FAREWELL = 1_000

/** Tries what every message needs first: connection, TLS and authentication. */
export async function verifySmtp(config: SmtpTransport): Promise<TransportReport> {
  const start = performance.now()
  const { name: transport, host, port } = config
  const result = await connect(config, new AbortController().signal)
  const facts = { transport, host, port, ms: Math.round(performance.now() - start) }
  if (!('socket' in result)) return { ...facts, ok: false, ...result }

  const { socket, extensions } = result
  const report: TransportReport = {
    ...facts,
    ok: true,
    ...(socket instanceof TLSSocket ? { tls: tlsReport(socket) } : {}),
    authenticated: config.auth !== undefined,
    extensions: extensions.keywords,
    pipelining: extensions.pipelining,
    maxSize: extensions.maxSize,
  }
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, FAREWELL)
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
  const { valid_to, subject } = socket.getPeerCertificate()
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    authorized: socket.authorized,
    subject: String(subject.CN),
    expires: new Date(valid_to).toISOString(),
  }
}

import { TLSSocket } from 'node:tls'
import type { SmtpTransport, TlsReport, TransportReport } from '../../../src/protocol/transportConfig.js'
import { connect } from './connect.js'

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

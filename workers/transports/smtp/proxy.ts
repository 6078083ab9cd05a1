import type { Socket } from 'node:net'
import httpProxyClient from 'nodemailer/lib/smtp-connection/http-proxy-client'
import type { SmtpTransport } from '../../../src/wire/transports.js'

/** A connection through the transport's HTTP proxy (CONNECT, RFC 9110 section 9.3.6); undefined without one. */
export function openThroughProxy({
  proxy,
  host,
  port,
  timeouts,
}: SmtpTransport): Promise<Socket> | undefined {
  if (proxy === undefined) return undefined
  return new Promise((resolve, reject) => {
    httpProxyClient(proxy, port, host, { timeout: timeouts.connect }, (error, socket) => {
      if (error === null) resolve(socket)
      else reject(error)
    })
  })
}

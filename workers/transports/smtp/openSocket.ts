import { connect, type Socket } from 'node:net'
import httpProxyClient from 'nodemailer/lib/smtp-connection/http-proxy-client'
import { isPrivateHost, lookUpPublic, privateHost } from '../../../src/privateHosts.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'

/** Opens the connection that SMTP is spoken on, if nodemailer can't open it itself: undefined if it can. Rejects if that fails. */
export async function openSocket(config: SmtpTransport, signal: AbortSignal): Promise<Socket | undefined> {
  if (config.proxy !== undefined) return openThroughProxy(config, config.proxy)
  if (config.publicOnly === true || config.localAddress !== undefined) return openDirectly(config, signal)
  return undefined
}

/** Opens a tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6). */
function openThroughProxy({ host, port, timeouts }: SmtpTransport, proxy: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    httpProxyClient(proxy, port, host, { timeout: timeouts.connect }, (error, socket) => {
      if (error === null) resolve(socket)
      else reject(error)
    })
  })
}

/** Opens a TCP connection. Addresses that must be public are checked by the lookup whose result it uses, so that a later answer of the DNS changes nothing. */
function openDirectly(
  { host, port, timeouts, publicOnly, localAddress }: SmtpTransport,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (publicOnly === true && isPrivateHost(host)) {
      reject(privateHost(host))
      return
    }
    const socket = connect({
      host,
      port,
      signal,
      autoSelectFamily: true,
      ...(publicOnly === true ? { lookup: lookUpPublic } : {}),
      ...(localAddress === undefined ? {} : { localAddress }),
    })
    const fail = (error: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => fail(new Error('the connection was not open within the time limit')),
      timeouts.connect,
    )
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeListener('error', fail)
      resolve(socket)
    })
  })
}

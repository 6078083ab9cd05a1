import { lookup } from 'node:dns'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import httpProxyClient from 'nodemailer/lib/smtp-connection/http-proxy-client'
import type { SocksClient } from 'socks'
import { isPrivateHost, lookUpPublic, privateHost } from '../../../src/privateHosts.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import { loadPackage } from '../serviceResults.js'

/** The port of a SOCKS proxy whose URL has none (RFC 1928 section 3). */
const SOCKS_PORT = 1080

/** Opens the connection that SMTP is spoken on, if nodemailer can't open it itself: undefined if it can. Rejects if that fails. */
export async function openSocket(config: SmtpTransport, signal: AbortSignal): Promise<Socket | undefined> {
  const { proxy, publicOnly, localAddress, family } = config
  if (proxy !== undefined)
    return usesSocks(proxy) ? openThroughSocks(config, proxy, signal) : openThroughHttp(config, proxy)
  if (publicOnly === true || localAddress !== undefined || family !== undefined)
    return openDirectly(config, signal)
  return undefined
}

/** Loads the client of SOCKS proxies, if the transport needs it. Rejects with the command that installs it. */
export async function loadProxyClient({ proxy }: SmtpTransport): Promise<void> {
  if (proxy !== undefined && usesSocks(proxy)) await loadSocks()
}

function usesSocks(proxy: string): boolean {
  return proxy.startsWith('socks')
}

async function loadSocks(): Promise<typeof SocksClient> {
  const socks = await loadPackage(import('socks'), 'socks', 'A SOCKS proxy needs the package')
  return socks.SocksClient
}

/** The codes of {@link proxyFailure}. */
export type ProxyCode = 'EPROXYAUTH' | 'EPROXYREFUSED' | 'EPROXYUNREACHABLE'

function proxyFailure(code: ProxyCode, error: Error): Error {
  return Object.assign(new Error(error.message, { cause: error }), { code })
}

/** Opens a tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6). */
function openThroughHttp({ host, port, timeouts }: SmtpTransport, proxy: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    httpProxyClient(proxy, port, host, { timeout: timeouts.connect }, (error, socket) => {
      if (error === null) resolve(socket)
      else if ((error as NodeJS.ErrnoException).code !== 'EPROXY')
        reject(proxyFailure('EPROXYUNREACHABLE', error))
      // Proxy Authentication Required (RFC 9110 section 15.5.8).
      else reject(proxyFailure(error.message.endsWith('407') ? 'EPROXYAUTH' : 'EPROXYREFUSED', error))
    })
  })
}

/** Opens a connection through a SOCKS5 proxy (RFC 1928, RFC 1929), which resolves the name of the host. */
async function openThroughSocks(
  { host, port, timeouts }: SmtpTransport,
  proxy: string,
  signal: AbortSignal,
): Promise<Socket> {
  const { hostname, port: proxyPort, username, password } = new URL(proxy)
  const client = await loadSocks()
  const place = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: proxyPort === '' ? SOCKS_PORT : Number(proxyPort),
  }
  const socket = await openDirectly({ ...place, timeouts }, signal).catch((error: unknown) => {
    throw proxyFailure('EPROXYUNREACHABLE', error as Error)
  })
  const abort = (): void => void socket.destroy()
  signal.addEventListener('abort', abort)
  try {
    await client.createConnection({
      command: 'connect',
      proxy: {
        ...place,
        type: 5,
        ...(username === ''
          ? {}
          : { userId: decodeURIComponent(username), password: decodeURIComponent(password) }),
      },
      destination: { host, port },
      timeout: timeouts.connect,
      existing_socket: socket,
    })
    return await withEarlyData(socket)
  } catch (error) {
    socket.destroy()
    const refused = /authentication failed|no accepted authentication/i.test((error as Error).message)
    throw proxyFailure(refused ? 'EPROXYAUTH' : 'EPROXYREFUSED', error as Error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Keeps what the server sends before anyone listens: the client emits what arrived behind the proxy's last reply in the next turn of the
 * event loop, and lets the socket flow.
 */
async function withEarlyData(socket: Socket): Promise<Socket> {
  const chunks: Buffer[] = []
  const keep = (chunk: Buffer): void => void chunks.push(chunk)
  socket.on('data', keep)
  await turn()
  socket.removeListener('data', keep)
  socket.pause()
  if (chunks.length > 0) socket.unshift(Buffer.concat(chunks))
  const resume = (event: string): void => {
    if (event !== 'data') return
    socket.removeListener('newListener', resume)
    socket.resume()
  }
  socket.on('newListener', resume)
  return socket
}

/** Returns a lookup whose addresses of one version of IP come first. */
function inOrder(lookUp: LookupFunction, first: 4 | 6): LookupFunction {
  return (name, options, callback) => {
    lookUp(name, options, (error, found, family) => {
      const ordered =
        typeof found === 'string'
          ? found
          : [...found].sort((a, b) => Number(b.family === first) - Number(a.family === first))
      callback(error, ordered, family)
    })
  }
}

type Target = Pick<SmtpTransport, 'host' | 'port' | 'timeouts' | 'publicOnly' | 'localAddress' | 'family'>

/**
 * Opens a TCP connection: to the first address that answers, if there are several (Happy Eyeballs, RFC 8305). Addresses that must be
 * public are checked by the lookup whose result it uses, so that a later answer of the DNS changes nothing.
 */
function openDirectly(
  { host, port, timeouts, publicOnly, localAddress, family }: Target,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (publicOnly === true && isPrivateHost(host)) {
      reject(privateHost(host))
      return
    }
    const lookUp = publicOnly === true ? lookUpPublic : (lookup as LookupFunction)
    const only = typeof family === 'number' ? family : isIP(localAddress ?? '')
    const socket = connect({
      host,
      port,
      signal,
      autoSelectFamily: true,
      family: only,
      lookup: typeof family === 'string' ? inOrder(lookUp, family === 'ipv4first' ? 4 : 6) : lookUp,
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

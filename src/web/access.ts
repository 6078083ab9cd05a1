import type { Request, RequestHandler } from 'express'
import { z } from 'zod'
import { isLoopback } from '../loopback.js'
import { sendProblem } from './problem.js'

const ANY_HOST = '*'
/** The address of a client without a known one, in the words of RFC 7239 section 6.2. It is never loopback. */
export const UNKNOWN_CLIENT = 'unknown'
/** Stands for the client that a proxy does not report. It is never loopback. */
const BEHIND_PROXY = 'behind a proxy'
/** RFC 9110 section 7.2: a name, an IPv4 address, or an IPv6 address in brackets, with an optional port. */
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** The option `hosts` of a router without a login. */
export const Hosts = z
  .array(
    z
      .string()
      .max(260)
      .refine((host) => host === ANY_HOST || HOST.test(host), {
        message: "must be a host name, with or without a port, such as 'mail.acme.example', or '*'",
      }),
  )
  .max(100)

/**
 * Creates a handler for a server without a login. It passes requests from this machine that name this machine, and requests
 * that name one of `hosts`.
 *
 * The name matters even on loopback: a foreign page can point a name of its own at 127.0.0.1 (DNS rebinding) and would then be
 * on the same origin as the server, but its requests still carry that name. A proxy on this machine connects from loopback too,
 * so the client and the host that it reports are checked as well.
 * @param hosts host names, with a port to allow only that one; `'*'` passes every request
 */
export function hostCheck(hosts: readonly string[] = []): RequestHandler {
  const allowed = new Set(hosts.map((host) => host.toLowerCase()))
  return (request, response, next) => {
    if (allowed.has(ANY_HOST)) return next()
    const names = [request.headers.host ?? '', ...listOf(request, 'x-forwarded-host')]
    if (names.some((name) => namesAllowed(name, allowed))) return next()
    if (!names.every((name) => isLoopback(hostnameOf(name) ?? ''))) {
      const name = JSON.stringify(
        (names.find((name) => !isLoopback(hostnameOf(name) ?? '')) ?? '').slice(0, 100),
      )
      sendProblem(
        response,
        'MISDIRECTED_REQUEST',
        `Without a login, this server answers requests to localhost only, and this one is to ${name}. Add the name to \`hosts\`, or use tokens.`,
      )
      return
    }
    const clients = clientsOf(request)
    if (clients.every(isLoopback)) return next()
    const advice = clients.includes(UNKNOWN_CLIENT)
      ? 'the address of this client is not known. Pass it as `handler(request, { remoteAddress })`, or name the host of the request in `hosts`.'
      : 'this request comes from elsewhere. Name the host of the request in `hosts`, or require a login.'
    sendProblem(
      response,
      'FORBIDDEN',
      `Without a login, this server answers requests from this machine only, and ${advice}`,
    )
  }
}

function namesAllowed(name: string, allowed: ReadonlySet<string>): boolean {
  const lower = name.toLowerCase()
  return allowed.has(lower) || allowed.has(lower.replace(/:\d{1,5}$/, ''))
}

function hostnameOf(host: string): string | undefined {
  return HOST.exec(host)?.[1]
}

/** The address of the peer, and what proxies report of those before it. A peer without an address uses a Unix socket. */
function clientsOf(request: Request): string[] {
  const { remoteAddress } = request.socket
  const addresses = remoteAddress === undefined ? [] : [remoteAddress]
  for (const header of ['x-forwarded-for', 'x-real-ip']) addresses.push(...listOf(request, header))
  // RFC 7239 section 4: an IPv6 address is in brackets, and a port may follow.
  for (const [, address = ''] of request.get('forwarded')?.matchAll(/\bfor="?\[?([^\s"\],;]*)/gi) ?? [])
    addresses.push(address.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1'))
  // RFC 9110 section 7.6.3: a proxy that reports itself, and not its client.
  const isReported = addresses.length > (remoteAddress === undefined ? 0 : 1)
  if (!isReported && request.get('via') !== undefined) addresses.push(BEHIND_PROXY)
  return addresses.map((address) => address.replace(/^::ffff:(?=\d+\.)/i, ''))
}

function listOf(request: Request, header: string): string[] {
  return (
    request
      .get(header)
      ?.split(',')
      .map((entry) => entry.trim()) ?? []
  )
}

/**
 * The origin of a request as reported by the browser: a page of this site, of another site, or unknown without a report.
 * Browsers send Sec-Fetch-Site (W3C Fetch Metadata) over https and to loopback. Without it, Origin (RFC 6454) is compared with the
 * requested host.
 */
export function originOf(request: Request): 'same' | 'foreign' | 'unknown' {
  const site = request.get('Sec-Fetch-Site')
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? 'same' : 'foreign'
  const origin = request.get('Origin')
  if (origin === undefined) return 'unknown'
  // A proxy may have replaced the host with its own name. A foreign page can't set either header.
  const hosts = [request.get('Host'), request.get('X-Forwarded-Host')?.split(',')[0]?.trim()]
  const host = URL.canParse(origin) ? new URL(origin).host : undefined
  return host !== undefined && hosts.includes(host) ? 'same' : 'foreign'
}

/** Whether the method changes nothing (RFC 9110 section 9.2.1). */
export function isSafe({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** The explanation for a request that a page of another site sent. */
export const FOREIGN_REQUEST = 'Only pages of this site may send this request, and it came from another site.'

/** Rejects requests of other sites' pages that change something, for routers without a session. */
export const refuseForeignChanges: RequestHandler = (request, response, next) => {
  if (isSafe(request) || originOf(request) !== 'foreign') next()
  else sendProblem(response, 'FORBIDDEN', FOREIGN_REQUEST)
}

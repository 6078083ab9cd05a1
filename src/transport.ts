import { BlockList, isIP } from 'node:net'
import { BUDGET_KEYS, type BudgetOptions, resolveBudget } from './budgets.js'
import { type Checker, isPlainObject } from './check.js'
import { type DkimOptions, resolveDkim } from './dkim.js'
import { type AuthOptions, resolveAuth } from './transportAuth.js'
import type { SmtpTimeouts, SmtpTransport, TlsOptions } from './wire.js'

/** A transport with options beside its URL. */
export interface TransportOptions extends BudgetOptions {
  /** `smtp://user:pass@host:587`, `smtps://…` or `inbox:`. */
  url: string
  /** Credentials, where they should not stand in the URL: a password, or what gives OAuth 2.0 tokens. */
  auth?: AuthOptions
  /**
   * Use PIPELINING (RFC 2920) where the server offers it. To be turned off for a server, or a firewall before it, that
   * offers what it can't do.
   * @default true
   */
  pipelining?: boolean
  /** An HTTP proxy to connect through: `http://proxy.example:3128`. */
  proxy?: string
  /** Signs what goes out over this transport. */
  dkim?: DkimOptions | DkimOptions[]
  /**
   * Never send in clear: a server that offers no STARTTLS gets nothing.
   * @default true, but false for loopback
   */
  requireTLS?: boolean
  tls?: TlsOptions
  /** The name given in EHLO. @default the machine's name */
  ehloName?: string
  /** Milliseconds. Each is absolute: a server that drips bytes gains nothing. */
  timeouts?: {
    /** Until the connection stands. @default 10_000 */
    connect?: number
    /** From there until the server's greeting. @default 10_000 */
    greeting?: number
    /** From there until mail can be sent: EHLO, STARTTLS and AUTH. @default 15_000 */
    handshake?: number
    /** From the envelope to the replies to it. RFC 5321 section 4.5.3.2 suggests five minutes. @default 60_000 */
    envelope?: number
    /** From the body to the reply to the final dot; within the limit of an attempt. @default 120_000 */
    body?: number
    /** How long an unused connection is kept. @default 5_000 */
    idle?: number
  }
}

/** A transport as its options say it; `inbox` becomes an SMTP transport once its server listens. */
type TransportSpec = SmtpTransport | { kind: 'inbox'; name: string }

/** What a transport is, for the threads, and how the main thread deals with it. */
export interface TransportPlan {
  name: string
  spec: TransportSpec
  budget: BudgetOptions
}

const DEFAULT_TIMEOUTS: SmtpTimeouts = {
  connect: 10_000,
  greeting: 10_000,
  handshake: 15_000,
  envelope: 60_000,
  body: 120_000,
  idle: 5_000,
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** Never repeats the URL in an error: it may hold the password. */
export function resolveTransport(check: Checker, name: string, value: unknown, path: string): TransportPlan {
  const options = isPlainObject(value)
    ? check.object(value, path, [
        'url',
        'auth',
        'pipelining',
        'proxy',
        'dkim',
        'requireTLS',
        'tls',
        'ehloName',
        'timeouts',
        ...BUDGET_KEYS,
      ])
    : { url: value }
  const budget = resolveBudget(check, options, path)
  return { name, spec: specOf(check, name, value, options, path), budget }
}

function specOf(
  check: Checker,
  name: string,
  value: unknown,
  options: Record<string, unknown>,
  path: string,
): TransportSpec {
  const urlPath = isPlainObject(value) ? `${path}.url` : path
  const text = check.string(options['url'], urlPath)
  if (!URL.canParse(text)) check.fail(urlPath, "is not a URL such as 'smtp://user:pass@host:587'")
  const url = new URL(text)
  if (url.protocol === 'inbox:') return { kind: 'inbox', name }
  if (url.protocol !== 'smtp:' && url.protocol !== 'smtps:')
    check.fail(urlPath, `unknown scheme '${url.protocol}', known are smtp:, smtps: and inbox:`)
  if (url.hostname === '') check.fail(urlPath, 'names no host')
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '')
    check.fail(urlPath, 'ends after host and port; give further options as fields beside the url')

  const host = url.hostname.replace(/^\[|\]$/g, '')
  const secure = url.protocol === 'smtps:'
  const transport: SmtpTransport = {
    kind: 'smtp',
    name,
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    requireTLS:
      options['requireTLS'] === undefined
        ? !isLoopback(host)
        : check.boolean(options['requireTLS'], `${path}.requireTLS`),
    pipelining: check.boolean(options['pipelining'] ?? true, `${path}.pipelining`),
    tls: tlsOf(check, options['tls'] ?? {}, `${path}.tls`),
    timeouts: timeoutsOf(check, options['timeouts'] ?? {}, `${path}.timeouts`),
  }
  const auth = resolveAuth(check, url, options['auth'], path, urlPath)
  if (auth !== undefined) transport.auth = auth
  if (options['proxy'] !== undefined) transport.proxy = proxyOf(check, options['proxy'], `${path}.proxy`)
  if (options['dkim'] !== undefined) transport.dkim = resolveDkim(check, options['dkim'], `${path}.dkim`)
  if (options['ehloName'] !== undefined)
    transport.ehloName = check
      .string(options['ehloName'], `${path}.ehloName`, 255)
      .replace(/[^\w.:[\]-]/g, '')
  return transport
}

export function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host === 'localhost' || host.endsWith('.localhost')
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4')
}

function proxyOf(check: Checker, value: unknown, path: string): string {
  const text = check.string(value, path)
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    check.fail(path, "is not the URL of an HTTP proxy, such as 'http://proxy.example:3128'")
  return text
}

function tlsOf(check: Checker, value: unknown, path: string): TlsOptions {
  const given = check.object(value, path, ['rejectUnauthorized', 'ca', 'servername', 'minVersion'])
  const tls: TlsOptions = { minVersion: 'TLSv1.2' }
  if (given['rejectUnauthorized'] !== undefined)
    tls.rejectUnauthorized = check.boolean(given['rejectUnauthorized'], `${path}.rejectUnauthorized`)
  if (given['servername'] !== undefined)
    tls.servername = check.string(given['servername'], `${path}.servername`)
  if (given['minVersion'] !== undefined)
    tls.minVersion = check.oneOf(given['minVersion'], `${path}.minVersion`, ['TLSv1.2', 'TLSv1.3'])
  const ca = given['ca']
  if (Array.isArray(ca)) tls.ca = ca.map((pem, index) => check.string(pem, `${path}.ca[${index}]`))
  else if (ca !== undefined) tls.ca = check.string(ca, `${path}.ca`)
  return tls
}

function timeoutsOf(check: Checker, value: unknown, path: string): SmtpTimeouts {
  const keys = Object.keys(DEFAULT_TIMEOUTS) as (keyof SmtpTimeouts)[]
  const given = check.object(value, path, keys)
  const timeouts = { ...DEFAULT_TIMEOUTS }
  for (const key of keys)
    if (given[key] !== undefined)
      timeouts[key] = check.number(given[key], `${path}.${key}`, key === 'idle' ? 0 : 1)
  return timeouts
}

/** The transport of an inbox that listens at this URL. */
export function loopbackTransport(name: string, url: string): SmtpTransport {
  const { hostname, port } = new URL(url)
  return {
    kind: 'smtp',
    name,
    host: hostname,
    port: Number(port),
    secure: false,
    requireTLS: false,
    pipelining: true,
    tls: {},
    timeouts: DEFAULT_TIMEOUTS,
  }
}

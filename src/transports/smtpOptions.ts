import { isIP } from 'node:net'
import { isLoopback } from '../loopback.js'
import type {
  DkimKey,
  IpFamily,
  SmtpTimeouts,
  SmtpTransport,
  TlsOptions,
} from '../protocol/transportConfig.js'
import type { Validator } from '../validation.js'
import { resolveAuth, resolveDkim } from './auth.js'
import { resolveEhloName } from './defaultEhloName.js'

/** The embedded inbox. It becomes an SMTP transport once its server listens. */
export interface InboxTransport {
  kind: 'inbox'
  name: string
  dkim?: DkimKey[]
}

const DEFAULT_TIMEOUTS: SmtpTimeouts = {
  connect: 10_000,
  greeting: 10_000,
  handshake: 15_000,
  envelope: 60_000,
  body: 120_000,
  idle: 5_000,
}

/** Bounds the messages that are uncertain when a connection is lost. */
const MAX_PIPELINE_DEPTH = 64
const MESSAGES_PER_CONNECTION = 100_000

const FAMILIES: readonly IpFamily[] = [4, 6, 'ipv4first', 'ipv6first']

/** @param text the URL */
export function resolveSmtp(
  check: Validator,
  name: string,
  text: string,
  options: Record<string, unknown>,
  path: string,
  urlPath: string,
): SmtpTransport {
  if (!URL.canParse(text)) check.fail(urlPath, "is not a URL such as 'smtp://user:pass@host:587'")
  const url = new URL(text)
  if (url.protocol !== 'smtp:' && url.protocol !== 'smtps:')
    check.fail(
      urlPath,
      `has the unknown scheme '${url.protocol}'; use smtp:, smtps:, inbox:, file:, or the scheme of a mail service`,
    )
  if (url.hostname === '') check.fail(urlPath, "has no host; write 'smtp://host:587'")
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '')
    check.fail(urlPath, 'must end after the host and port; pass further options as fields next to the url')

  const host = url.hostname.replace(/^\[|\]$/g, '')
  const secure = url.protocol === 'smtps:'
  const transport: SmtpTransport = {
    kind: 'smtp',
    name,
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    secure,
    ...starttlsOf(check, options, path, { host, secure }),
    pipelining: check.boolean(options['pipelining'] ?? true, `${path}.pipelining`),
    messagesPerConnection: check.integer(
      options['messagesPerConnection'] ?? MESSAGES_PER_CONNECTION,
      `${path}.messagesPerConnection`,
      1,
    ),
    tls: tlsOf(check, options['tls'] ?? {}, `${path}.tls`),
    timeouts: timeoutsOf(check, options['timeouts'] ?? {}, `${path}.timeouts`),
    ...signedBy(check, options, path),
  }
  if (options['pipelineDepth'] !== undefined)
    transport.pipelineDepth = check.integer(
      options['pipelineDepth'],
      `${path}.pipelineDepth`,
      1,
      MAX_PIPELINE_DEPTH,
    )
  if (check.boolean(options['dsn'] ?? false, `${path}.dsn`)) transport.dsn = true
  const auth = resolveAuth(check, url, options['auth'], path, urlPath)
  if (auth !== undefined) transport.auth = auth
  if (options['proxy'] !== undefined) transport.proxy = proxyOf(check, options['proxy'], `${path}.proxy`)
  if (options['localAddress'] !== undefined) transport.localAddress = localAddressOf(check, options, path)
  if (options['family'] !== undefined) transport.family = familyOf(check, options, host, path)
  if (options['ehloName'] !== undefined)
    transport.ehloName = resolveEhloName(check, options['ehloName'], `${path}.ehloName`)
  return transport
}

export function signedBy(
  check: Validator,
  { dkim }: Record<string, unknown>,
  path: string,
): { dkim?: DkimKey[] } {
  return dkim === undefined ? {} : { dkim: resolveDkim(check, dkim, `${path}.dkim`) }
}

/** Octets of a user and of a password (RFC 1929 section 2). */
const MAX_SOCKS_LOGIN = 255

function proxyOf(check: Validator, value: unknown, path: string): string {
  const text = check.string(value, path)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^(?:https?|socks5h?):$/.test(url.protocol) || url.hostname === '')
    return check.fail(
      path,
      "is not the URL of a proxy, such as 'http://proxy.example:3128' or 'socks5://proxy.example:1080'",
    )
  for (const [name, part] of [
    ['user', url.username],
    ['password', url.password],
  ] as const) {
    const length = octetsOf(part)
    if (length === undefined) check.fail(path, `has a ${name} with a % that begins no code: write it as %25`)
    if (url.protocol.startsWith('socks') && length > MAX_SOCKS_LOGIN)
      check.fail(path, `has a ${name} of more than ${MAX_SOCKS_LOGIN} octets, which SOCKS can't transmit`)
  }
  return text
}

/** Octets of a percent-encoded text; undefined if it is none. */
function octetsOf(encoded: string): number | undefined {
  try {
    return Buffer.byteLength(decodeURIComponent(encoded))
  } catch {
    return undefined
  }
}

/** Checks that the version of IP is one that the host and the local address have. */
function familyOf(
  check: Validator,
  { family, localAddress, proxy }: Record<string, unknown>,
  host: string,
  path: string,
): IpFamily {
  const at = `${path}.family`
  const chosen = FAMILIES.find((each) => each === family)
  if (chosen === undefined) return check.fail(at, "must be 4, 6, 'ipv4first', or 'ipv6first'")
  if (proxy !== undefined) check.fail(at, "can't be combined with proxy")
  for (const [name, address] of [
    ['the host', host],
    ['localAddress', localAddress],
  ] as const)
    if (typeof chosen === 'number' && isIP(String(address)) === 10 - chosen)
      check.fail(at, `is ${chosen}, and ${name} is an address of IPv${10 - chosen}`)
  return chosen
}

function localAddressOf(
  check: Validator,
  { localAddress, proxy }: Record<string, unknown>,
  path: string,
): string {
  const address = check.string(localAddress, `${path}.localAddress`)
  if (isIP(address) === 0)
    check.fail(`${path}.localAddress`, "is not an IP address of this machine, such as '192.0.2.1'")
  if (proxy !== undefined) check.fail(`${path}.localAddress`, "can't be combined with proxy")
  return address
}

function timeoutsOf(check: Validator, value: unknown, path: string): SmtpTimeouts {
  const keys = Object.keys(DEFAULT_TIMEOUTS) as (keyof SmtpTimeouts)[]
  const given = check.object(value, path, keys)
  const timeouts = { ...DEFAULT_TIMEOUTS }
  for (const key of keys) {
    if (given[key] === undefined) continue
    const at = `${path}.${key}`
    timeouts[key] = key === 'idle' ? check.number(given[key], at, 0) : check.timeout(given[key], at, 1)
  }
  return timeouts
}

/** Returns the SMTP transport of an inbox that listens at `url`. */
export function loopbackTransport({ name, dkim }: InboxTransport, url: string): SmtpTransport {
  const { hostname, port } = new URL(url)
  return {
    kind: 'smtp',
    name,
    host: hostname,
    port: Number(port),
    secure: false,
    requireTLS: false,
    pipelining: true,
    messagesPerConnection: MESSAGES_PER_CONNECTION,
    tls: {},
    timeouts: DEFAULT_TIMEOUTS,
    ...(dkim === undefined ? {} : { dkim }),
  }
}

/** Resolves whether STARTTLS is required, used where it is offered, or ignored. */
function starttlsOf(
  check: Validator,
  { requireTLS, ignoreTLS }: Record<string, unknown>,
  path: string,
  { host, secure }: { host: string; secure: boolean },
): Pick<SmtpTransport, 'requireTLS' | 'ignoreTLS'> {
  const ignored = check.boolean(ignoreTLS ?? false, `${path}.ignoreTLS`)
  if (!ignored) return { requireTLS: check.boolean(requireTLS ?? !isLoopback(host), `${path}.requireTLS`) }
  if (secure) check.fail(`${path}.ignoreTLS`, 'contradicts smtps:, which uses TLS from the start')
  if (requireTLS === true) check.fail(`${path}.ignoreTLS`, 'contradicts requireTLS')
  return { requireTLS: false, ignoreTLS: true }
}

function tlsOf(check: Validator, value: unknown, path: string): TlsOptions {
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

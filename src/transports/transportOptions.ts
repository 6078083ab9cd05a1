import type { IpFamily, TlsOptions, TransportConfig } from '../protocol/transportConfig.js'
import { isPlainObject, type Validator } from '../validation.js'
import type { AuthOptions, DkimOptions } from './auth.js'
import { resolveMailService } from './mailServices.js'
import {
  checkFields,
  type PluginOptions,
  resolveFile,
  resolvePlugin,
  resolveSes,
  SERVICE_KEYS,
  type ServiceOptions,
  serviceScheme,
} from './providers.js'
import { BUDGET_KEYS, type BudgetOptions, resolveBudget } from './rateLimiter.js'
import { type InboxTransport, resolveSmtp, signedBy } from './smtpOptions.js'
import type { Spread } from './transportState.js'

/** A transport's URL with further options. */
export interface TransportOptions extends BudgetOptions, ServiceOptions {
  /** `smtp://user:pass@host:587`, `smtps://…`, `inbox:`, `file:./folder`, or a mail service: `sendgrid:`, `ses:`, `postmark:`, `mailgun:`, `resend:`, `brevo:`, `mailjet:`, or `msgraph:`. */
  url: string
  /** Credentials that are not part of the URL: a password, or OAuth 2.0 tokens. @default the credentials in the URL */
  auth?: AuthOptions
  /**
   * Whether PIPELINING (RFC 2920) is used if the server offers it. Turn it off for a server, or a firewall in front of
   * it, that offers PIPELINING and doesn't support it.
   * @default true
   */
  pipelining?: boolean
  /**
   * Messages in flight on each connection if the server offers CHUNKING (RFC 3030) as well: a connection then sends more
   * than one message per round trip. With 1, messages are sent with DATA, one per round trip.
   * @default up to 8: it grows only while the round trip is the bottleneck
   */
  pipelineDepth?: number
  /**
   * Whether to ask for delivery status notifications (RFC 3461), of success as well, if the server offers DSN. They are sent to the
   * reverse-path, also while a message is uncertain: set `bounces`, and pass them to `report({ raw })`.
   * @default false
   */
  dsn?: boolean
  /**
   * A proxy to connect through: `http://user:pass@proxy.example:3128` (CONNECT), or `socks5://user:pass@proxy.example:1080` (run
   * `npm install socks`). The proxy resolves the name of the host.
   * @default none
   */
  proxy?: string
  /**
   * For a transport from `resolveTransport`: whether it may send to files, to servers on this machine or a private
   * network, and over the application's own transports, keys, and accounts. Without it, a tenant's host must be public, the
   * connection goes to exactly the address that was checked, and `failover`, `dkim.keyFile`, and `ses:` without `credentials`
   * are refused.
   * @default false
   */
  allowPrivateHosts?: boolean
  /** Signs the mail that this transport sends: one key, or several. @default none */
  dkim?: DkimOptions | DkimOptions[]
  /**
   * Never send without TLS: a server that offers no STARTTLS receives nothing.
   * @default true, but false for loopback
   */
  requireTLS?: boolean
  /**
   * Never use STARTTLS, even if the server offers it: mail and password are sent without TLS. For servers on a safe network
   * whose TLS doesn't work.
   * @default false
   */
  ignoreTLS?: boolean
  /** Settings of TLS. @default the built-in certificate authorities, TLSv1.2 or newer */
  tls?: TlsOptions
  /**
   * Names of the transports that take its messages, in order, while its own server can't be reached or refuses the
   * password. A message that was handed over is never moved.
   * @default none
   */
  failover?: string | string[]
  /**
   * The name sent in EHLO: a domain name, or an address literal such as `[192.0.2.1]`.
   * @default the machine's name if it is fully qualified, or else the domain of `from`
   */
  ehloName?: string
  /**
   * The IP address of this machine that connections come from, for servers that accept mail from certain addresses only.
   * @default chosen by the operating system
   */
  localAddress?: string
  /**
   * The version of IP: 4 or 6 for only that, or `'ipv4first'` or `'ipv6first'` for the one to try first. If an address doesn't
   * answer, the next one is tried after 250 ms (Happy Eyeballs, RFC 8305).
   * @default both are tried, usually IPv6 first; or the one of `localAddress`
   */
  family?: IpFamily
  /**
   * Transactions after which a connection is replaced, for servers that limit the messages of a connection.
   * @default 100_000
   */
  messagesPerConnection?: number
  /** The time limit of each step. Each limit is absolute: a server that sends single bytes doesn't extend it. */
  timeouts?: {
    /** Milliseconds until the connection is established. @default 10_000 */
    connect?: number
    /** Milliseconds from there until the server's greeting. @default 10_000 */
    greeting?: number
    /** Milliseconds from there until mail can be sent: EHLO, STARTTLS, and AUTH. @default 15_000 */
    handshake?: number
    /** Milliseconds from the envelope to the replies to it. RFC 5321 section 4.5.3.2 suggests five minutes. @default 60_000 */
    envelope?: number
    /** Milliseconds from the body to the reply to the final dot; `limits.attempt` applies as well. @default 120_000 */
    body?: number
    /** Milliseconds that an idle connection stays open; `Infinity`: until the server closes it. @default 5_000 */
    idle?: number
  }
}

/** A nodemailer transport plugin, with the options of every transport. */
export type PluginTransportOptions = PluginOptions &
  BudgetOptions &
  Pick<TransportOptions, 'failover' | 'allowPrivateHosts'>

/** Other transports that share the messages of this one. */
export interface SpreadOptions {
  /**
   * Weights by name: with `{ a: 3, b: 1 }`, three of four messages go over `a`, while both work. A transport whose server can't be reached, or
   * that is paused, gets none while another one works.
   */
  spread: Record<string, number>
  /** For a transport from `resolveTransport`: whether it may distribute to the application's transports. @default false */
  allowPrivateHosts?: boolean
}

/** A URL, or an object with a URL and further options. */
export type TransportInput = string | TransportOptions | PluginTransportOptions | SpreadOptions

type TransportSpec = TransportConfig | InboxTransport | { kind: 'spread'; name: string }

/** The resolved options of a transport: `config` is for the threads, the rest for the main thread. */
export interface ResolvedTransport {
  name: string
  config: TransportSpec
  budget: BudgetOptions
  failover: string[]
  spread?: Spread
}

const COMMON_KEYS = ['failover', 'allowPrivateHosts', ...BUDGET_KEYS] as const
const PLUGIN_KEYS = ['module', 'options', ...COMMON_KEYS] as const
const KEYS = [
  'url',
  'auth',
  'pipelining',
  'pipelineDepth',
  'dsn',
  'proxy',
  'localAddress',
  'family',
  'dkim',
  'requireTLS',
  'ignoreTLS',
  'tls',
  'ehloName',
  'messagesPerConnection',
  'timeouts',
  ...SERVICE_KEYS,
  ...COMMON_KEYS,
] as const

/** The options of nodemailer and others, with the way to write them here. */
const FOREIGN_OPTIONS: Record<string, string> = {
  host: "is part of the url: 'smtp://host:587'",
  port: "is part of the url: 'smtp://host:587'",
  secure: "is part of the url: 'smtps://host'",
  ses: "is not an option; write { url: 'ses:', region, credentials }",
  sendgrid: "is not an option; write { url: 'sendgrid:', apiKey }",
}

/** Resolves the options of one transport. Its errors never contain the URL, which may contain the password. */
export function resolveTransport(
  check: Validator,
  name: string,
  value: unknown,
  path: string,
): ResolvedTransport {
  if (isPlainObject(value) && 'spread' in value) return resolveSpread(check, name, value, path)
  if (isPlainObject(value))
    for (const key of Object.keys(value)) {
      const hint = FOREIGN_OPTIONS[key.toLowerCase()]
      if (hint !== undefined) check.fail(`${path}.${key}`, hint)
    }
  const options = isPlainObject(value)
    ? check.object(value, path, 'module' in value ? PLUGIN_KEYS : KEYS)
    : { url: value }
  const budget = resolveBudget(check, options, path)
  if (options['allowPrivateHosts'] !== undefined)
    check.boolean(options['allowPrivateHosts'], `${path}.allowPrivateHosts`)
  const failover = failoverOf(check, options['failover'] ?? [], `${path}.failover`)
  return { name, config: specOf(check, name, value, options, path), budget, failover }
}

function specOf(
  check: Validator,
  name: string,
  value: unknown,
  options: Record<string, unknown>,
  path: string,
): TransportSpec {
  if ('module' in options) return resolvePlugin(check, name, options, path)
  const urlPath = isPlainObject(value) ? `${path}.url` : path
  const text = check.string(options['url'], urlPath)
  const scheme = serviceScheme(text)
  checkFields(check, scheme ?? 'smtp:', options, ['url', ...COMMON_KEYS], path)
  if (scheme === 'inbox:') return { kind: 'inbox', name, ...signedBy(check, options, path) }
  if (scheme === 'file:') return resolveFile(check, name, text, options, path)
  if (scheme === 'ses:') return resolveSes(check, name, text, options, path)
  if (scheme !== undefined) return resolveMailService(check, name, text, options, path)
  return resolveSmtp(check, name, text, options, path, urlPath)
}

function failoverOf(check: Validator, value: unknown, path: string): string[] {
  const names = typeof value === 'string' ? [value] : check.array(value, path, 16)
  return names.map((name, index) => check.string(name, `${path}[${index}]`))
}

const MAX_WEIGHT = 1_000_000

function resolveSpread(
  check: Validator,
  name: string,
  value: Record<string, unknown>,
  path: string,
): ResolvedTransport {
  const { spread, allowPrivateHosts } = check.object(value, path, ['spread', 'allowPrivateHosts'])
  if (allowPrivateHosts !== undefined) check.boolean(allowPrivateHosts, `${path}.allowPrivateHosts`)
  if (!isPlainObject(spread) || Object.keys(spread).length === 0)
    return check.fail(`${path}.spread`, 'must be an object of weights by the name of a transport')
  const weights = Object.entries(spread).map(
    ([each, weight]) => [each, check.number(weight, `${path}.spread.${each}`, 0, MAX_WEIGHT)] as const,
  )
  if (weights.every(([, weight]) => weight === 0)) check.fail(`${path}.spread`, 'needs a weight above 0')
  return { name, config: { kind: 'spread', name }, budget: {}, failover: [], spread: weights }
}

/** Checks that the failover transports of a transport exist, and are other transports. */
export function checkFailover(
  check: Validator,
  transport: { name: string; failover: readonly string[]; spread?: Spread },
  isKnown: (name: string) => boolean,
  path: string,
): void {
  for (const [other] of transport.spread ?? [])
    if (other === transport.name || !isKnown(other))
      check.fail(`${path}.spread`, `there is no other transport ${JSON.stringify(other.slice(0, 64))}`)
  for (const other of transport.failover) {
    if (other === transport.name) check.fail(`${path}.failover`, 'must name other transports, not this one')
    if (!isKnown(other))
      check.fail(`${path}.failover`, `there is no transport ${JSON.stringify(other.slice(0, 64))}`)
  }
}

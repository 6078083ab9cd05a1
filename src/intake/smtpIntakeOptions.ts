import { hostname } from 'node:os'
import type { Logger } from '../index.js'
import { resolveLogger } from '../logging/logger.js'
import { isLoopback } from '../loopback.js'
import { parseAddress } from '../message/addresses.js'
import { MAX_TIMER, Validator } from '../validation.js'
import type { Scope } from '../web/middleware.js'
import { AddressList } from './addressList.js'

/** A program that may submit mail, by its name and password. */
export interface IntakeUser {
  /** User name for AUTH PLAIN and LOGIN. */
  user: string
  pass: string
  /** `send` is required to submit mail. @default ['send'] */
  scopes?: readonly Scope[]
  /**
   * Addresses and domains that the user may send as, in the envelope, From, and Sender.
   * @default every address
   * @example senders: ['billing@acme.example', '*.shop.example']
   */
  senders?: readonly string[]
  /** Addresses and domains that the user may write to. @default every address */
  recipients?: readonly string[]
}

/** The certificate of the SMTP server. */
export interface IntakeTls {
  /** Private key in PEM form. */
  key: string | Uint8Array
  /** Certificate chain in PEM form. */
  cert: string | Uint8Array
  /** Whether a connection starts with TLS (RFC 8314), as on port 465. Otherwise, the server offers STARTTLS. @default false */
  implicit?: boolean
}

/** Limits on clients. Times are in milliseconds. */
export interface SmtpIntakeLimits {
  /** Maximum number of open connections. @default 500 */
  connections?: number
  /** Maximum number of open connections from one address, or one /64 network of IPv6. @default 100 */
  connectionsPerClient?: number
  /** Maximum number of recipients of one message. @default 50, the default of the mailer's `limits.recipients` */
  recipients?: number
  /** Maximum size in bytes of all messages that are being received; one client may take half of it. @default 268_435_456 (256 MB) */
  memory?: number
  /** Maximum size in bytes of a message's header. @default 262_144 (256 KB) */
  header?: number
  /** Maximum number of fields in a header. @default 1000 */
  fields?: number
  /** Maximum number of Received fields; a message with more is going round in a loop (RFC 5321 section 6.3). @default 30 */
  hops?: number
  /** Maximum time for a client to complete a command. @default 300_000 (RFC 5321 section 4.5.3.2.7) */
  command?: number
  /** Maximum time for a client to transfer a message. @default 600_000 */
  transfer?: number
  /** Maximum number of commands between two messages, besides those that name accepted recipients. @default 100 */
  commands?: number
  /** Maximum number of wrong passwords from one address, or one /64 network of IPv6, in a minute. @default 20 */
  failedLogins?: number
}

export interface SmtpIntakeOptions {
  /** Port to listen on; 0 selects any free port. @default 2525 */
  port?: number
  /** Address to listen on. It must be a loopback address without `auth`. @default '127.0.0.1' */
  host?: string
  /** Users that clients must authenticate as. @default every client on this machine may submit mail */
  auth?: { users: readonly IntakeUser[] }
  /**
   * Certificate of the server. Required with `auth` beyond loopback; `false` accepts passwords without TLS, for a proxy that ends TLS.
   * @default no TLS
   */
  tls?: IntakeTls | false
  /** Addresses and domains that mail may be from. @default every address */
  senders?: readonly string[]
  /** Addresses and domains that mail may be for. @default every address */
  recipients?: readonly string[]
  /** Maximum bytes of one message, announced as SIZE (RFC 1870). @default 26_214_400 (25 MB) */
  size?: number
  /**
   * With 'message-id', messages with the same Message-ID, sender, and recipients are one message, so that a client may repeat one
   * whose reply was lost. The client must not use the Message-ID for another message.
   * @default none
   */
  deduplicate?: 'message-id'
  /**
   * Address of the mailer's option `bounces`. Mail for it, with or without a tag, is taken in as a report (`mailer.report()`) and not
   * relayed. Every client may send it, without a login.
   * @default none
   */
  bounces?: string
  /** Name of this server in its greeting and in Received fields. @default the machine's host name */
  name?: string
  /** Limits on clients. */
  limits?: SmtpIntakeLimits
  /** Logger of refused mail, pino-shaped. @default silent */
  logger?: Logger
}

export interface ResolvedUser {
  user: string
  pass: string
  scopes: readonly Scope[]
  senders?: AddressList
  recipients?: AddressList
}

export interface ResolvedSmtpIntake {
  port: number
  host: string
  users?: readonly ResolvedUser[]
  tls?: { key: string | Buffer; cert: string | Buffer; implicit: boolean }
  senders?: AddressList
  recipients?: AddressList
  size: number
  deduplicate: boolean
  bounces?: string
  name: string
  limits: Required<SmtpIntakeLimits>
  logger: Logger
}

const SCOPES: readonly Scope[] = ['send', 'read', 'manage', 'templates']

export const DEFAULT_LIMITS: Required<SmtpIntakeLimits> = {
  connections: 500,
  connectionsPerClient: 100,
  recipients: 50,
  memory: 256 * 1024 * 1024,
  header: 256 * 1024,
  fields: 1000,
  hops: 30,
  command: 300_000,
  transfer: 600_000,
  commands: 100,
  failedLogins: 20,
}
const TIMES: ReadonlySet<keyof SmtpIntakeLimits> = new Set(['command', 'transfer'])
/** The longest message, as in the mailer's limits. */
const MAX_SIZE = 2 ** 29

const check: Validator = new Validator('INVALID_OPTIONS')

/** @throws ThreadpostError `INVALID_OPTIONS` */
export function resolveSmtpIntake(options: SmtpIntakeOptions): ResolvedSmtpIntake {
  const input = check.object(options, '', [
    ...[
      'port',
      'host',
      'auth',
      'tls',
      'senders',
      'recipients',
      'size',
      'deduplicate',
      'bounces',
      'name',
      'limits',
      'logger',
    ],
  ])
  const host = check.string(input['host'] ?? '127.0.0.1', 'host', 255)
  const users = usersOf(input['auth'])
  const tls = tlsOf(input['tls'])
  if (users === undefined && !isLoopback(host))
    check.fail(
      'auth',
      `is required to listen on ${host}, because anyone who can reach it could send mail; or listen on 127.0.0.1`,
    )
  if (users !== undefined && input['tls'] === undefined && !isLoopback(host))
    check.fail(
      'tls',
      `is required to listen on ${host}, because passwords could otherwise be read in transit; false accepts that`,
    )
  const limits = limitsOf(input['limits'])
  const size = check.integer(input['size'] ?? 25 * 1024 * 1024, 'size', 1, MAX_SIZE)
  if (limits.memory < size) check.fail('limits.memory', `must be at least size, which is ${size}`)
  if (input['deduplicate'] !== undefined) check.oneOf(input['deduplicate'], 'deduplicate', ['message-id'])
  const name = check.string(input['name'] ?? hostname(), 'name', 255)
  if (!/^[\w.-]+$/.test(name)) check.fail('name', 'must be a host name')
  return {
    port: check.integer(input['port'] ?? 2525, 'port', 0, 65_535),
    host,
    ...(users === undefined ? {} : { users }),
    ...(tls === undefined ? {} : { tls }),
    ...optionalList(input['senders'], 'senders'),
    ...optionalList(input['recipients'], 'recipients'),
    size,
    deduplicate: input['deduplicate'] === 'message-id',
    ...(input['bounces'] === undefined ? {} : { bounces: parseAddress(input['bounces'], 'bounces', check) }),
    name,
    limits,
    logger: resolveLogger(check, input['logger']),
  }
}

function usersOf(auth: unknown): ResolvedUser[] | undefined {
  if (auth === undefined) return undefined
  const { users } = check.object(auth, 'auth', ['users'])
  const list = check.array(users, 'auth.users', 10_000)
  if (list.length === 0) check.fail('auth.users', 'must have at least one user')
  const names = new Set<string>()
  return list.map((entry, index) => {
    const path = `auth.users[${index}]`
    const input = check.object(entry, path, ['user', 'pass', 'scopes', 'senders', 'recipients'])
    const user = check.string(input['user'], `${path}.user`, 255)
    const pass = check.string(input['pass'], `${path}.pass`, 1024)
    if (user === '' || /\p{Cc}/u.test(user))
      check.fail(`${path}.user`, 'must be a name without control characters')
    if (pass === '') check.fail(`${path}.pass`, 'must not be empty')
    if (names.size === names.add(user).size) check.fail(`${path}.user`, 'is already the name of another user')
    return {
      user,
      pass,
      scopes: check
        .array(input['scopes'] ?? ['send'], `${path}.scopes`, SCOPES.length)
        .map((scope, at) => check.oneOf(scope, `${path}.scopes[${at}]`, SCOPES)),
      ...optionalList(input['senders'], 'senders', path),
      ...optionalList(input['recipients'], 'recipients', path),
    }
  })
}

function tlsOf(value: unknown): ResolvedSmtpIntake['tls'] {
  if (value === undefined || value === false) return undefined
  const tls = check.object(value, 'tls', ['key', 'cert', 'implicit'])
  return {
    key: pemOf(tls['key'], 'tls.key'),
    cert: pemOf(tls['cert'], 'tls.cert'),
    implicit: check.boolean(tls['implicit'] ?? false, 'tls.implicit'),
  }
}

function pemOf(value: unknown, path: string): string | Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : check.string(value, path)
}

function optionalList<K extends string>(value: unknown, key: K, within = ''): { [key in K]?: AddressList } {
  if (value === undefined) return {}
  const path = within === '' ? key : `${within}.${key}`
  return { [key]: new AddressList(check.array(value, path, 10_000), path, check) } as {
    [key in K]?: AddressList
  }
}

function limitsOf(value: unknown): Required<SmtpIntakeLimits> {
  const keys = Object.keys(DEFAULT_LIMITS) as (keyof SmtpIntakeLimits)[]
  const input = check.object(value ?? {}, 'limits', keys)
  const limits = { ...DEFAULT_LIMITS }
  for (const key of keys)
    if (input[key] !== undefined)
      limits[key] = check.integer(
        input[key],
        `limits.${key}`,
        1,
        TIMES.has(key) ? MAX_TIMER : Number.MAX_SAFE_INTEGER,
      )
  return limits
}

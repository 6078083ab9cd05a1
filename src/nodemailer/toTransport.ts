import wellKnown from 'nodemailer/lib/well-known'
import type { AuthOptions, Logger, TransportInput } from '../index.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { present, refuseFields, unsupported } from './fields.js'

/**
 * Parses a URL, which may have options in its query:
 * `smtps://user:pass@host/?pool=true&tls.rejectUnauthorized=false`.
 */
function optionsOfUrl(value: unknown, check: Validator): Record<string, unknown> {
  const text = check.string(value, 'url')
  if (!URL.canParse(text)) check.fail('url', "is not a URL such as 'smtp://user:pass@host:587'")
  const url = new URL(text)
  const options: Record<string, unknown> = { secure: url.protocol === 'smtps:' }
  if (url.protocol === 'direct:') options['direct'] = true
  if (url.hostname !== '') options['host'] = url.hostname.replace(/^\[|\]$/g, '')
  if (url.port !== '') options['port'] = Number(url.port)
  if (url.username !== '' || url.password !== '')
    options['auth'] = { user: decode(url.username, check), pass: decode(url.password, check) }
  const tls: Record<string, unknown> = {}
  for (const [key, text] of url.searchParams) {
    if (key.startsWith('tls.')) tls[key.slice('tls.'.length)] = parseValue(text)
    else options[key] = parseValue(text)
  }
  if (Object.keys(tls).length > 0) options['tls'] = tls
  return options
}

function decode(part: string, check: Validator): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return check.fail('url', 'contains a user or password with invalid percent-encoding (write % as %25)')
  }
}

function parseValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && !Number.isNaN(Number(text)) ? Number(text) : text
}

const check: Validator = new Validator('INVALID_OPTIONS')

const OWN_MAILER = 'Create a mailer with createMailer() and pass it to createTransport().'
/** Options without an equivalent in threadpost, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  sendmail: 'Use an SMTP server, such as a local one at smtp://localhost:25.',
  SES: `${OWN_MAILER} Use an ses: transport.`,
  direct: 'Use the SMTP server that relays your mail.',
  lmtp: 'threadpost does not support LMTP.',
  socket: "A socket can't be passed to a worker thread.",
  connection: "A socket can't be passed to a worker thread.",
  getSocket: "A function can't be passed to a worker thread. For an HTTP proxy, use proxy.",
  customAuth: "A function can't be passed to a worker thread.",
  opportunisticTLS: 'Set requireTLS: false to send without TLS if the server has no STARTTLS.',
  forceAuth: 'threadpost authenticates only to servers that offer AUTH.',
  normalizeHeaderKey: 'Header names are always written as X-My-Key.',
  secured: "A socket can't be passed to a worker thread.",
}
/** Options without effect: the worker threads manage their connections themselves. */
const IGNORED = [
  'maxRequeues',
  'idleTimeout',
  'socketCloseTimeout',
  'dnsTimeout',
  'maxResponseSize',
  'authMethod',
  'debug',
  'transactionLog',
  'component',
  'allowInternalNetworkInterfaces',
]
/** Options that apply to every message. */
const MESSAGE_OPTIONS = ['disableFileAccess', 'disableUrlAccess', 'attachDataUrls', 'maxRecipients'] as const
/** Options of nodemailer that this module maps. */
const MAPPED = [
  'service',
  'host',
  'port',
  'secure',
  'auth',
  'name',
  'requireTLS',
  'ignoreTLS',
  'tls',
  'servername',
  'connectionTimeout',
  'greetingTimeout',
  'socketTimeout',
  'proxy',
  'localAddress',
  'dkim',
  'pool',
  'maxConnections',
  'maxMessages',
  'rateLimit',
  'rateDelta',
  'logger',
  ...MESSAGE_OPTIONS,
]
const KEYS = [...MAPPED, ...IGNORED, ...Object.keys(REFUSED)]
/** OAuth 2.0 options without effect: threadpost decides how and when to request a token. */
const AUTH_IGNORED = [
  'type',
  'method',
  'expires',
  'timeout',
  'service',
  'serviceRequestTimeout',
  'requestTimeout',
]
const AUTH_KEYS = [
  'user',
  'pass',
  'accessToken',
  'refreshToken',
  'clientId',
  'clientSecret',
  'accessUrl',
  'serviceClient',
  'privateKey',
  'scope',
]
const DEFAULT_CONNECTIONS = 5

export interface MappedTransport {
  transport: TransportInput
  /** Options that apply to every message. */
  forced: Readonly<Record<string, unknown>>
  logger?: Logger
  /** Whether connections, and therefore threads, are kept until the transporter is closed. */
  pool: boolean
  connections: number
}

/**
 * Converts nodemailer's options or URL of a server to a transport of threadpost.
 * @throws ThreadpostError `UNSUPPORTED` with the name of an option that only nodemailer supports, `INVALID_OPTIONS`
 */
export function toTransport(value: unknown): MappedTransport {
  if (typeof value === 'object' && value !== null && typeof (value as { send?: unknown }).send === 'function')
    unsupported(
      'transporter',
      `The worker threads load custom transports themselves: use { module, options }. ${OWN_MAILER}`,
    )
  if (typeof value === 'string' && !/^(?:smtps?|direct):/i.test(value)) return unmapped(value)
  const input = isPlainObject(value) ? value : { url: value }
  // Transports of threadpost: a plugin with its module, or a service other than SMTP.
  if ('module' in input) return unmapped(input as unknown as TransportInput)
  if (typeof input['url'] === 'string' && !/^(?:smtps?|direct):/i.test(input['url']))
    return unmapped(input as unknown as TransportInput)

  const { url, ...rest } = input
  const options: Record<string, unknown> = {
    ...rest,
    ...(url === undefined ? {} : optionsOfUrl(url, check)),
  }
  check.object(options, '', KEYS)
  refuseFields(options, REFUSED)
  Object.assign(options, serviceOf(options['service']))
  const pool = options['pool'] === true
  const logger = loggerOf(options['logger'])
  const connections = check.integer(
    options['maxConnections'] ?? DEFAULT_CONNECTIONS,
    'maxConnections',
    1,
    10_000,
  )
  return {
    transport: {
      url: urlOf(options),
      ...present('auth', authOf(options['auth'])),
      ...present('ehloName', options['name']),
      ...present('requireTLS', options['requireTLS']),
      ...present('ignoreTLS', options['ignoreTLS']),
      ...present('proxy', options['proxy']),
      ...present('localAddress', options['localAddress']),
      ...present('tls', tlsOf(options)),
      ...present('timeouts', timeoutsOf(options)),
      ...present('dkim', dkimOf(options['dkim'])),
      ...present('rate', rateOf(options)),
      ...(pool ? { connections, ...present('messagesPerConnection', options['maxMessages']) } : {}),
    } as TransportInput,
    forced: forcedFields(options),
    pool,
    connections,
    ...present('logger', logger),
  }
}

/** Returns a transport of threadpost as it is. An inbox loses its mail when it closes, so it is kept like a pool. */
function unmapped(transport: TransportInput): MappedTransport {
  const url = typeof transport === 'string' ? transport : 'url' in transport ? transport.url : ''
  return { transport, forced: {}, pool: url.startsWith('inbox:'), connections: DEFAULT_CONNECTIONS }
}

/** The options of nodemailer that every message gets, whatever the message says. */
export function forcedFields(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    MESSAGE_OPTIONS.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]),
  )
}

/** Returns host, port, and `secure` of a well-known service, from nodemailer's list. */
function serviceOf(name: unknown): Record<string, unknown> {
  if (name === undefined) return {}
  const service = wellKnown(check.string(name, 'service', 200))
  if (service === false) check.fail('service', 'is not known: use host and port')
  const { host, port, secure } = service
  return { host, ...present('port', port), ...present('secure', secure) }
}

function urlOf(options: Record<string, unknown>): string {
  const host = check.string(options['host'] ?? 'localhost', 'host', 255)
  const portInput = options['port'] === undefined ? undefined : Number(options['port'])
  const secure = check.boolean(options['secure'] ?? portInput === 465, 'secure')
  const port = check.integer(portInput ?? (secure ? 465 : 587), 'port', 1, 65_535)
  const url = `${secure ? 'smtps' : 'smtp'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(url) || new URL(url).pathname !== '') check.fail('host', 'is not a valid host name')
  return url
}

function authOf(value: unknown): AuthOptions | undefined {
  if (value === undefined || value === null) return undefined
  const input = check.object(value, 'auth', [...AUTH_KEYS, ...AUTH_IGNORED])
  const type = input['type'] === undefined ? 'login' : check.string(input['type'], 'auth.type').toLowerCase()
  if (type === 'custom') unsupported('auth.type', "A function can't be passed to a worker thread.")
  const auth: Record<string, unknown> = {}
  for (const key of AUTH_KEYS) if (input[key] !== undefined) auth[key] = input[key]
  if (type === 'oauth2') delete auth['pass']
  return auth as unknown as AuthOptions
}

function tlsOf(options: Record<string, unknown>): object | undefined {
  const servername = options['servername']
  if (options['tls'] === undefined && servername === undefined) return undefined
  const { ca, ...tls } = check.object(options['tls'] ?? {}, 'tls', [
    'rejectUnauthorized',
    'ca',
    'servername',
    'minVersion',
  ])
  const text = (pem: unknown): unknown => (Buffer.isBuffer(pem) ? pem.toString('utf8') : pem)
  return {
    ...present('servername', servername),
    ...tls,
    ...present('ca', Array.isArray(ca) ? ca.map(text) : text(ca)),
  }
}

/** nodemailer's `socketTimeout` limits inactivity; here it limits each of the two waits for a reply. */
function timeoutsOf(options: Record<string, unknown>): object | undefined {
  const { connectionTimeout, greetingTimeout, socketTimeout } = options
  if (connectionTimeout === undefined && greetingTimeout === undefined && socketTimeout === undefined)
    return undefined
  return {
    ...present('connect', connectionTimeout),
    ...present('greeting', greetingTimeout),
    ...present('envelope', socketTimeout),
    ...present('body', socketTimeout),
  }
}

function dkimOf(value: unknown): object[] | undefined {
  if (value === undefined || value === null || value === false) return undefined
  if (!isPlainObject(value)) check.fail('dkim', `must be an object, got ${kindOf(value)}`)
  const list = value['keys'] ?? [value]
  return (Array.isArray(list) ? list : [list]).map((key: unknown, index) => {
    const path = value['keys'] === undefined ? 'dkim' : `dkim.keys[${index}]`
    if (!isPlainObject(key)) check.fail(path, `must be an object, got ${kindOf(key)}`)
    for (const field of ['headerFieldNames', 'skipFields'])
      if (key[field] !== undefined || value[field] !== undefined)
        unsupported(`${path}.${field}`, 'The list of signed headers is fixed.')
    check.object(key, path, DKIM_KEYS)
    if ((key['hashAlgo'] ?? value['hashAlgo'] ?? 'sha256') !== 'sha256')
      unsupported(`${path}.hashAlgo`, 'Signatures always use rsa-sha256.')
    if (typeof key['privateKey'] === 'object')
      unsupported(`${path}.privateKey`, 'Pass an RSA key as PEM without a passphrase.')
    return { domain: key['domainName'], selector: key['keySelector'], privateKey: key['privateKey'] }
  })
}

/** Fields of a DKIM key. The cache options have no effect. */
const DKIM_KEYS = ['domainName', 'keySelector', 'privateKey', 'hashAlgo', 'cacheDir', 'cacheTreshold']

function rateOf({ rateLimit, rateDelta = 1_000 }: Record<string, unknown>): number | undefined {
  if (rateLimit === undefined || rateLimit === 0) return undefined
  return (1_000 * check.number(rateLimit, 'rateLimit', 0)) / check.number(rateDelta, 'rateDelta', 1)
}

function loggerOf(value: unknown): Logger | undefined {
  if (value === undefined || value === false) return undefined
  return value === true ? console : (value as Logger)
}

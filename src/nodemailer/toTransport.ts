import wellKnown from 'nodemailer/lib/well-known'
import type { AuthOptions, Logger, TransportInput } from '../index.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { refuse, unsupported } from './refusal.js'

/** A URL may carry options: `smtps://user:pass@host/?pool=true&tls.rejectUnauthorized=false`. */
function optionsOfUrl(value: unknown, check: Validator): Record<string, unknown> {
  const text = check.string(value, 'url')
  if (!URL.canParse(text)) check.fail('url', "is not a URL such as 'smtp://user:pass@host:587'")
  const url = new URL(text)
  const options: Record<string, unknown> = { secure: url.protocol === 'smtps:' }
  if (url.protocol === 'direct:') options['direct'] = true
  if (url.hostname !== '') options['host'] = url.hostname.replace(/^\[|\]$/g, '')
  if (url.port !== '') options['port'] = Number(url.port)
  if (url.username !== '' || url.password !== '')
    options['auth'] = { user: decoded(url.username, check), pass: decoded(url.password, check) }
  const tls: Record<string, unknown> = {}
  for (const [key, text] of url.searchParams) {
    if (key.startsWith('tls.')) tls[key.slice('tls.'.length)] = typed(text)
    else options[key] = typed(text)
  }
  if (Object.keys(tls).length > 0) options['tls'] = tls
  return options
}

function decoded(part: string, check: Validator): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return check.fail('url', 'user or password is not percent-encoded correctly (a % must be written %25)')
  }
}

function typed(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && !Number.isNaN(Number(text)) ? Number(text) : text
}

const check: Validator = new Validator('INVALID_OPTIONS')

const SELF = 'Make a mailer with createMailer() and give that to createTransport().'
const REFUSED: Readonly<Record<string, string>> = {
  sendmail: 'Give an SMTP server; a local one is smtp://localhost:25.',
  streamTransport: "Mail can go to a folder: createTransport('file:./outbox').",
  jsonTransport: "Mail can go to a folder: createTransport('file:./outbox').",
  SES: `${SELF} Its transport is ses:.`,
  direct: 'Give the server that takes your mail.',
  lmtp: 'LMTP is not spoken.',
  socket: 'A socket can not go to a thread.',
  connection: 'A socket can not go to a thread.',
  getSocket: 'A function can not go to a thread; an HTTP proxy is given as proxy.',
  customAuth: 'A function can not go to a thread.',
  localAddress: 'Connections leave by the address that the system chooses.',
  ignoreTLS:
    'Give requireTLS: false to send in clear where STARTTLS is missing, and tls.rejectUnauthorized: false where its certificate is not known.',
  opportunisticTLS: 'Give requireTLS: false to send in clear where STARTTLS is missing.',
  forceAuth: 'A password is given to a server that asks for one.',
  attachDataUrls: 'Give the images as attachments with a cid.',
  normalizeHeaderKey: 'Names of headers are written as X-My-Key.',
  maxRecipients: 'Give limits.recipients in the third argument.',
  secured: 'A socket can not go to a thread.',
}
/** Of no consequence here: connections are kept, and renewed, as the threads need them. */
const IGNORED = [
  'maxMessages',
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
  'disableFileAccess',
  'disableUrlAccess',
]
const MAPPED = [
  'service',
  'host',
  'port',
  'secure',
  'auth',
  'name',
  'requireTLS',
  'tls',
  'servername',
  'connectionTimeout',
  'greetingTimeout',
  'socketTimeout',
  'proxy',
  'dkim',
  'pool',
  'maxConnections',
  'rateLimit',
  'rateDelta',
  'logger',
]
const KEYS = [...MAPPED, ...IGNORED, ...Object.keys(REFUSED)]
/** Of OAuth 2.0, what says how and when a token is asked for, which threadpost decides by itself. */
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
  logger?: Logger
  /** Whether its connections, and so the threads, are to be kept until it is closed. */
  pool: boolean
  connections: number
}

/**
 * nodemailer's options for a server, or its URL, as a transport of threadpost's.
 * @throws ThreadpostError `UNSUPPORTED` with the name of what only nodemailer can do, `INVALID_OPTIONS`
 */
export function toTransport(value: unknown): MappedTransport {
  if (typeof value === 'object' && value !== null && typeof (value as { send?: unknown }).send === 'function')
    unsupported(
      'transporter',
      `A transport of your own is loaded in the threads, by { module, options }. ${SELF}`,
    )
  if (typeof value === 'string' && !/^(?:smtps?|direct):/i.test(value)) return ready(value)
  const given = isPlainObject(value) ? value : { url: value }
  // threadpost's own: a plugin by its module, or another service than SMTP.
  if ('module' in given) return ready(given as unknown as TransportInput)
  if (typeof given['url'] === 'string' && !/^(?:smtps?|direct):/i.test(given['url']))
    return ready(given as unknown as TransportInput)

  const { url, ...beside } = given
  const options: Record<string, unknown> = {
    ...beside,
    ...(url === undefined ? {} : optionsOfUrl(url, check)),
  }
  check.object(options, '', KEYS)
  refuse(options, REFUSED)
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
      ...present('proxy', options['proxy']),
      ...present('tls', tlsOf(options)),
      ...present('timeouts', timeoutsOf(options)),
      ...present('dkim', dkimOf(options['dkim'])),
      ...present('rate', rateOf(options)),
      ...(pool ? { connections } : {}),
    } as TransportInput,
    pool,
    connections,
    ...present('logger', logger),
  }
}

/** The mail of an inbox is gone with it. */
function ready(transport: TransportInput): MappedTransport {
  const url = typeof transport === 'string' ? transport : 'url' in transport ? transport.url : ''
  return { transport, pool: url.startsWith('inbox:'), connections: DEFAULT_CONNECTIONS }
}

/** Host, port and `secure` of a well-known service, from nodemailer's list. */
function serviceOf(name: unknown): Record<string, unknown> {
  if (name === undefined) return {}
  const service = wellKnown(check.string(name, 'service', 200))
  if (service === false) check.fail('service', 'is not known: give host and port')
  const { host, port, secure } = service
  return { host, ...present('port', port), ...present('secure', secure) }
}

function urlOf(options: Record<string, unknown>): string {
  const host = check.string(options['host'] ?? 'localhost', 'host', 255)
  const given = options['port'] === undefined ? undefined : Number(options['port'])
  const secure = check.boolean(options['secure'] ?? given === 465, 'secure')
  const port = check.integer(given ?? (secure ? 465 : 587), 'port', 1, 65_535)
  const url = `${secure ? 'smtps' : 'smtp'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(url) || new URL(url).pathname !== '') check.fail('host', 'is not the name of a server')
  return url
}

function authOf(value: unknown): AuthOptions | undefined {
  if (value === undefined || value === null) return undefined
  const given = check.object(value, 'auth', [...AUTH_KEYS, ...AUTH_IGNORED])
  const type = given['type'] === undefined ? 'login' : check.string(given['type'], 'auth.type').toLowerCase()
  if (type === 'custom') unsupported('auth.type', 'A function can not go to a thread.')
  const auth: Record<string, unknown> = {}
  for (const key of AUTH_KEYS) if (given[key] !== undefined) auth[key] = given[key]
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

/** nodemailer's socketTimeout bounds silence; here it bounds each of the two waits for an answer. */
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
        unsupported(`${path}.${field}`, 'Which headers are signed is fixed.')
    check.object(key, path, DKIM_KEYS)
    if ((key['hashAlgo'] ?? value['hashAlgo'] ?? 'sha256') !== 'sha256')
      unsupported(`${path}.hashAlgo`, 'Signatures are rsa-sha256.')
    if (typeof key['privateKey'] === 'object')
      unsupported(`${path}.privateKey`, 'Give an RSA key as PEM without a passphrase.')
    return { domain: key['domainName'], selector: key['keySelector'], privateKey: key['privateKey'] }
  })
}

/** Which of the keys' fields there are; how nodemailer caches what it signs is of no consequence. */
const DKIM_KEYS = ['domainName', 'keySelector', 'privateKey', 'hashAlgo', 'cacheDir', 'cacheTreshold']

function rateOf({ rateLimit, rateDelta = 1_000 }: Record<string, unknown>): number | undefined {
  if (rateLimit === undefined || rateLimit === 0) return undefined
  return (1_000 * check.number(rateLimit, 'rateLimit', 0)) / check.number(rateDelta, 'rateDelta', 1)
}

function loggerOf(value: unknown): Logger | undefined {
  if (value === undefined || value === false) return undefined
  return value === true ? console : (value as Logger)
}

function present<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

import { isLoopback } from '../loopback.js'
import { TokenCell } from '../protocol/tokenCell.js'
import type { ApiTransport } from '../protocol/transportConfig.js'
import type { Validator } from '../validation.js'

/** The settings of mail services with an HTTP API, in addition to `apiKey` and `endpoint`. */
export interface MailServiceOptions {
  /** `postmark:`: the server's API token. @default the token in the URL */
  token?: string
  /** `postmark:`: the message stream. @default the server's transactional stream */
  messageStream?: string
  /** `mailgun:`: the sending domain. @default none; required */
  domain?: string
  /** `mailjet:`: the secret key. @default the password in the URL */
  secretKey?: string
  /** `sendgrid:`, `mailgun:`, `brevo:`, and `mailjet:`: whether the service only checks the mail and sends nothing. @default false */
  sandbox?: boolean
  /** `msgraph:`: the tenant (directory) of the application. @default none; required */
  tenantId?: string
  /** `msgraph:`: the application. @default none; required */
  clientId?: string
  /** `msgraph:`: the application's secret. @default none; required */
  clientSecret?: string
  /** `msgraph:`: the mailbox that sends: an address or an id. @default none; required */
  user?: string
  /** `msgraph:`: the URL that issues access tokens. @default Microsoft's, for the tenant */
  tokenEndpoint?: string
}

export const MAIL_SERVICE_KEYS = [
  'token',
  'messageStream',
  'domain',
  'secretKey',
  'sandbox',
  'tenantId',
  'clientId',
  'clientSecret',
  'user',
  'tokenEndpoint',
] as const satisfies readonly (keyof MailServiceOptions)[]

interface Service {
  label: string
  endpoint: string
  /** Credentials; the first two may be in the URL, as user and password. */
  secrets: readonly string[]
  required: Readonly<Record<string, RegExp>>
  optional: readonly string[]
}

const NAME = /^[\w.-]{1,128}$/

/** The services by the scheme of their URL. */
const SERVICES: Readonly<Record<ApiTransport['kind'], Service>> = {
  sendgrid: {
    label: 'SendGrid',
    endpoint: 'https://api.sendgrid.com',
    secrets: ['apiKey'],
    required: {},
    optional: ['sandbox'],
  },
  postmark: {
    label: 'Postmark',
    endpoint: 'https://api.postmarkapp.com',
    secrets: ['token'],
    required: {},
    optional: ['messageStream'],
  },
  mailgun: {
    label: 'Mailgun',
    endpoint: 'https://api.mailgun.net',
    secrets: ['apiKey'],
    required: { domain: /^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$/ },
    optional: ['sandbox'],
  },
  resend: {
    label: 'Resend',
    endpoint: 'https://api.resend.com',
    secrets: ['apiKey'],
    required: {},
    optional: [],
  },
  brevo: {
    label: 'Brevo',
    endpoint: 'https://api.brevo.com',
    secrets: ['apiKey'],
    required: {},
    optional: ['sandbox'],
  },
  mailjet: {
    label: 'Mailjet',
    endpoint: 'https://api.mailjet.com',
    secrets: ['apiKey', 'secretKey'],
    required: {},
    optional: ['sandbox'],
  },
  msgraph: {
    label: 'Microsoft Graph',
    endpoint: 'https://graph.microsoft.com',
    secrets: ['clientSecret'],
    required: { tenantId: NAME, clientId: NAME, user: /^[^\s/?#]{1,320}$/ },
    optional: ['tokenEndpoint'],
  },
}

export const MAIL_SERVICE_SCHEMES = Object.keys(SERVICES).map((kind) => `${kind}:`)

/** The options of each scheme, without those that every transport has. */
export const MAIL_SERVICE_FIELDS: Record<string, readonly string[]> = Object.fromEntries(
  Object.entries(SERVICES).map(([kind, { secrets, required, optional }]) => [
    `${kind}:`,
    ['endpoint', ...secrets, ...Object.keys(required), ...optional],
  ]),
)

/** Resolves `sendgrid:` and the others, with the credentials as options or as `postmark://TOKEN@`; the host is optional. */
export function resolveMailService(
  check: Validator,
  name: string,
  text: string,
  given: Record<string, unknown>,
  at: string,
): ApiTransport {
  const kind = text.slice(0, text.indexOf(':')) as ApiTransport['kind']
  const service = SERVICES[kind]
  const { label } = service
  const url = /^[a-z]+:(?:\/\/(?:([^@/:]*)(?::([^@/]*))?@)?([^/@]*)\/?)?$/.exec(text)
  if (url === null) check.fail(at, `must be '${kind}:' with its settings as fields next to the url`)
  const [, user, password, host = ''] = url
  const settings: Record<string, string | boolean> = {}
  for (const [index, key] of service.secrets.entries()) {
    const secret = check.string(given[key] ?? (index === 0 ? user : password) ?? '', `${at}.${key}`, 512)
    if (secret === '') check.fail(`${at}.${key}`, `is required by ${label}`)
    if (!/^[\x21-\x7e]+$/.test(secret))
      check.fail(`${at}.${key}`, 'contains a character that is not allowed in it')
    settings[key] = secret
  }
  for (const [key, pattern] of Object.entries(service.required)) {
    if (given[key] === undefined) check.fail(`${at}.${key}`, `is required by ${label}`)
    const value = check.string(given[key], `${at}.${key}`, 512)
    if (!pattern.test(value)) check.fail(`${at}.${key}`, 'contains a character that is not allowed in it')
    settings[key] = value
  }
  for (const key of service.optional) {
    if (given[key] === undefined) continue
    settings[key] =
      key === 'sandbox'
        ? check.boolean(given[key], `${at}.${key}`)
        : check.string(given[key], `${at}.${key}`, 512)
  }
  const endpoint = originOf(
    check,
    given['endpoint'] ?? (host === '' ? service.endpoint : `https://${host}`),
    `${at}.endpoint`,
  )
  const transport = { kind, name, endpoint, ...settings } as unknown as ApiTransport
  if (transport.kind !== 'msgraph') return transport
  const tokenEndpoint = settings['tokenEndpoint'] ?? microsoftTokens(transport.tenantId)
  return {
    ...transport,
    tokenEndpoint: tokenEndpointOf(check, tokenEndpoint, `${at}.tokenEndpoint`),
    cell: TokenCell.allocate(),
  }
}

/** Returns the URL at which Microsoft issues access tokens for a tenant (directory). */
export function microsoftTokens(tenantId: string): string {
  return `https://login.microsoftonline.com/${tenantId}/oauth2/v2.0/token`
}

/** Returns the URL of a token endpoint. */
export function tokenEndpointOf(check: Validator, value: unknown, at: string): string {
  const text = check.string(value, at)
  if (!URL.canParse(text)) check.fail(at, "is not a URL such as 'https://login.example.com/token'")
  const { origin, pathname, search } = new URL(text)
  return originOf(check, origin, at) + pathname + search
}

/** Returns the origin of an API. It must be https, so that credentials never cross a network unencrypted. */
export function originOf(check: Validator, value: unknown, at: string): string {
  const text = check.string(value, at)
  if (!URL.canParse(text)) check.fail(at, "is not a URL such as 'https://api.example.com'")
  const { protocol, hostname, origin, pathname } = new URL(text)
  const safe = protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
  if (!safe) check.fail(at, 'must be https, or http on this machine')
  if (pathname !== '/') check.fail(at, 'must end after the host and port')
  return origin
}

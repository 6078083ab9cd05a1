import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { toJsonObject } from '../message/json.js'
import type { JsonObject } from '../protocol/tasks.js'
import type {
  FileTransport,
  PluginTransport,
  SesCredentials,
  SesTransport,
} from '../protocol/transportConfig.js'
import type { Validator } from '../validation.js'
import { resolveDkim } from './auth.js'
import {
  MAIL_SERVICE_FIELDS,
  MAIL_SERVICE_KEYS,
  MAIL_SERVICE_SCHEMES,
  type MailServiceOptions,
  originOf,
} from './mailServices.js'

/** The options of mail services, in addition to those of every transport. */
export interface ServiceOptions extends MailServiceOptions {
  /** `sendgrid:`, `mailgun:`, `resend:`, `brevo:`, and `mailjet:`: the API key. @default the key in the URL */
  apiKey?: string
  /** Mail services: the origin of the API, such as that of another region. @default the service's own */
  endpoint?: string
  /** `ses:`: the region, such as `eu-central-1`. @default the region that the AWS SDK finds in its environment */
  region?: string
  /** `ses:`: the credentials of the account. @default the credentials that the AWS SDK finds in its environment */
  credentials?: SesCredentials
  /** `ses:`: the name of the configuration set. @default none */
  configurationSet?: string
}

/** A nodemailer transport plugin. */
export interface PluginOptions {
  /** A package, resolved from the working directory, or a path to a module. Each thread loads it. */
  module: string
  /** The argument of the function that the module exports: plain data. @default none */
  options?: JsonObject
}

type Given = Record<string, unknown>

export const SERVICE_KEYS = [
  'apiKey',
  'endpoint',
  'region',
  'credentials',
  'configurationSet',
  ...MAIL_SERVICE_KEYS,
] as const satisfies readonly (keyof ServiceOptions)[]

/** The fields of each scheme, without those that every transport has. */
const FIELDS: Record<string, readonly string[]> = {
  'inbox:': ['dkim'],
  'file:': ['dkim'],
  'ses:': ['dkim', 'endpoint', 'region', 'credentials', 'configurationSet'],
  ...MAIL_SERVICE_FIELDS,
}

const SCHEMES = ['inbox:', 'file:', 'ses:', ...MAIL_SERVICE_SCHEMES]

/** Returns the scheme of a URL that does not name an SMTP server. */
export function serviceScheme(text: string): string | undefined {
  return SCHEMES.find((scheme) => text.startsWith(scheme))
}

/** Whether a transport's service builds the message, so that it can't send a finished one. */
export function buildsMessages({ kind }: { kind: string }): boolean {
  return (
    kind === 'sendgrid' ||
    kind === 'plugin' ||
    (kind !== 'mailgun' && MAIL_SERVICE_SCHEMES.includes(`${kind}:`))
  )
}

/** Rejects fields that only other transports have. */
export function checkFields(
  check: Validator,
  scheme: string,
  given: Given,
  common: readonly string[],
  path_: string,
): void {
  const known = FIELDS[scheme]
  for (const key of Object.keys(given)) {
    const service = (SERVICE_KEYS as readonly string[]).includes(key)
    const fits = known === undefined ? !service : known.includes(key) || common.includes(key)
    if (!fits) check.fail(`${path_}.${key}`, `is not an option of ${scheme} transports`)
  }
}

export function resolveFile(
  check: Validator,
  name: string,
  text: string,
  given: Given,
  at: string,
): FileTransport {
  const place = text.slice('file:'.length)
  if (place === '' || place === '//') check.fail(at, "must name a folder, as in 'file:./outbox'")
  let dir: string
  try {
    dir = place.startsWith('//') ? fileURLToPath(text) : path.resolve(place)
  } catch {
    return check.fail(at, "is not the path of a folder on this machine, as in 'file:./outbox'")
  }
  const dkim = given['dkim']
  return {
    kind: 'file',
    name,
    dir,
    ...(dkim === undefined ? {} : { dkim: resolveDkim(check, dkim, `${at}.dkim`) }),
  }
}

/** Resolves `ses:` or `ses://REGION`. */
export function resolveSes(
  check: Validator,
  name: string,
  text: string,
  given: Given,
  at: string,
): SesTransport {
  const url = /^ses:(?:\/\/([a-z0-9-]*)\/?)?$/.exec(text)
  if (url === null) check.fail(at, "must be 'ses:' or 'ses://REGION'")
  const region = given['region'] ?? (url[1] === undefined || url[1] === '' ? undefined : url[1])
  const ses: SesTransport = { kind: 'ses', name }
  if (region !== undefined) ses.region = check.string(region, `${at}.region`, 64)
  if (given['credentials'] !== undefined)
    ses.credentials = credentialsOf(check, given['credentials'], `${at}.credentials`)
  if (given['endpoint'] !== undefined) ses.endpoint = originOf(check, given['endpoint'], `${at}.endpoint`)
  if (given['configurationSet'] !== undefined)
    ses.configurationSet = check.string(given['configurationSet'], `${at}.configurationSet`, 64)
  if (given['dkim'] !== undefined) ses.dkim = resolveDkim(check, given['dkim'], `${at}.dkim`)
  return ses
}

export function resolvePlugin(check: Validator, name: string, given: Given, at: string): PluginTransport {
  const module = check.string(given['module'], `${at}.module`)
  if (module === '') check.fail(`${at}.module`, 'must name a package or a path')
  return {
    kind: 'plugin',
    name,
    module: /^\.{1,2}[\\/]/.test(module) ? path.resolve(module) : module,
    options: toJsonObject(given['options'] ?? {}, `${at}.options`, check),
  }
}

function credentialsOf(check: Validator, value: unknown, at: string): SesCredentials {
  const given = check.object(value, at, ['accessKeyId', 'secretAccessKey', 'sessionToken'])
  const credentials: SesCredentials = {
    accessKeyId: check.string(given['accessKeyId'], `${at}.accessKeyId`),
    secretAccessKey: check.string(given['secretAccessKey'], `${at}.secretAccessKey`),
  }
  if (given['sessionToken'] !== undefined)
    credentials.sessionToken = check.string(given['sessionToken'], `${at}.sessionToken`)
  return credentials
}

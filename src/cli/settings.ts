import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { MailerOptions } from '../options.js'
import { parseJson } from '../protocol/parseJson.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { TemplateOptions } from '../templates/templateOptions.js'
import type { DkimOptions } from '../transports/auth.js'
import { isPlainObject } from '../validation.js'

/** The fields of this package's package.json that the command uses. */
export const OWN_PACKAGE = parseJson(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
) as { version: string; dependencies: { express: string }; devDependencies: { '@types/express': string } }

/** The folder of the templates in this package. */
export const OWN_TEMPLATES = fileURLToPath(new URL('../../../templates', import.meta.url))

/** Returns a parser of whole numbers that are at least `min`. */
export function parseInteger(min: number): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (!Number.isInteger(number) || number < min)
      throw new InvalidArgumentError(`It must be a whole number of at least ${min}.`)
    return number
  }
}

/** Parses a port number; 0 selects any free port. */
export function parsePort(text: string): number {
  const port = parseInteger(0)(text)
  if (port > 65_535) throw new InvalidArgumentError('It must be a port number of at most 65535.')
  return port
}

/** Parses `DOMAIN:SELECTOR:FILE`. The file's name may contain colons. An empty setting is ignored. */
function parseDkim(text: string): DkimOptions | undefined {
  if (text === '') return undefined
  const [domain = '', selector = '', ...file] = text.split(':')
  const keyFile = file.join(':')
  if (domain === '' || selector === '' || keyFile === '')
    throw new InvalidArgumentError('It must be DOMAIN:SELECTOR:FILE, such as acme.example:mail:./dkim.pem.')
  return { domain, selector, keyFile }
}

/** Reads the data of a template, without the `@policy` of a sample file. Without a file, returns an empty object. */
export async function readTemplateData(file: string | undefined): Promise<object> {
  if (file === undefined) return {}
  const { '@policy': _policy, ...data } = await readJsonObject('--data', file)
  return data
}

/**
 * Reads a JSON file that contains an object.
 * @throws ThreadpostError `INVALID_OPTIONS` with the name of the flag
 */
async function readJsonObject(flag: string, file: string): Promise<JsonObject> {
  const data = await readJson(flag, file)
  if (isPlainObject(data)) return data as JsonObject
  throw new ThreadpostError(
    'INVALID_OPTIONS',
    `${flag}: ${nameOf(file) ?? 'its value'} must contain an object`,
  )
}

/**
 * Reads a JSON file.
 * @param file its name, or the JSON itself
 * @throws ThreadpostError `INVALID_OPTIONS` with the name of the flag
 */
export async function readJson(flag: string, file: string): Promise<unknown> {
  let text: string
  const name = nameOf(file)
  try {
    text = name === undefined ? file : await readFile(file, 'utf8')
  } catch (error) {
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: can't read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  try {
    return parseJson(text)
  } catch (error) {
    const what = name ?? 'its value'
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: ${what} is not JSON: ${(error as Error).message}`)
  }
}

/** Returns the name of a file; undefined if the setting is JSON itself, which no error quotes: it may contain a secret. */
export function nameOf(file: string): string | undefined {
  return file.trimStart().startsWith('{') || /["\n]/.test(file) ? undefined : file
}

/** The template folder of a command, and the application's additions to templates. */
export interface TemplateSettings {
  templates?: string
  helpers?: string
  setup?: string
  globals?: string
}

/** Creates a flag that an environment variable can set, too. */
function settingFlag(flags: string, description: string, variable: string): Option {
  return new Option(flags, description).env(`THREADPOST_${variable}`)
}

/** Adds the flags of all commands that read templates. */
export function withTemplateFlags(command: Command): Command {
  return command
    .addOption(
      settingFlag(
        '--templates <dir>',
        'template folder (default: ./templates; if that is missing, commands that send or render use the templates of this package, and say so)',
        'TEMPLATES',
      ),
    )
    .addOption(settingFlag('--helpers <file>', 'module that exports additional helpers', 'HELPERS'))
    .addOption(
      settingFlag(
        '--setup <file>',
        'module whose setup() registers helpers and opens their resources',
        'SETUP',
      ),
    )
    .addOption(
      settingFlag('--globals <file>', 'JSON file with the values that templates read as @app', 'GLOBALS'),
    )
}

/**
 * Returns the `templates` option of `createMailer()`. Empty settings are ignored.
 * @param fallback whether the templates of this package take the place of a missing ./templates, to try a command out
 */
export async function templateOptions(
  settings: TemplateSettings,
  fallback: 'bundled' | 'required',
): Promise<TemplateOptions> {
  const { templates, helpers, setup, globals } = withoutEmpty(settings)
  const own = templates === undefined && fallback === 'bundled' && !existsSync('templates')
  if (own)
    console.error(
      'threadpost: this folder has no ./templates, so the templates of the package are used; --templates names another folder',
    )
  return {
    dir: own ? OWN_TEMPLATES : (templates ?? 'templates'),
    ...(helpers === undefined ? {} : { helpers }),
    ...(setup === undefined ? {} : { setup }),
    ...(globals === undefined ? {} : { globals: await readJsonObject('--globals', globals) }),
  }
}

/** The queue of a command. */
export interface QueueSettings {
  queue?: string
  prefix?: string
  schema?: string
  encryptionKeyFile?: string
}

/** Adds the flags of all commands that open a queue. */
export function withQueueFlags(command: Command): Command {
  return command
    .addOption(
      settingFlag(
        '--queue <url>',
        'queue: memory, sqlite:PATH, redis://HOST:PORT, or postgres://HOST:PORT/DATABASE (default: memory)',
        'QUEUE',
      ),
    )
    .addOption(
      settingFlag('--prefix <name>', "prefix of the queue's keys in Redis (default: threadpost)", 'PREFIX'),
    )
    .addOption(
      settingFlag(
        '--schema <name>',
        "schema of the queue's tables in Postgres (default: threadpost)",
        'SCHEMA',
      ),
    )
    .addOption(encryptionFlag())
}

/** The keys themselves would be visible in the list of processes. */
export function encryptionFlag(): Option {
  return settingFlag(
    '--encryption-key-file <file>',
    'file with the encryption keys of the queue, one in base64 per line; the first one encrypts',
    'ENCRYPTION_KEY_FILE',
  )
}

/** @throws ThreadpostError `INVALID_OPTIONS` */
function readKeys(file: string): { keys: string[] } {
  try {
    return { keys: readFileSync(file, 'utf8').split(/\s+/).filter(Boolean) }
  } catch (error) {
    const { code = 'it can’t be read' } = error as { code?: string }
    throw new ThreadpostError('INVALID_OPTIONS', `--encryption-key-file: can't read ${file}: ${code}`, {
      path: '--encryption-key-file',
    })
  }
}

/** Returns the option `queue` of `createMailer()`, or undefined. Empty settings are ignored. */
export function queueOption(input: QueueSettings): MailerOptions['queue'] {
  const { queue, prefix, schema, encryptionKeyFile } = withoutEmpty(input)
  if (queue === undefined || (prefix ?? schema ?? encryptionKeyFile) === undefined) return queue
  return {
    url: queue,
    ...(prefix === undefined ? {} : { prefix }),
    ...(schema === undefined ? {} : { schema }),
    ...(encryptionKeyFile === undefined ? {} : { encryption: readKeys(encryptionKeyFile) }),
  }
}

/** Settings of the mailer, from flags and environment variables. Flags take precedence. */
export interface MailerSettings extends TemplateSettings, QueueSettings {
  transport?: string
  from?: string
  threads?: number
  dkim?: DkimOptions
  archive?: string
  allowInboxInProduction?: boolean
}

/** Of the commands that deliver for long. */
export function archiveFlag(): Option {
  return settingFlag(
    '--archive <dir>',
    'folder that keeps each message as it was sent (default: none)',
    'ARCHIVE',
  )
}

/** Adds the flags that all mail-sending commands share. */
export function withMailerFlags(command: Command): Command {
  return withQueueFlags(withTemplateFlags(command))
    .addOption(
      settingFlag(
        '--transport <url>',
        'URL of the mail transport: smtp://user:pass@host:587, smtps://…, sendgrid://KEY@, ses://REGION, postmark://TOKEN@, ' +
          'resend://KEY@, brevo://KEY@, mailjet://KEY:SECRET@, file:./folder, or inbox:',
        'TRANSPORT',
      ),
    )
    .addOption(settingFlag('--from <mailbox>', "default sender: 'Acme <hello@acme.example>'", 'FROM'))
    .addOption(
      settingFlag(
        '--dkim <domain:selector:file>',
        'sign the mail with the private key in this PEM file (DKIM): acme.example:mail:./dkim.pem',
        'DKIM',
      ).argParser(parseDkim),
    )
    .addOption(
      settingFlag(
        '--threads <n>',
        'number of worker threads; 0 sends in the main thread (default: 1)',
        'THREADS',
      ).argParser(parseInteger(0)),
    )
}

/** Returns the options of `createMailer()`, which validates them. Empty settings are ignored. */
export async function mailerOptions(input: MailerSettings): Promise<MailerOptions> {
  const settings = withoutEmpty(input)
  const url = settings.transport ?? 'inbox:'
  const options: MailerOptions = {
    transport: settings.dkim === undefined ? url : { url, dkim: settings.dkim },
    templates: await templateOptions(settings, 'bundled'),
    // A default sender only for the embedded inbox: real mail needs a real sender.
    ...(settings.transport === undefined ? { from: 'Threadpost <hello@threadpost.example>' } : {}),
  }
  if (settings.from !== undefined) options.from = settings.from
  if (settings.allowInboxInProduction === true) options.allowInboxInProduction = true
  if (settings.threads !== undefined) options.threads = settings.threads
  if (settings.archive !== undefined) options.archive = settings.archive
  const queue = queueOption(settings)
  if (queue !== undefined) options.queue = queue
  return options
}

/**
 * Requires a transport for commands whose mail must leave this machine. Without one, it would stay in the embedded
 * inbox.
 * @throws ThreadpostError `INVALID_OPTIONS`
 */
export function requireTransport({ transport }: MailerSettings): void {
  if (transport === undefined || transport === '')
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'transport: is required: --transport smtp://user:pass@host:587, or THREADPOST_TRANSPORT',
      { path: 'transport' },
    )
}

function withoutEmpty<T extends object>(settings: T): T {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== '')) as T
}

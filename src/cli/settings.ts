import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { isPlainObject } from '../check.js'
import { ThreadpostError } from '../errors.js'
import type { MailerOptions } from '../options.js'
import type { TemplateOptions } from '../templates/options.js'
import type { JsonObject } from '../wire/tasks.js'

/** What the command needs to know of the package it belongs to. */
export const OWN_PACKAGE = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
) as { version: string; dependencies: Record<'express' | '@types/express', string> }

/** The templates that come along. */
export const OWN_TEMPLATES = fileURLToPath(new URL('../../../templates', import.meta.url))

/** Parses a whole number not below `min`. */
export function parseInteger(min: number): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (!Number.isInteger(number) || number < min)
      throw new InvalidArgumentError(`It must be a whole number from ${min} up.`)
    return number
  }
}

/** Parses the number of a port; 0 is any free one. */
export function parsePort(text: string): number {
  const port = parseInteger(0)(text)
  if (port > 65_535) throw new InvalidArgumentError('It must be a port, at most 65535.')
  return port
}

/** Reads the data of a template; none is an empty object. A policy in sample data is no part of them. */
export async function readTemplateData(file: string | undefined): Promise<object> {
  if (file === undefined) return {}
  const { '@policy': _policy, ...data } = await readJsonObject('--data', file)
  return data
}

/** Reads a JSON file that holds an object. */
async function readJsonObject(flag: string, file: string): Promise<JsonObject> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: can't read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `${flag}: ${file} is not JSON: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
  if (!isPlainObject(data))
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: ${file} must hold an object`)
  return data as JsonObject
}

/** Where a command finds templates, and what the application adds to them. */
export interface TemplateSettings {
  templates?: string
  helpers?: string
  setup?: string
  globals?: string
}

export function withTemplateFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--templates <dir>',
        'folder of templates (default: ./templates, else those that come along)',
      ).env('THREADPOST_TEMPLATES'),
    )
    .addOption(
      new Option('--helpers <file>', 'module whose exports are further helpers').env('THREADPOST_HELPERS'),
    )
    .addOption(
      new Option('--setup <file>', 'module whose setup() brings helpers and opens what they need').env(
        'THREADPOST_SETUP',
      ),
    )
    .addOption(
      new Option('--globals <file>', 'JSON file with what templates read as @app').env('THREADPOST_GLOBALS'),
    )
}

/** The option `templates` of `createMailer`. An empty setting is none. */
export async function templateOptions(given: TemplateSettings): Promise<TemplateOptions> {
  const { templates, helpers, setup, globals } = withoutEmpty(given)
  return {
    dir: templates ?? (existsSync('templates') ? 'templates' : OWN_TEMPLATES),
    ...(helpers === undefined ? {} : { helpers }),
    ...(setup === undefined ? {} : { setup }),
    ...(globals === undefined ? {} : { globals: await readJsonObject('--globals', globals) }),
  }
}

/** What a command knows of the mailer, from flags and environment; a flag wins. */
export interface MailerSettings extends TemplateSettings {
  transport?: string
  queue?: string
  prefix?: string
  from?: string
  threads?: number
}

/** Adds the flags all commands share that send mail. */
export function withMailerFlags(command: Command): Command {
  return withTemplateFlags(command)
    .addOption(
      new Option(
        '--transport <url>',
        'where mail goes: smtp://user:pass@host:587, smtps://…, sendgrid://KEY@, ses://REGION, file:./folder or inbox:',
      ).env('THREADPOST_TRANSPORT'),
    )
    .addOption(
      new Option(
        '--queue <url>',
        'where mail waits: memory, sqlite:PATH or redis://HOST:PORT (default: memory)',
      ).env('THREADPOST_QUEUE'),
    )
    .addOption(
      new Option('--prefix <name>', "what the queue's keys in Redis begin with (default: threadpost)").env(
        'THREADPOST_PREFIX',
      ),
    )
    .addOption(
      new Option('--from <mailbox>', "sender of mails that name none: 'Acme <hello@acme.example>'").env(
        'THREADPOST_FROM',
      ),
    )
    .addOption(
      new Option('--threads <n>', 'worker threads; 0 sends in the main thread (default: 1)')
        .argParser(parseInteger(0))
        .env('THREADPOST_THREADS'),
    )
}

/** The options of `createMailer`; what is wrong with them it says itself. An empty setting is none. */
export async function mailerOptions(given: MailerSettings): Promise<MailerOptions> {
  const settings = withoutEmpty(given)
  const options: MailerOptions = {
    transport: settings.transport ?? 'inbox:',
    templates: await templateOptions(settings),
    // Real mail needs a real sender, so that this one is for the embedded inbox only.
    ...(settings.transport === undefined ? { from: 'Threadpost <hello@threadpost.example>' } : {}),
  }
  if (settings.from !== undefined) options.from = settings.from
  if (settings.threads !== undefined) options.threads = settings.threads
  const { queue, prefix } = settings
  if (queue !== undefined) options.queue = prefix === undefined ? queue : { url: queue, prefix }
  return options
}

/** For commands whose mail must leave this machine: without a transport it would stay in the embedded inbox. */
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

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import type { MailerOptions } from '../options.js'
import { wholeNumber } from './arguments.js'

/** Where a command finds templates. */
export interface TemplateSettings {
  templates?: string
}

export function withTemplateFlag(command: Command): Command {
  return command.addOption(
    new Option(
      '--templates <dir>',
      'folder of templates (default: ./templates, else those that come along)',
    ).env('THREADPOST_TEMPLATES'),
  )
}

export function templateFolder({ templates }: TemplateSettings): string {
  return templates ?? (existsSync('templates') ? 'templates' : PACKAGED_TEMPLATES)
}

/** What a command knows of the mailer, from flags and environment; a flag wins. */
export interface MailerSettings extends TemplateSettings {
  transport?: string
  queue?: string
  from?: string
  threads?: number
}

const PACKAGED_TEMPLATES = fileURLToPath(new URL('../../../templates', import.meta.url))

/** Adds the flags all commands share that send mail. */
export function withMailerFlags(command: Command): Command {
  return withTemplateFlag(command)
    .addOption(
      new Option(
        '--transport <url>',
        'where mail goes: smtp://user:pass@host:587, smtps://…, sendgrid://KEY@, ses://REGION, file:./folder or inbox:',
      ).env('THREADPOST_TRANSPORT'),
    )
    .addOption(
      new Option('--queue <url>', "'memory', 'sqlite:PATH' or 'redis://HOST:PORT'").env('THREADPOST_QUEUE'),
    )
    .addOption(
      new Option('--from <mailbox>', "default sender: 'Acme <hello@acme.example>'").env('THREADPOST_FROM'),
    )
    .addOption(
      new Option('--threads <n>', 'worker threads; 0 sends in the main thread')
        .argParser(wholeNumber(0))
        .env('THREADPOST_THREADS'),
    )
}

/** The options of `createMailer`; what is wrong with them it says itself. An empty setting is none. */
export function mailerOptions(given: MailerSettings): MailerOptions {
  const settings = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== ''),
  ) as MailerSettings
  const options: MailerOptions = {
    transport: settings.transport ?? 'inbox:',
    templates: templateFolder(settings),
    // Real mail needs a real sender, so that this one is for the embedded inbox only.
    ...(settings.transport === undefined ? { from: 'Threadpost <hello@threadpost.example>' } : {}),
  }
  if (settings.from !== undefined) options.from = settings.from
  if (settings.threads !== undefined) options.threads = settings.threads
  if (settings.queue !== undefined) options.queue = settings.queue
  return options
}

import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import type { Mailer } from '../mailer.js'
import { explain } from '../message/explain.js'
import type { Mail } from '../message/mail.js'
import type { Message } from '../message/view.js'
import {
  readTemplateData,
  mailerOptions,
  type MailerSettings,
  requireTransport,
  parseInteger,
  withMailerFlags,
} from './settings.js'
import { toned, withExamples } from './terminal.js'

interface SendSettings extends MailerSettings {
  to: string[]
  template?: string
  data?: string
  locale?: string
  subject?: string
  text?: string
  html?: string
  timeout: number
  json?: boolean
}

export function sendCommand(): Command {
  const command = new Command('send')
    .summary('send one mail and wait for what becomes of it')
    .description(
      'Send one mail, from a template or as it is given, and wait for what becomes of it. Exit code 0: the next server ' +
        'accepted it for every recipient; 1: anything else.',
    )
    .requiredOption('--to <mailbox...>', 'recipients, one or several: ada@example.com')
    .option('--template <name>', 'name of a template')
    .option('--data <file>', 'JSON file with the data of the template (default: none)')
    .option('--locale <locale>', 'variant of the template')
    .option('--subject <text>', "subject, in place of the template's")
    .option('--text <text>', 'plain text to send, without a template')
    .option('--html <file>', 'HTML file to send as it is, without a template')
    .option('--timeout <ms>', 'how long to wait, in ms', parseInteger(1), 60_000)
    .option('--json', 'print what became of it as JSON, with each attempt')
  return withExamples(withMailerFlags(command).action(send), {
    'a template':
      'threadpost send --to ada@example.com --template welcome --data templates/welcome.json --transport smtp://…',
    'a few words, with the settings in the environment':
      "threadpost send --to ada@example.com --subject 'Hello' --text 'Hello, Ada'",
  })
}

async function send(settings: SendSettings): Promise<void> {
  requireTransport(settings)
  const mail = await mailOf(settings)
  const mailer = await createMailer(await mailerOptions(settings))
  try {
    const message = await outcomeOf(mailer, mail, settings.timeout)
    console.log(settings.json === true ? JSON.stringify(message, null, 2) : summaryOf(message))
    if (message.status !== 'sent') process.exitCode = 1
  } finally {
    await mailer.close()
  }
}

/** Nobody waits on when this command ends, so what stands in the way is said now, and what becomes of the mail. */
async function outcomeOf(mailer: Mailer, mail: Mail, timeout: number): Promise<Message> {
  const { id, durable } = await mailer.send(mail)
  try {
    return await mailer.wait(id, { timeout })
  } catch (error) {
    const message = await mailer.find(id)
    if (!(error instanceof ThreadpostError) || error.code !== 'WAIT_TIMEOUT' || message === undefined)
      throw error
    const stands = `Not sent within ${timeout} ms. ${explain(message)}`
    const next = durable
      ? 'It stays in the queue, for whoever opens that next'
      : 'Its queue is in memory, and ends with this command: doctor says what is wrong with a transport'
    throw new ThreadpostError('WAIT_TIMEOUT', `${stands} ${next}`, { id, cause: error })
  }
}

async function mailOf({ to, template, data, locale, subject, text, html }: SendSettings): Promise<Mail> {
  const envelope = { to, ...(subject === undefined ? {} : { subject }) }
  if (template !== undefined) {
    return {
      ...envelope,
      template,
      data: await readTemplateData(data),
      ...(locale === undefined ? {} : { locale }),
    }
  }
  return {
    ...envelope,
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html: await readFile(html, 'utf8') }),
  }
}

function summaryOf(message: Message): string {
  const last = message.attempts.at(-1)
  const status = toned(message.status === 'sent' ? 'good' : 'bad', message.status)
  return `${status}  ${message.id}  ${last?.message ?? ''}`
}

import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import type { Mailer } from '../mailer.js'
import { explain } from '../message/explain.js'
import type { Mail } from '../message/mail.js'
import type { Message } from '../message/messageView.js'
import { parsePositiveDuration } from './durations.js'
import {
  readTemplateData,
  mailerOptions,
  type MailerSettings,
  requireTransport,
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
    .summary('send one mail and wait for its outcome')
    .description(
      'Send one mail, from a template or with the given content, and wait for its outcome. The command exits with 0 if the ' +
        'next server accepted the mail for every recipient, and with 1 otherwise.',
    )
    .requiredOption('--to <mailbox...>', 'one or more recipients: ada@example.com')
    .option('--template <name>', 'name of a template')
    .option('--data <file>', 'JSON file with the data of the template, or JSON')
    .option('--locale <locale>', 'locale of the template')
    .option('--subject <text>', "subject, instead of the template's")
    .option('--text <text>', 'plain text to send without a template')
    .option('--html <file>', 'HTML file to send without a template')
    .addOption(
      new Option('--timeout <time>', 'time to wait for the outcome, such as 30s')
        .argParser(parsePositiveDuration)
        .default(60_000, '60s'),
    )
    .option('--json', 'print the message with each attempt as JSON')
  return withExamples(withMailerFlags(command).action(send), {
    'send a template':
      'threadpost send --to ada@example.com --template welcome --data templates/welcome.json --transport smtp://…',
    'send plain text, with settings from the environment':
      "threadpost send --to ada@example.com --subject 'Hello' --text 'Hello, Ada'",
  })
}

async function send(settings: SendSettings): Promise<void> {
  requireTransport(settings)
  if (settings.from === undefined || settings.from === '')
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      "from: is required: --from 'Acme <hello@acme.example>', or THREADPOST_FROM",
      { path: 'from' },
    )
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

/**
 * Waits for the outcome of a mail.
 * @throws ThreadpostError `WAIT_TIMEOUT`, with the reason for the delay and what happens to the mail after this command
 */
async function outcomeOf(mailer: Mailer, mail: Mail, timeout: number): Promise<Message> {
  const { id, durable } = await mailer.send(mail)
  try {
    return await mailer.wait(id, { timeout })
  } catch (error) {
    const message = await mailer.find(id)
    if (!(error instanceof ThreadpostError) || error.code !== 'WAIT_TIMEOUT' || message === undefined)
      throw error
    const reason = `Not sent within ${timeout} ms. ${explain(message)}`
    const next = durable
      ? 'It stays in the queue; the next process that opens the queue sends it'
      : 'The queue is in memory, so the mail is lost when this command exits. Run threadpost doctor to check the transport'
    throw new ThreadpostError('WAIT_TIMEOUT', `${reason} ${next}`, { id, cause: error })
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

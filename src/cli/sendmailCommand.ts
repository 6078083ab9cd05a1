import { hostname, userInfo } from 'node:os'
import { Command, Option } from 'commander'
import { type ErrorCode, ThreadpostError } from '../errors.js'
import { type LocalMessage, localMessageOf } from '../intake/localMessage.js'
import { DEFAULT_LIMITS } from '../intake/smtpIntakeOptions.js'
import { isRefusal, type SmtpRefusal } from '../intake/smtpReply.js'
import { EX } from './exitCodes.js'
import { submitLocally, submitOverHttp, submitOverSmtp, type Submitted } from './sendmailRoutes.js'
import { encryptionFlag } from './settings.js'
import { withExamples } from './terminal.js'

interface SendmailSettings {
  t?: boolean
  i?: boolean
  f?: string
  r?: string
  F?: string
  o: string[]
  url?: string
  token?: string
  queue?: string
  prefix?: string
  schema?: string
  encryptionKeyFile?: string
  json?: boolean
}

const DEFAULT_URL = 'smtp://127.0.0.1:2525'
/** Maximum number of bytes of a message. */
const MAX_INPUT = 100 * 1024 * 1024

export function sendmailCommand(): Command {
  const command = new Command('sendmail')
    .summary('submit a message from standard input, as sendmail does')
    .description(
      'Submit a message from standard input, as /usr/sbin/sendmail does: to a running service over SMTP or HTTP, or directly ' +
        "into a queue. It is a drop-in for PHP's sendmail_path and for cron. Exit codes follow sysexits.h: 0 if the message is " +
        'stored, 75 if the program should try again later.',
    )
    .argument('[recipients...]', 'recipients')
    .option('-t', 'also send to the recipients in To, Cc, and Bcc')
    .option('-i', 'treat a line with a single dot as content, not as the end of the message (also -oi)')
    .option('-f <address>', 'envelope sender, where bounces go; <> for none')
    .addOption(new Option('-r <address>', 'the same as -f').hideHelp())
    .option('-F <name>', 'full name of the sender, if the message has no From')
    .addOption(
      new Option('-o <option>', 'options of sendmail: i is -i, others are ignored')
        .default([])
        .argParser((value: string, all: string[]) => [...all, value]),
    )
    .addOption(
      new Option('--url <url>', 'service to submit to: smtp://user:pass@host:port or http://host:port').env(
        'THREADPOST_URL',
      ),
    )
    .addOption(new Option('--token <token>', 'bearer token of the HTTP API').env('THREADPOST_TOKEN'))
    .addOption(
      new Option('--queue <url>', 'queue to put the message into, in place of a service').env(
        'THREADPOST_QUEUE',
      ),
    )
    .addOption(new Option('--prefix <name>', "prefix of the queue's keys in Redis").env('THREADPOST_PREFIX'))
    .addOption(
      new Option('--schema <name>', "schema of the queue's tables in Postgres").env('THREADPOST_SCHEMA'),
    )
    .addOption(encryptionFlag())
    .option('--json', 'print the id of the message as JSON')
  // Other flags of sendmail that change nothing here: mode, body type, delivery notifications, verbosity.
  for (const flags of [
    '-b <mode>',
    '-B <type>',
    '-N <dsn>',
    '-R <return>',
    '-V <envelope>',
    '-h <hops>',
    '-O <option>',
    '-L <tag>',
    '-p <protocol>',
    '-q [time]',
    '-v',
    '-n',
    '-U',
    '-G',
    '-m',
    '-e [mode]',
  ])
    command.addOption(new Option(flags).hideHelp())
  return withExamples(command.action(sendmail), {
    'submit to the service on this machine': `threadpost sendmail -t -i < message.eml`,
    'put the message into a queue':
      'threadpost sendmail --queue sqlite:/var/lib/mail/outbox.db -f app@acme.example ada@example.com',
  })
}

async function sendmail(recipients: string[], settings: SendmailSettings): Promise<void> {
  const { code, text, id } = await submitted(recipients, settings)
  process.exitCode = code
  if (code !== EX.OK) console.error(`threadpost sendmail: ${text}`)
  if (settings.json === true)
    console.log(JSON.stringify(code === EX.OK ? { id } : { error: { code, message: text } }))
}

async function submitted(recipients: string[], settings: SendmailSettings): Promise<Submitted> {
  try {
    const input = await standardInput()
    if (input === undefined)
      return { code: EX.DATAERR, text: `the message is larger than ${MAX_INPUT} bytes` }
    const message = messageFrom(input, recipients, settings)
    if (isRefusal(message)) return { code: EX.DATAERR, text: message.text }
    if (message.envelope.to.length === 0)
      return { code: EX.USAGE, text: 'no recipients: name them, or pass -t for those in the header' }
    return await submit(message, settings)
  } catch (error) {
    if (error instanceof ThreadpostError)
      return { code: EXIT_CODES[error.code] ?? EX.DATAERR, text: error.message }
    throw error
  }
}

const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  INVALID_OPTIONS: EX.CONFIG,
  UNSUPPORTED: EX.CONFIG,
  START_FAILED: EX.TEMPFAIL,
  QUEUE_FULL: EX.TEMPFAIL,
  QUEUE_UNAVAILABLE: EX.TEMPFAIL,
  CLOSED: EX.TEMPFAIL,
  REFUSED: EX.NOPERM,
}

function messageFrom(
  input: Buffer,
  recipients: string[],
  settings: SendmailSettings,
): LocalMessage | SmtpRefusal {
  const { t = false, i = false, f, r, F, o } = settings
  return localMessageOf(
    input,
    {
      recipients,
      fromHeader: t,
      sender: f ?? r,
      fullName: F,
      ignoreDots: i || o.includes('i'),
      user: userInfo().username,
      host: hostname(),
    },
    DEFAULT_LIMITS,
  )
}

function submit(
  message: LocalMessage,
  { url = '', queue = '', token, prefix = '', schema = '', encryptionKeyFile = '' }: SendmailSettings,
): Promise<Submitted> {
  if (url === '' && queue !== '') return submitLocally(message, { queue, prefix, schema, encryptionKeyFile })
  const target = url === '' ? DEFAULT_URL : url
  if (/^https?:/i.test(target)) return submitOverHttp(message, target, token)
  if (/^smtps?:/i.test(target)) return submitOverSmtp(message, target)
  throw new ThreadpostError('INVALID_OPTIONS', '--url: must begin with smtp:, smtps:, http: or https:', {
    path: '--url',
  })
}

async function standardInput(): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_INPUT) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

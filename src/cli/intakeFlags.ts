import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { SmtpIntake, SmtpIntakeOptions } from '../intake/index.js'
import type { Mailer } from '../mailer.js'
import { parseInteger, parsePort, readJson } from './settings.js'
import { lineLogger, listenError } from './terminal.js'

/** Settings of the ways in besides HTTP. Empty ones are ignored. */
export interface IntakeSettings {
  smtpPort?: number
  smtpHost: string
  smtpUsers?: string
  smtpTlsKey?: string
  smtpTlsCert?: string
  smtpDeduplicate?: boolean
  amqp?: string
  amqpQueue: string
  amqpPrefetch?: number
}

/** A running way in. */
export interface Intake {
  name: string
  url: string
  close(): Promise<void>
}

export function withIntakeFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--smtp-port <port>', 'port on which to accept mail over SMTP (default: none)')
        .argParser(parsePort)
        .env('THREADPOST_SMTP_PORT'),
    )
    .addOption(
      new Option(
        '--smtp-host <host>',
        'address for SMTP; beyond loopback, users and a certificate are required',
      )
        .default('127.0.0.1')
        .env('THREADPOST_SMTP_HOST'),
    )
    .addOption(
      new Option(
        '--smtp-users <file>',
        'JSON file with the users of SMTP: [{ "user", "pass", "senders", "recipients" }]',
      ).env('THREADPOST_SMTP_USERS'),
    )
    .addOption(
      new Option('--smtp-tls-key <file>', 'private key of the SMTP server (PEM)').env(
        'THREADPOST_SMTP_TLS_KEY',
      ),
    )
    .addOption(
      new Option('--smtp-tls-cert <file>', 'certificate of the SMTP server (PEM)').env(
        'THREADPOST_SMTP_TLS_CERT',
      ),
    )
    .addOption(
      new Option(
        '--smtp-deduplicate',
        'treat messages with the same Message-ID, sender, and recipients as one message',
      ).env('THREADPOST_SMTP_DEDUPLICATE'),
    )
    .addOption(
      new Option('--amqp <url>', 'RabbitMQ to consume mail from: amqp://user:pass@host (default: none)').env(
        'THREADPOST_AMQP',
      ),
    )
    .addOption(
      new Option(
        '--amqp-queue <name>',
        'queue to consume; each message contains a mail as JSON, as for the HTTP API',
      )
        .default('mail')
        .env('THREADPOST_AMQP_QUEUE'),
    )
    .addOption(
      new Option('--amqp-prefetch <n>', 'number of messages to accept at a time (default: 100)')
        .argParser(parseInteger(1))
        .env('THREADPOST_AMQP_PREFETCH'),
    )
}

/** The options of the SMTP intake that are in files. */
type SmtpFiles = Pick<SmtpIntakeOptions, 'tls' | 'auth'>

/** Reads the files that the flags name, before anything is started. @throws ThreadpostError `INVALID_OPTIONS` */
export async function readSmtpFiles(settings: IntakeSettings): Promise<SmtpFiles> {
  const { smtpPort, smtpUsers = '', smtpTlsKey = '', smtpTlsCert = '' } = settings
  const files: SmtpFiles = {}
  if (smtpPort === undefined) return files
  if (smtpTlsKey !== '' || smtpTlsCert !== '')
    files.tls = {
      key: await contentOf('--smtp-tls-key', smtpTlsKey),
      cert: await contentOf('--smtp-tls-cert', smtpTlsCert),
    }
  // smtpIntake() validates the users.
  if (smtpUsers !== '') files.auth = { users: (await readJson('--smtp-users', smtpUsers)) as [] }
  return files
}

/** Starts the ways in that are set. @throws ThreadpostError `INVALID_OPTIONS`, `START_FAILED` */
export async function startIntakes(
  mailer: Mailer,
  settings: IntakeSettings,
  files: SmtpFiles,
): Promise<Intake[]> {
  const { smtpPort, amqp = '' } = settings
  const intakes: Intake[] = []
  try {
    if (smtpPort !== undefined) intakes.push(await startSmtp(mailer, smtpPort, settings, files))
    if (amqp !== '') intakes.push(await startAmqp(mailer, amqp, settings))
  } catch (error) {
    await Promise.all(intakes.map((intake) => intake.close()))
    throw error
  }
  return intakes
}

async function startAmqp(mailer: Mailer, url: string, settings: IntakeSettings): Promise<Intake> {
  const { amqpQueue: queue, amqpPrefetch: prefetch } = settings
  const { amqpIntake } = await import('../intake/index.js')
  const intake = await amqpIntake(mailer, {
    url,
    queue,
    ...(prefetch === undefined ? {} : { prefetch }),
    logger: lineLogger,
  })
  const { protocol, host } = new URL(url)
  return { name: 'AMQP queue', url: `${protocol}//${host} ${queue}`, close: () => intake.close() }
}

async function startSmtp(
  mailer: Mailer,
  port: number,
  { smtpHost: host, smtpDeduplicate }: IntakeSettings,
  files: SmtpFiles,
): Promise<Intake> {
  const { smtpIntake } = await import('../intake/index.js')
  let smtp: SmtpIntake
  try {
    smtp = await smtpIntake(mailer, {
      port,
      host,
      ...files,
      ...(smtpDeduplicate === true ? { deduplicate: 'message-id' } : {}),
      logger: lineLogger,
    })
  } catch (error) {
    throw listenError(withFlag(error), '--smtp-port', port, host)
  }
  return { name: 'SMTP intake', url: smtp.url, close: () => smtp.close() }
}

/** The flags of options that `smtpIntake()` may find missing. */
const FLAGS = new Map([
  ['auth', '--smtp-users'],
  ['tls', '--smtp-tls-key and --smtp-tls-cert'],
])

/** Returns the error with the flag of the option that is missing. */
function withFlag(error: unknown): unknown {
  if (!(error instanceof ThreadpostError)) return error
  const { code, message, path = '' } = error
  const flag = FLAGS.get(path)
  if (flag === undefined || !message.startsWith(`${path}: is required`)) return error
  return new ThreadpostError(code, `${message} (${flag})`, { path, cause: error })
}

async function contentOf(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: can't read ${file}: ${(error as Error).message}`, {
      path: flag,
      cause: error,
    })
  }
}

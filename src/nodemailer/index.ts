import path from 'node:path'
import type {
  JSONTransportOptions,
  MailDefaults,
  SMTPPoolOptions,
  SMTPTransportOptions,
  StreamTransportOptions,
} from 'nodemailer'
import { createSharingMailer } from '../createMailer.js'
import type { MailerOptions, TransportInput } from '../index.js'
import { Mailer } from '../mailer.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { unsupported } from './fields.js'
import { LazyMailer } from './lazyMailer.js'
import { LocalDelivery } from './localDelivery.js'
import { type AnswerOptions, QueuedDelivery, type QueuedDeliveryParts } from './queuedDelivery.js'
import { forcedFields, toTransport } from './toTransport.js'
import { Transporter, type TransporterParts } from './transporter.js'

export { RecipientError, SendMailError, type SentMessageInfo } from './sentMessageInfo.js'
export type { Plugin } from './delivery.js'
export type { AnswerOptions } from './queuedDelivery.js'
export type { MailOptions, SendMailCallback, Transporter, VerifyCallback } from './transporter.js'

/**
 * The third argument of `createTransport()`, which nodemailer doesn't have: when to resolve, where content may be read, and
 * options of the mailer.
 */
export interface OffloadOptions
  extends AnswerOptions, Omit<MailerOptions, 'transport' | 'transports' | 'from'> {
  /**
   * Folders that the files of `path` must be in; links that lead out of them are refused.
   * @default every file, as in nodemailer, unless `disableFileAccess`
   */
  files?: string[]
  /**
   * Whether `href` and `path` may name URLs on private addresses, such as 127.0.0.1 or 10.0.0.7.
   * @default false
   */
  allowPrivateHosts?: boolean
}

const check: Validator = new Validator('INVALID_OPTIONS')

/** Recipients per message by default. nodemailer has no limit. */
const RECIPIENTS = 1_000
/** Bytes that a message may read by default: the default of limits.message. */
const MESSAGE_SIZE = 25 * 1024 * 1024
/** Unsettled messages below which `isIdle()` returns true, for transports without a number of connections. */
const CAPACITY = 100

/**
 * nodemailer's `createTransport()` with threadpost behind it: a worker thread builds and sends each message, which
 * waits in a queue and is retried. Takes nodemailer's SMTP options, a URL, or an existing mailer, and default fields
 * for all messages. The mailer starts with the first message.
 * @throws ThreadpostError `UNSUPPORTED` for features that only nodemailer has, `INVALID_OPTIONS`
 */
export function createTransport(
  transport:
    | string
    | SMTPTransportOptions
    | SMTPPoolOptions
    | JSONTransportOptions
    | StreamTransportOptions
    | TransportInput
    | Mailer,
  defaults: MailDefaults = {},
  options: OffloadOptions = {},
): Transporter {
  if (!isPlainObject(defaults)) check.fail('defaults', `must be an object, got ${kindOf(defaults)}`)
  const { answer = 'settled', timeout = 60_000, files, allowPrivateHosts = false, ...mailerOptions } = options
  const answers = {
    answer: check.oneOf(answer, 'answer', ['settled', 'queued']),
    timeout: timeout === Infinity ? timeout : check.timeout(timeout, 'timeout'),
  }
  const access = {
    files: files === undefined ? undefined : foldersOf(files),
    allowPrivateHosts: check.boolean(allowPrivateHosts, 'allowPrivateHosts'),
  }
  const maxMessageSize = mailerOptions.limits?.message ?? MESSAGE_SIZE
  if (transport instanceof Mailer) {
    check.object(mailerOptions, '', [])
    const lazyMailer = new LazyMailer(() => Promise.resolve(transport), { keepAlive: true, owned: false })
    return queued(
      { lazyMailer, answer: answers, capacity: CAPACITY, maxMessageSize },
      { defaults, forced: {}, access },
    )
  }
  if (isLocal(transport)) {
    const forced = forcedFields(transport)
    return new Transporter({ delivery: new LocalDelivery(transport), defaults, forced, access })
  }
  const { transport: mapped, forced, logger, pool, connections } = toTransport(transport)
  const start = () =>
    createSharingMailer({
      ...(logger === undefined ? {} : { logger }),
      ...mailerOptions,
      limits: { recipients: RECIPIENTS, ...mailerOptions.limits },
      transport: mapped,
    })
  const { queue = 'memory' } = mailerOptions
  const lazyMailer = new LazyMailer(start, { keepAlive: pool || queue !== 'memory', owned: true })
  const capacity = pool ? 2 * connections : CAPACITY
  return queued({ lazyMailer, answer: answers, capacity, maxMessageSize }, { defaults, forced, access })
}

function queued(
  parts: Omit<QueuedDeliveryParts, 'onSettled'>,
  settings: Omit<TransporterParts, 'delivery'>,
): Transporter {
  const delivery = new QueuedDelivery({ ...parts, onSettled: () => transporter.announceIdle() })
  const transporter = new Transporter({ ...settings, delivery })
  return transporter
}

function foldersOf(value: unknown): string[] {
  const folders = check.array(value, 'files', 1_000)
  return folders.map((folder, index) => path.resolve(check.string(folder, `files[${index}]`)))
}

function isLocal(value: unknown): value is Record<string, unknown> {
  return isPlainObject(value) && (value['jsonTransport'] === true || value['streamTransport'] === true)
}

/**
 * Always returns false: only Ethereal accounts have a page for each message. The inbox shows the mail of an `inbox:`
 * transport.
 */
export function getTestMessageUrl(): false {
  return false
}

/** @throws ThreadpostError `UNSUPPORTED` always: threadpost creates no Ethereal accounts */
export function createTestAccount(): never {
  return unsupported('createTestAccount()', "Send to an inbox instead: createTransport('inbox:').")
}

/** For `import nodemailer from 'threadpost/nodemailer'`. */
const nodemailer = { createTransport, createTestAccount, getTestMessageUrl }
// eslint-disable-next-line no-restricted-syntax -- it replaces a package that applications import by default
export default nodemailer

import type { MailDefaults, SMTPPoolOptions, SMTPTransportOptions } from 'nodemailer'
import { createMailer, type MailerOptions, type TransportInput } from '../index.js'
import { Mailer } from '../mailer.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { unsupported } from './fields.js'
import { LazyMailer } from './lazyMailer.js'
import { toTransport } from './toTransport.js'
import { type AnswerOptions, Transporter } from './transporter.js'

export { RecipientError, SendMailError, type SentMessageInfo } from './sentMessageInfo.js'
export type {
  AnswerOptions,
  MailOptions,
  SendMailCallback,
  Transporter,
  VerifyCallback,
} from './transporter.js'

/**
 * The third argument of `createTransport()`, which nodemailer doesn't have: when to resolve, and options of the
 * mailer.
 */
export type OffloadOptions = AnswerOptions & Omit<MailerOptions, 'transport' | 'transports' | 'from'>

const check: Validator = new Validator('INVALID_OPTIONS')

/** Recipients per message by default. nodemailer has no limit. */
const RECIPIENTS = 1_000
/** Unsettled messages below which `isIdle()` returns true, for transports without a number of connections. */
const CAPACITY = 100

/**
 * nodemailer's `createTransport()` with threadpost behind it: a worker thread builds and sends each message, which
 * waits in a queue and is retried. Takes nodemailer's SMTP options, a URL, or an existing mailer, and default fields
 * for all messages. The mailer starts with the first message.
 * @throws ThreadpostError `UNSUPPORTED` for features that only nodemailer has, `INVALID_OPTIONS`
 */
export function createTransport(
  transport: string | SMTPTransportOptions | SMTPPoolOptions | TransportInput | Mailer,
  defaults: MailDefaults = {},
  options: OffloadOptions = {},
): Transporter {
  if (!isPlainObject(defaults)) check.fail('defaults', `must be an object, got ${kindOf(defaults)}`)
  const { answer = 'settled', timeout = 60_000, ...mailerOptions } = options
  const answers = {
    answer: check.oneOf(answer, 'answer', ['settled', 'queued']),
    timeout: timeout === Infinity ? timeout : check.timeout(timeout, 'timeout'),
  }
  if (transport instanceof Mailer) {
    check.object(mailerOptions, '', [])
    const lazyMailer = new LazyMailer(() => Promise.resolve(transport), { keepAlive: true, owned: false })
    return new Transporter({ lazyMailer, defaults, answer: answers, capacity: CAPACITY })
  }
  const { transport: mapped, logger, pool, connections } = toTransport(transport)
  const start = () =>
    createMailer({
      ...(logger === undefined ? {} : { logger }),
      ...mailerOptions,
      limits: { recipients: RECIPIENTS, ...mailerOptions.limits },
      transport: mapped,
    })
  const { queue = 'memory' } = mailerOptions
  const lazyMailer = new LazyMailer(start, { keepAlive: pool || queue !== 'memory', owned: true })
  const capacity = pool ? 2 * connections : CAPACITY
  return new Transporter({ lazyMailer, defaults, answer: answers, capacity })
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

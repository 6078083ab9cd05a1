import type { MailDefaults, SMTPPoolOptions, SMTPTransportOptions } from 'nodemailer'
import { createMailer, type MailerOptions, type TransportInput } from '../index.js'
import { Mailer } from '../mailer.js'
import { Validator, isPlainObject, kindOf } from '../validation.js'
import { LazyMailer } from './lazyMailer.js'
import { toTransport } from './toTransport.js'
import { type AnswerOptions, Transporter } from './transporter.js'

/** The third argument, which nodemailer doesn't have: when to answer, and the options of the mailer behind it. */
export type OffloadOptions = AnswerOptions & Omit<MailerOptions, 'transport' | 'transports' | 'from'>

const check: Validator = new Validator('INVALID_OPTIONS')

/** nodemailer knows no limit near 50. */
const RECIPIENTS = 1_000
/** Messages under way at a time, as seen by isIdle(), where nothing says how many connections there may be. */
const CAPACITY = 100

/**
 * nodemailer's `createTransport`, with threadpost behind it: a message is built and sent in a thread, waits in a queue, and
 * is tried again. Takes nodemailer's options for SMTP, a URL, or a mailer of yours, and default fields of messages.
 * Nothing is started before the first message.
 * @throws ThreadpostError `UNSUPPORTED` for what only nodemailer can do, `INVALID_OPTIONS`
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
    const lease = new LazyMailer(() => Promise.resolve(transport), true, false)
    return new Transporter({ lease, defaults, answer: answers, capacity: CAPACITY })
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
  const lease = new LazyMailer(start, pool || queue !== 'memory', true)
  return new Transporter({ lease, defaults, answer: answers, capacity: pool ? 2 * connections : CAPACITY })
}

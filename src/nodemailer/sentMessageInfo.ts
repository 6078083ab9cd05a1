import type { Message, MessageAttempt, RecipientState, SmtpReply } from '../index.js'

/** What `sendMail()` answers. */
export interface SentMessageInfo {
  /** Of the message in threadpost: what `find()` takes. */
  id: string
  /** Value of the Message-ID header, with its angle brackets. */
  messageId: string
  envelope: { from: string; to: string[] }
  /** Whom the next server accepted it for. */
  accepted: string[]
  rejected: string[]
  /** Who waits still: everybody where the answer came before the message went out. */
  pending: string[]
  /** Why each of `rejected` was refused. */
  rejectedErrors: RecipientError[]
  /** The server's last reply, such as `250 2.0.0 Ok: queued`. */
  response: string
  /** For those who read more of nodemailer's answer than there is here. */
  [field: string]: unknown
}

/** Why one recipient was refused. */
export class RecipientError extends Error {
  readonly code = 'EENVELOPE'
  readonly command = 'RCPT TO'
  declare readonly responseCode?: number
  declare readonly response?: string

  constructor(
    readonly recipient: string,
    reply: SmtpReply | undefined,
  ) {
    super(`Recipient command failed: ${reply === undefined ? 'no reply' : textOf(reply)}`)
    if (reply !== undefined) Object.assign(this, { responseCode: reply.code, response: textOf(reply) })
  }
}

/** A message that was not sent, with the fields by which nodemailer's users tell why. */
export class SendMailError extends Error {
  /** nodemailer's: EAUTH, ECONNECTION, EENVELOPE, EMESSAGE, ETIMEDOUT, ETLS, EPROTOCOL, or EABORT. */
  readonly code: string
  declare readonly command?: string
  declare readonly responseCode?: number
  declare readonly response?: string
  declare readonly id?: string
  declare readonly messageId?: string
  declare readonly rejected?: string[]
  declare readonly rejectedErrors?: RecipientError[]

  constructor(code: string, message: string, details: SendMailErrorDetails = {}) {
    super(message)
    this.code = code
    const { reply, ...rest } = details
    Object.assign(this, rest)
    if (reply !== undefined) Object.assign(this, { responseCode: reply.code, response: textOf(reply) })
  }
}

interface SendMailErrorDetails extends Partial<Pick<SendMailError, 'command' | 'id' | 'messageId'>> {
  reply?: SmtpReply | undefined
  rejected?: string[]
  rejectedErrors?: RecipientError[]
}

/** @param envelopeFrom the reverse-path that was asked for, if not the sender's */
export function infoOf(message: Message, envelopeFrom: string | undefined): SentMessageInfo {
  const { id, messageId, from, recipients } = message
  const rejected = recipients.filter(({ status }) => status === 'failed')
  const reply = message.attempts.findLast((attempt) => attempt.reply !== undefined)?.reply
  return {
    id,
    messageId,
    envelope: { from: envelopeFrom ?? from.address, to: recipients.map(({ address }) => address) },
    accepted: addresses(recipients.filter(({ status }) => status === 'sent')),
    rejected: addresses(rejected),
    pending: addresses(recipients.filter(({ status }) => status !== 'sent' && status !== 'failed')),
    rejectedErrors: rejected.map((recipient) => new RecipientError(recipient.address, recipient.reply)),
    response: reply === undefined ? '' : textOf(reply),
  }
}

/** Of a message that is settled and reached nobody. */
export function errorOf(message: Message): SendMailError {
  const { id, messageId, status, recipients } = message
  const about = { id, messageId }
  if (status === 'cancelled') return new SendMailError('EABORT', 'The message was cancelled', about)
  const last = message.attempts.at(-1)
  if (status === 'expired')
    return new SendMailError(
      'ETIMEDOUT',
      `The message expired before it could be sent${last === undefined ? '' : `: ${last.message}`}`,
      { ...about, reply: last?.reply },
    )
  if (last === undefined) return new SendMailError('EMESSAGE', 'The message failed', about)
  const refused = recipients.filter(({ reply }) => reply !== undefined)
  const code = codeOf(last)
  const reply = last.reply ?? refused[0]?.reply
  return new SendMailError(code, reply === undefined ? last.message : `${last.message} (${textOf(reply)})`, {
    ...about,
    reply,
    ...present('command', COMMANDS[code]),
    rejected: addresses(recipients),
    rejectedErrors: refused.map(({ address, reply: own }) => new RecipientError(address, own)),
  })
}

const COMMANDS: Readonly<Record<string, string>> = {
  EAUTH: 'AUTH',
  ECONNECTION: 'CONN',
  ETLS: 'STARTTLS',
  EENVELOPE: 'RCPT TO',
  EMESSAGE: 'DATA',
}

const CODES: Readonly<Record<string, string>> = {
  AUTH_FAILED: 'EAUTH',
  TLS_FAILED: 'ETLS',
  CONNECTION_FAILED: 'ECONNECTION',
  CONNECTION_CLOSED: 'ECONNECTION',
  TIMEOUT: 'ETIMEDOUT',
  REPLY_TIMEOUT: 'ETIMEDOUT',
  REPLY_INVALID: 'EPROTOCOL',
  SMTPUTF8_UNSUPPORTED: 'EENVELOPE',
}

function codeOf({ code, phase }: Pick<MessageAttempt, 'code' | 'phase'>): string {
  return CODES[code] ?? (phase === 'envelope' ? 'EENVELOPE' : 'EMESSAGE')
}

/** nodemailer's code for why a transport can't be used. */
export function troubleCode(code: string): string {
  return CODES[code] ?? 'ECONNECTION'
}

function addresses(recipients: readonly RecipientState[]): string[] {
  return recipients.map(({ address }) => address)
}

function textOf({ code, enhanced, text }: SmtpReply): string {
  const lead = enhanced === undefined || text.startsWith(enhanced) ? '' : `${enhanced} `
  return `${code} ${lead}${text}`.trimEnd()
}

function present<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

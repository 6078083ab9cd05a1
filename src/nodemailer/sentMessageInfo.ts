import type { Message, MessageAttempt, RecipientState, SmtpReply } from '../index.js'
import { present } from './fields.js'

/** Result of `sendMail()`. */
export interface SentMessageInfo {
  /** Id of the message in threadpost, for `find()`. */
  id: string
  /** Value of the Message-ID header, with its angle brackets. */
  messageId: string
  envelope: { from: string; to: string[] }
  /** Recipients that the next server accepted. */
  accepted: string[]
  /** Recipients that the next server refused. */
  rejected: string[]
  /** Recipients without a result yet: all of them with `answer: 'queued'`. */
  pending: string[]
  /** The reason for each entry of `rejected`. */
  rejectedErrors: RecipientError[]
  /** The server's last reply, such as `250 2.0.0 Ok: queued`. */
  response: string
  /** Allows code written for nodemailer to read fields that threadpost doesn't set. */
  [field: string]: unknown
}

/** The reason why a recipient was refused. */
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

/** A message that was not sent, with the fields of nodemailer's errors. */
export class SendMailError extends Error {
  /** nodemailer's error code: EAUTH, ECONNECTION, EENVELOPE, EMESSAGE, ETIMEDOUT, ETLS, EPROTOCOL, or EABORT. */
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

/**
 * Returns nodemailer's result for a message.
 * @param envelopeFrom the reverse-path of the envelope (RFC 5321), if it isn't the sender's address
 */
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

/** Returns nodemailer's error for a settled message that no recipient received. */
export function errorOf(message: Message): SendMailError {
  const { id, messageId, status, recipients } = message
  const ids = { id, messageId }
  if (status === 'cancelled') return new SendMailError('EABORT', 'The message was cancelled', ids)
  const last = message.attempts.at(-1)
  if (status === 'expired')
    return new SendMailError(
      'ETIMEDOUT',
      `The message expired before it could be sent${last === undefined ? '' : `: ${last.message}`}`,
      { ...ids, reply: last?.reply },
    )
  if (last === undefined) return new SendMailError('EMESSAGE', 'The message failed', ids)
  const refused = recipients.filter(({ reply }) => reply !== undefined)
  const code = codeOf(last)
  const reply = last.reply ?? refused[0]?.reply
  return new SendMailError(code, reply === undefined ? last.message : `${last.message} (${textOf(reply)})`, {
    ...ids,
    reply,
    ...present('command', COMMANDS[code]),
    rejected: addresses(recipients),
    rejectedErrors: refused.map(
      ({ address, reply: recipientReply }) => new RecipientError(address, recipientReply),
    ),
  })
}

/** The SMTP command in errors of nodemailer, by its error code. */
const COMMANDS: Readonly<Record<string, string>> = {
  EAUTH: 'AUTH',
  ECONNECTION: 'CONN',
  ETLS: 'STARTTLS',
  EENVELOPE: 'RCPT TO',
  EMESSAGE: 'DATA',
}

/** nodemailer's error codes, by threadpost's. */
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

/** Returns nodemailer's error code for a transport error. */
export function transportErrorCode(code: string): string {
  return CODES[code] ?? 'ECONNECTION'
}

function addresses(recipients: readonly RecipientState[]): string[] {
  return recipients.map(({ address }) => address)
}

function textOf({ code, enhanced, text }: SmtpReply): string {
  const prefix = enhanced === undefined || text.startsWith(enhanced) ? '' : `${enhanced} `
  return `${code} ${prefix}${text}`.trimEnd()
}

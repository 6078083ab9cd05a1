import type { RecipientOutcome, SmtpReply } from '../../src/outcome.js'
import type { Delivered } from './transport.js'

/** The fields nodemailer puts on its errors. */
export interface SmtpError extends Error {
  code?: string | undefined
  response?: string | undefined
  responseCode?: number | undefined
  recipient?: string | undefined
  rejectedErrors?: SmtpError[] | undefined
}

const MAX_REPLY_TEXT = 512

/** Takes a reply apart: `550 5.1.1 no such user` (RFC 5321 section 4.2, RFC 3463). */
export function parseReply(text: string): SmtpReply | undefined {
  const code = /^[2-5]\d\d/.exec(text)?.[0]
  if (code === undefined) return undefined
  const line = text
    .replace(/(?:^|\r?\n)[2-5]\d\d[ -]?/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  const enhanced = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(line)?.[1]
  const reply: SmtpReply = { code: Number(code), text: line.slice(0, MAX_REPLY_TEXT) }
  if (enhanced !== undefined) reply.enhanced = enhanced
  return reply
}

/** What an error of the connection says of the message, which depends on how far it had got. */
export function deliveredFrom(
  error: SmtpError,
  phase: 'connecting' | 'envelope' | 'body',
  to: readonly string[],
): Delivered {
  if (phase === 'connecting') return unreachable(error)
  if (error.responseCode !== undefined) return refused(error, to)
  const timeout = error.code === 'ETIMEDOUT'
  if (phase === 'envelope')
    return {
      verdict: { result: 'deferred', code: timeout ? 'TIMEOUT' : 'CONNECTION_CLOSED' },
      message: timeout
        ? 'The server did not answer in time; nothing was sent.'
        : 'The connection closed before the message was sent.',
      recipients: [],
    }
  return {
    verdict: { result: 'uncertain', code: timeout ? 'REPLY_TIMEOUT' : 'REPLY_LOST' },
    message: timeout
      ? 'The message was handed over, but no reply came in time; it may have been sent.'
      : 'The message was handed over, but the connection closed before a reply; it may have been sent.',
    recipients: [],
  }
}

function refused(error: SmtpError, to: readonly string[]): Delivered {
  const byRecipient = new Map(error.rejectedErrors?.map((refusal) => [refusal.recipient, refusal]))
  const recipients = to.map((address): RecipientOutcome => {
    const { responseCode = 0, response = '' } = byRecipient.get(address) ?? error
    const reply = parseReply(response)
    const result = responseCode >= 500 ? 'rejected' : 'deferred'
    return reply === undefined ? { address, result } : { address, result, reply }
  })
  const open = recipients.find(({ result }) => result === 'deferred')
  const deciding = open?.reply ?? recipients[0]?.reply ?? parseReply(error.response ?? '')
  const said = deciding === undefined ? '' : `: ${deciding.code} ${deciding.text}`
  return {
    verdict:
      open === undefined
        ? { result: 'rejected', code: 'SMTP_REJECTED' }
        : { result: 'deferred', code: 'SMTP_DEFERRED' },
    message: `The server ${open === undefined ? 'refused' : 'put off'} the message${said}`,
    recipients,
    ...(deciding === undefined ? {} : { reply: deciding }),
  }
}

/** No transaction was begun: a matter of the transport, not of the message. */
function unreachable(error: SmtpError): Delivered {
  const reply = parseReply(error.response ?? '')
  const code =
    error.code === 'EAUTH' || error.code === 'ENOAUTH'
      ? 'AUTH_FAILED'
      : error.code === 'ETLS' || error.code === 'EREQUIRETLS' || isCertificateError(error)
        ? 'TLS_FAILED'
        : 'CONNECTION_FAILED'
  const said = reply === undefined ? describe(error) : `${reply.code} ${reply.text}`
  return {
    verdict: { result: 'deferred', code },
    message: `${SENTENCES[code]}: ${said}`,
    recipients: [],
    ...(reply === undefined ? {} : { reply }),
  }
}

const SENTENCES = {
  AUTH_FAILED: 'The server refused the user or the password',
  TLS_FAILED: 'No safe connection could be made',
  CONNECTION_FAILED: 'The server could not be reached',
} as const

function isCertificateError(error: SmtpError): boolean {
  const cause = (error as { originalCode?: string }).originalCode ?? error.code ?? ''
  return /^(?:CERT_|DEPTH_ZERO|ERR_TLS|ERR_SSL|SELF_SIGNED|UNABLE_TO_)/.test(cause)
}

function describe(error: SmtpError): string {
  return error.message.replace(/\s+/g, ' ').slice(0, MAX_REPLY_TEXT)
}

import { type ErrorCode, ThreadpostError } from '../index.js'

/** A reply that refuses something (RFC 5321 section 4.2), with its enhanced status code (RFC 3463). */
export interface SmtpRefusal {
  refused: number
  enhanced: string
  text: string
}

export function refusal(refused: number, enhanced: string, text: string): SmtpRefusal {
  return { refused, enhanced, text }
}

export function isRefusal(value: object): value is SmtpRefusal {
  return 'refused' in value
}

/** RFC 5321 section 4.5.3.1.5: octets of a reply line, here without the code and the line break. */
const MAX_TEXT = 480

/** The error that smtp-server's callbacks take. Its text carries the enhanced status code. */
export function toCallbackError({ refused, enhanced, text }: SmtpRefusal): Error {
  const ascii = text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_TEXT)
  return Object.assign(new Error(`${enhanced} ${ascii}`), { responseCode: refused })
}

/** 4xx: the client keeps the message and tries again later. 5xx: it gives up. Every other code is a message that is refused as it is. */
const REPLIES: Partial<Record<ErrorCode, readonly [number, string]>> = {
  QUEUE_FULL: [452, '4.3.1'],
  QUEUE_UNAVAILABLE: [451, '4.3.0'],
  // A report about a message that is being sent.
  CONFLICT: [451, '4.3.0'],
  CLOSED: [451, '4.3.2'],
  INVALID_OPTIONS: [451, '4.3.5'],
  REFUSED: [554, '5.7.1'],
  UNSUPPORTED: [554, '5.6.3'],
}

/** Converts the error of `send()`. A defect is reported as a warning, and the client is asked to try again later. */
export function replyTo(error: unknown): SmtpRefusal {
  if (!(error instanceof ThreadpostError)) {
    process.emitWarning(
      `the SMTP intake failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      'ThreadpostWarning',
    )
    return refusal(451, '4.3.0', 'Internal error, try again later')
  }
  const { code, path = '', message } = error
  const text = `${message} [${code}]`
  if (path.startsWith('envelope.to')) return refusal(553, '5.1.3', text)
  if (path.startsWith('envelope.from')) return refusal(553, '5.1.7', text)
  const [reply, enhanced] = REPLIES[code] ?? [554, '5.6.0']
  return refusal(reply, enhanced, text)
}

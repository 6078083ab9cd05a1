/** The results of attempts that ended without a reply, the same for every transport. */
import type {
  RecipientOutcome,
  SmtpReply,
  UnreachableCode,
  UnsupportedCode,
  WithdrawnCode,
} from '../../src/protocol/outcome.js'
import type { SendResult } from './transport.js'

/** No connection could be opened: a problem of the transport, not of a message. */
export interface ConnectionFailure {
  code: UnreachableCode
  /** One sentence for people. */
  message: string
  reply?: SmtpReply
}

/** The result of a message that waited for the connection. */
export function connectionFailed({ code, message, reply }: ConnectionFailure): SendResult {
  return {
    outcome: { result: 'deferred', code },
    message,
    recipients: [],
    ...(reply === undefined ? {} : { reply }),
  }
}

/** How a connection or a call ended before the expected reply. `invalid`: the reply violates the protocol. */
export type CloseReason = 'closed' | 'timeout' | 'invalid'

/**
 * No valid reply came. A message that was not handed over is not sent; after that it may or may not have been sent.
 * @param handedOver the message may have left this process
 */
export function unanswered(reason: CloseReason, handedOver: boolean, to: readonly string[]): SendResult {
  const result = handedOver ? 'uncertain' : 'deferred'
  const recipients = to.map((address): RecipientOutcome => ({ address, result }))
  if (handedOver) {
    const { code, message } = UNCERTAIN[reason]
    return { outcome: { result: 'uncertain', code }, message, recipients }
  }
  const { code, message } = NOT_SENT[reason]
  return { outcome: { result: 'deferred', code }, message, recipients }
}

/**
 * The time limit of the attempt passed while the message waited.
 * @param connected there was a connection, which was busy
 */
export function waitedTooLong(connected: boolean): SendResult {
  if (connected) return unanswered('timeout', false, [])
  const message =
    'The server could not be reached: no connection was ready within the time limit of the attempt'
  return connectionFailed({ code: 'CONNECTION_FAILED', message })
}

/** This transport can't send the message, and another attempt won't help. */
export function unsupported(code: 'INVALID_MESSAGE' | UnsupportedCode, message: string): SendResult {
  return { outcome: { result: 'rejected', code }, message, recipients: [] }
}

/** The transport builds each message itself. `send()` refuses a finished one where it knows the transport. */
export function rawUnsupported(transport: string): SendResult {
  return unsupported(
    'INVALID_MESSAGE',
    `${transport} builds each message itself, and can't send a finished one (raw).`,
  )
}

/** The limits of a service for one request. */
export interface ServiceLimits {
  /** Its name for users. */
  readonly name: string
  /** Recipients of one message, at most. */
  readonly maxRecipients: number
  /** Bytes of the request of one message, at most. */
  readonly maxSize: number
}

/** Returns the result of a message that the service would refuse because of its limits; undefined for any other. */
export function beyondLimits(
  { name, maxRecipients, maxSize }: ServiceLimits,
  recipients: number,
  size: number,
): SendResult | undefined {
  if (recipients > maxRecipients)
    return unsupported(
      'INVALID_MESSAGE',
      `The message has ${recipients} recipients, and ${name} accepts at most ${maxRecipients}.`,
    )
  if (size > maxSize)
    return unsupported(
      'SIZE_EXCEEDED',
      `The request has ${size} bytes, and ${name} accepts at most ${maxSize}.`,
    )
  return undefined
}

export function withdrawn(code: WithdrawnCode): SendResult {
  const verb = code === 'CANCELLED' ? 'was cancelled' : 'expired'
  return {
    outcome: { result: 'withdrawn', code },
    message: `The message ${verb} before it was sent.`,
    recipients: [],
  }
}

const NOT_SENT = {
  closed: { code: 'CONNECTION_CLOSED', message: 'The connection closed before the message was sent.' },
  timeout: { code: 'TIMEOUT', message: 'The server did not answer in time; nothing was sent.' },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The server sent an invalid reply; nothing was sent.',
  },
} as const

const UNCERTAIN = {
  closed: {
    code: 'REPLY_LOST',
    message: 'The connection closed before the server confirmed the message; it may have been sent.',
  },
  timeout: {
    code: 'REPLY_TIMEOUT',
    message: 'The server did not confirm the message in time; it may have been sent.',
  },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The server answered the message with an invalid reply; it may have been sent.',
  },
} as const

/** Error codes of OpenSSL about certificates, and of Node about TLS. */
const TLS_CODE =
  /^(?:CERT_|CRL_|DEPTH_ZERO|EPROTO$|ERR_OSSL|ERR_SSL|ERR_TLS|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH|SELF_SIGNED|UNABLE_TO_)/

/** Whether an error code is about TLS or a certificate. */
export function isTlsCode(code: string | undefined): boolean {
  return TLS_CODE.test(code ?? '')
}

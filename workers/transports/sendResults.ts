/** What came of a message that no answer settled, whatever the transport. */
import type {
  RecipientOutcome,
  SmtpReply,
  UnreachableCode,
  WithdrawnCode,
} from '../../src/protocol/outcome.js'
import type { SendResult } from './transport.js'

/** No connection came about on which mail could be sent: a matter of the transport, not of a message. */
export interface ConnectionFailure {
  code: UnreachableCode
  /** One sentence for people. */
  message: string
  reply?: SmtpReply
}

/** It as an outcome of a message that waited for the connection. */
export function connectionFailed({ code, message, reply }: ConnectionFailure): SendResult {
  return {
    outcome: { result: 'deferred', code },
    message,
    recipients: [],
    ...(reply === undefined ? {} : { reply }),
  }
}

/** How a connection, or a call, ended before the answer that was waited for. */
export type CloseReason = 'closed' | 'timeout' | 'invalid'

/** No answer came, or none that makes sense. Before it was handed over nothing was sent; after it nobody knows. */
export function unanswered(ending: CloseReason, handedOver: boolean, to: readonly string[]): SendResult {
  const result = handedOver ? 'uncertain' : 'deferred'
  const recipients = to.map((address): RecipientOutcome => ({ address, result }))
  if (handedOver) {
    const { code, message } = UNCERTAIN[ending]
    return { outcome: { result: 'uncertain', code }, message, recipients }
  }
  const { code, message } = CERTAIN[ending]
  return { outcome: { result: 'deferred', code }, message, recipients }
}

export function withdrawn(code: WithdrawnCode): SendResult {
  const why = code === 'CANCELLED' ? 'was cancelled' : 'expired'
  return {
    outcome: { result: 'withdrawn', code },
    message: `The message ${why} before it was sent.`,
    recipients: [],
  }
}

const CERTAIN = {
  closed: { code: 'CONNECTION_CLOSED', message: 'The connection closed before the message was sent.' },
  timeout: { code: 'TIMEOUT', message: 'The server did not answer in time; nothing was sent.' },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The server gave a reply that makes no sense; nothing was sent.',
  },
} as const

const UNCERTAIN = {
  closed: {
    code: 'REPLY_LOST',
    message: 'The message was handed over, but the connection closed before a reply; it may have been sent.',
  },
  timeout: {
    code: 'REPLY_TIMEOUT',
    message: 'The message was handed over, but no reply came in time; it may have been sent.',
  },
  invalid: {
    code: 'REPLY_INVALID',
    message: 'The message was handed over, but the reply makes no sense; it may have been sent.',
  },
} as const

/** OpenSSL's verdicts on certificates, and Node's on TLS. */
const TLS_CODE =
  /^(?:CERT_|CRL_|DEPTH_ZERO|EPROTO$|ERR_OSSL|ERR_SSL|ERR_TLS|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH|SELF_SIGNED|UNABLE_TO_)/

/** Whether this is a verdict on a certificate or on TLS. */
export function isTlsCode(code: string | undefined): boolean {
  return TLS_CODE.test(code ?? '')
}

import { complainsAboutEhlo, ehloHint } from '../../../src/protocol/ehloComplaint.js'
import type { SmtpReply, UnreachableCode } from '../../../src/protocol/outcome.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import { SecretRedactor } from '../secretRedactor.js'
import { isTlsCode, type ConnectionFailure } from '../sendResults.js'
import type { ProxyCode } from './openSocket.js'
import { parseReply } from './reply.js'

/** Removes the credentials of the login and of the proxy from a server's text. */
function withoutSecrets(text: string, { proxy }: SmtpTransport, secrets: readonly string[]): string {
  const ofProxy = proxy === undefined ? [] : proxySecrets(new URL(proxy))
  if (secrets.length + ofProxy.length === 0) return text
  return new SecretRedactor([...ofProxy, ...secrets]).cleanLogin(text)
}

function proxySecrets({ username, password }: URL): string[] {
  if (password === '') return []
  const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)]
  return [pass, password, `${user}:${pass}`]
}

/** An error of nodemailer's connection. */
interface NodemailerError extends Error {
  code?: string
  /** The system's or OpenSSL's code, if `code` is nodemailer's own. */
  originalCode?: string
  response?: string
  command?: string
  timeoutType?: string
}

const SENTENCES = {
  AUTH_FAILED: 'The server refused the credentials',
  TLS_FAILED: 'No secure connection could be established',
  CONNECTION_FAILED: 'The server could not be reached',
} as const

/** The failures of a proxy: see `openSocket`. */
const OF_PROXY: Record<ProxyCode, Pick<ConnectionFailure, 'code' | 'message'>> = {
  EPROXYAUTH: { code: 'AUTH_FAILED', message: 'The proxy refused the credentials' },
  EPROXYREFUSED: { code: 'CONNECTION_FAILED', message: 'The proxy did not connect to the server' },
  EPROXYUNREACHABLE: { code: 'CONNECTION_FAILED', message: 'The proxy could not be reached' },
}

/** Codes of nodemailer. */
const AUTH_CODES = new Set<string | undefined>(['EAUTH', 'ENOAUTH', 'EOAUTH2'])
const TLS_CODES = new Set<string | undefined>(['ETLS', 'EREQUIRETLS'])
const MAX_DETAIL = 300

/**
 * Classifies an error from opening a connection. The message is free of credentials.
 * @param secrets the credentials of the login
 */
export function toConnectionFailure(
  error: Error,
  config: SmtpTransport & { ehloName: string },
  secrets: readonly string[],
): ConnectionFailure {
  const failure = error as NodemailerError
  const reply = parseReply(withoutSecrets(failure.response ?? '', config, secrets))
  const ofProxy = Object.entries(OF_PROXY).find(([each]) => each === failure.code)?.[1]
  const code = ofProxy?.code ?? codeOf(failure, reply, config)
  const detail =
    reply === undefined
      ? describe(withoutSecrets(textOf(failure), config, secrets))
      : `${reply.code} ${reply.text}`
  const hint = refusesEhlo(failure, reply) ? `; ${ehloHint(config.ehloName)}` : ''
  return {
    code,
    message: `${ofProxy?.message ?? SENTENCES[code]}: ${detail}${hint}`,
    ...(reply === undefined ? {} : { reply }),
  }
}

/** Whether the server refused the name, and not just the command (500, 502). */
function refusesEhlo({ command }: NodemailerError, reply: SmtpReply | undefined): boolean {
  if (complainsAboutEhlo(reply)) return true
  return (command === 'EHLO' || command === 'HELO') && reply !== undefined && reply.code > 502
}

function codeOf(
  error: NodemailerError,
  reply: SmtpReply | undefined,
  config: SmtpTransport,
): UnreachableCode {
  // The server is busy or shutting down, whichever command it answers (RFC 5321 section 3.8).
  if (reply?.code === 421) return 'CONNECTION_FAILED'
  if (AUTH_CODES.has(error.code)) return 'AUTH_FAILED'
  if (TLS_CODES.has(error.code)) return 'TLS_FAILED'
  if (isTlsCode(error.originalCode ?? error.code)) return 'TLS_FAILED'
  if (error.timeoutType === 'UPGRADE_TIMEOUT') return 'TLS_FAILED'
  // Without EHLO there is no STARTTLS, which `requireTLS` demands.
  if (config.requireTLS && !config.secure && error.command === 'EHLO' && reply !== undefined)
    return 'TLS_FAILED'
  if (config.secure && error.message.includes('before secure TLS connection')) return 'TLS_FAILED'
  return 'CONNECTION_FAILED'
}

function textOf({ message, originalCode, code }: NodemailerError): string {
  return message === '' ? (originalCode ?? code ?? 'no reason given') : message
}

function describe(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, MAX_DETAIL)
}

import type { RecipientOutcome, SmtpReply, UnreachableCode } from '../../src/protocol/outcome.js'
import type { TransportReport } from '../../src/protocol/transportConfig.js'
import { SecretRedactor } from './secretRedactor.js'
import { isTlsCode, unanswered, connectionFailed } from './sendResults.js'
import type { SendResult } from './transport.js'

/** The response of an HTTP API. */
export interface ServiceResponse {
  status: number
  /** The service's explanation, in one line. */
  text: string
  /** Milliseconds to wait before the next request, if the service asked for that. */
  retryAfter?: number
}

const MAX_TEXT = 512
/**
 * Statuses of a gateway that got no usable response from the service, which may have accepted the message: RFC 9110
 * sections 15.6.3 and 15.6.5, and two of Cloudflare's.
 */
const GATEWAY = new Set([502, 504, 520, 524])
const MAX_PROBLEM = 300

/** Translates the responses and errors of a service into results, and removes the transport's secrets from them. */
export class ServiceResults {
  readonly #redactor: SecretRedactor

  /** @param secrets the credentials in the transport's settings */
  constructor(secrets: readonly string[]) {
    this.#redactor = new SecretRedactor(secrets)
  }

  /** Maps an HTTP status (RFC 9110 section 15) to a result, which is the same for all recipients. */
  fromResponse({ status, text, retryAfter }: ServiceResponse, to: readonly string[]): SendResult {
    const login = status === 401 || status === 403
    const reply: SmtpReply = { code: status, text: this.#clean(text, login, MAX_TEXT) }
    const detail = `${status} ${reply.text}`.trim()
    const all = (result: RecipientOutcome['result']): RecipientOutcome[] =>
      to.map((address) => ({ address, result, reply }))
    if (status >= 200 && status < 300)
      return {
        outcome: { result: 'sent', code: 'OK' },
        message: 'The service accepted the message.',
        recipients: all('accepted'),
        reply,
      }
    if (login)
      return connectionFailed({
        code: 'AUTH_FAILED',
        message: `The service refused the credentials: ${detail}`,
        reply,
      })
    // The endpoint is not this API: the settings are wrong, not the message.
    if (status < 400 || status === 404 || status === 405)
      return connectionFailed({
        code: 'CONNECTION_FAILED',
        message: `The endpoint does not offer the service's API: ${detail}`,
        reply,
      })
    if (GATEWAY.has(status))
      return {
        ...unanswered('closed', true, to),
        message: `A gateway responded instead of the service, which may have sent the message: ${detail}`,
        reply,
      }
    // 402: the account has no credit at the moment.
    if (status === 402 || status === 408 || status === 429 || status >= 500)
      return {
        outcome: {
          result: 'deferred',
          code: 'SMTP_DEFERRED',
          ...(retryAfter === undefined ? {} : { retryAfter }),
        },
        message: `The service deferred the message: ${detail}`,
        recipients: all('deferred'),
        reply,
      }
    return {
      outcome: { result: 'rejected', code: 'SMTP_REJECTED' },
      message: `The service refused the message: ${detail}`,
      recipients: all('rejected'),
      reply,
    }
  }

  /** No response came. Nothing was sent if no connection was established; otherwise the result is uncertain. */
  fromError(error: unknown, to: readonly string[]): SendResult {
    for (let cause = error as Failure | undefined, depth = 0; cause instanceof Error && depth < 4; depth++) {
      const code = unreachableCode(cause)
      if (code !== undefined)
        return connectionFailed({ code, message: `${SENTENCES[code]}: ${this.describe(cause)}` })
      cause = cause.cause as Failure | undefined
    }
    return unanswered('closed', true, to)
  }

  /** Nothing was sent, because the client could not be loaded or did not connect. */
  notConnected(error: unknown): SendResult {
    return connectionFailed({ code: 'CONNECTION_FAILED', message: this.describe(error) })
  }

  /** Runs `call` with a client once it is loaded. A client that can't be loaded counts as a failed connection. */
  async withClient<C>(loading: Promise<C>, call: (client: C) => Promise<SendResult>): Promise<SendResult> {
    let client: C
    try {
      client = await loading
    } catch (error) {
      return this.notConnected(error)
    }
    return call(client)
  }

  /** Returns the text of an error, in one line. */
  describe(error: unknown): string {
    return this.#clean(error instanceof Error ? error.message : String(error), false, MAX_PROBLEM)
  }

  #clean(text: string, login: boolean, limit: number): string {
    const line = text.replace(/\s+/g, ' ').trim()
    return (login ? this.#redactor.cleanLogin(line) : this.#redactor.clean(line)).slice(0, limit)
  }
}

/** Converts a Retry-After value, seconds or a date, to milliseconds (RFC 9110 section 10.2.3). */
export function parseRetryAfter(value: string | null | undefined): number | undefined {
  if (value === null || value === undefined || value.trim() === '') return undefined
  const wait = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined
}

/** Errors that occur before a connection is established: nothing was sent. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EPRIVATEHOST',
  'UND_ERR_CONNECT_TIMEOUT',
])

interface Failure {
  code?: unknown
  message?: unknown
  cause?: unknown
  syscall?: unknown
}

const SENTENCES = {
  CONNECTION_FAILED: 'The service could not be reached',
  TLS_FAILED: 'No secure connection could be established',
  AUTH_FAILED: 'The service refused the credentials',
} as const

function unreachableCode({ code, syscall }: Failure): UnreachableCode | undefined {
  if (typeof code !== 'string') return undefined
  if (UNSENT.has(code) || (code === 'ETIMEDOUT' && syscall === 'connect')) return 'CONNECTION_FAILED'
  return isTlsCode(code) ? 'TLS_FAILED' : undefined
}

/** Runs a request that sends no mail, and reports its result. */
export async function toTransportReport(
  target: { transport: string; host: string; port: number },
  request: () => Promise<SendResult>,
): Promise<TransportReport> {
  const start = performance.now()
  const { outcome, message, reply } = await request()
  const facts = { ...target, ms: Math.round(performance.now() - start) }
  if (outcome.result === 'sent')
    return { ...facts, ok: true, authenticated: true, extensions: [], pipelining: false, maxSize: 0 }
  return {
    ...facts,
    ok: false,
    code: isUnreachable(outcome.code) ? outcome.code : 'CONNECTION_FAILED',
    message: outcome.result === 'uncertain' ? 'The service did not answer' : message,
    ...(reply === undefined ? {} : { reply }),
  }
}

function isUnreachable(code: string): code is UnreachableCode {
  return code === 'CONNECTION_FAILED' || code === 'AUTH_FAILED' || code === 'TLS_FAILED'
}

/** Time limit of `verify()` for services, in ms. */
export const VERIFY_TIMEOUT = 10_000

/** Settles as `work` does; rejects if that takes longer than {@link VERIFY_TIMEOUT}. */
export async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer within the time limit')), VERIFY_TIMEOUT)
  })
  try {
    await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves with an optional package; rejects with the command that installs it if it is missing. */
export async function loadPackage<T>(module: Promise<T>, name: string, why: string): Promise<T> {
  try {
    return await module
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
      throw new Error(`${why} ${name}, which is not installed: npm install ${name}`, { cause: error })
    throw new Error(`${name} can't be loaded: ${message}`, { cause: error })
  }
}

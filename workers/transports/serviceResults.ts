import type { RecipientOutcome, SmtpReply, UnreachableCode } from '../../src/protocol/outcome.js'
import type { TransportReport } from '../../src/protocol/transportConfig.js'
import { SecretRedactor } from './secretRedactor.js'
import { isTlsCode, unanswered, connectionFailed } from './sendResults.js'
import type { SendResult } from './transport.js'

/** What an HTTP API answered. */
export interface ServiceResponse {
  status: number
  /** For people, without line breaks. */
  text: string
  /** Milliseconds it asked to be left alone. */
  retryAfter?: number
}

const MAX_TEXT = 512
const MAX_PROBLEM = 300

/** What the answers of a service mean, told without its secrets. */
export class ServiceResults {
  readonly #discretion: SecretRedactor

  /** @param secrets of the transport's settings */
  constructor(secrets: readonly string[]) {
    this.#discretion = new SecretRedactor(secrets)
  }

  /** What an HTTP status (RFC 9110 section 15) says of a message that was posted: it was taken for all recipients or for none. */
  fromResponse({ status, text, retryAfter }: ServiceResponse, to: readonly string[]): SendResult {
    const login = status === 401 || status === 403
    const reply: SmtpReply = { code: status, text: this.#tell(text, login, MAX_TEXT) }
    const said = `${status} ${reply.text}`.trim()
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
        message: `The service refused the credentials: ${said}`,
        reply,
      })
    // There is no such API where it was looked for: no message is to blame.
    if (status < 400 || status === 404 || status === 405)
      return connectionFailed({
        code: 'CONNECTION_FAILED',
        message: `This is not the service's address: ${said}`,
        reply,
      })
    if (status === 408 || status === 429 || status >= 500)
      return {
        outcome: {
          result: 'deferred',
          code: 'SMTP_DEFERRED',
          ...(retryAfter === undefined ? {} : { retryAfter }),
        },
        message: `The service put off the message: ${said}`,
        recipients: all('deferred'),
        reply,
      }
    return {
      outcome: { result: 'rejected', code: 'SMTP_REJECTED' },
      message: `The service refused the message: ${said}`,
      recipients: all('rejected'),
      reply,
    }
  }

  /** No answer came. Where a connection never stood nothing was sent; else nobody knows. */
  fromError(error: unknown, to: readonly string[]): SendResult {
    for (let one = error as Failure | undefined, depth = 0; one instanceof Error && depth < 4; depth++) {
      const code = unreachableCode(one)
      if (code !== undefined)
        return connectionFailed({ code, message: `${SENTENCES[code]}: ${this.describe(one)}` })
      one = one.cause as Failure | undefined
    }
    return unanswered('closed', true, to)
  }

  /** What an error says, in one line. */
  describe(error: unknown): string {
    return this.#tell(error instanceof Error ? error.message : String(error), false, MAX_PROBLEM)
  }

  #tell(text: string, login: boolean, most: number): string {
    const line = text.replace(/\s+/g, ' ').trim()
    return (login ? this.#discretion.cleanLogin(line) : this.#discretion.clean(line)).slice(0, most)
  }
}

/** Milliseconds, from seconds or a date (RFC 9110 section 10.2.3). */
export function retryAfterOf(value: string | null | undefined): number | undefined {
  if (value === null || value === undefined || value.trim() === '') return undefined
  const wait = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined
}

/** Before any of these a connection stood: nothing was sent. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
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

/** What asking a service came to, as a report. */
export async function toTransportReport(
  place: { transport: string; host: string; port: number },
  ask: () => Promise<SendResult>,
): Promise<TransportReport> {
  const start = performance.now()
  const { outcome, message, reply } = await ask()
  const facts = { ...place, ms: Math.round(performance.now() - start) }
  if (outcome.result === 'sent')
    return { ...facts, ok: true, authenticated: true, extensions: [], pipelining: false, maxSize: 0 }
  return {
    ...facts,
    ok: false,
    code: isUnreachable(outcome.code) ? outcome.code : 'CONNECTION_FAILED',
    message: outcome.result === 'uncertain' ? 'The service gave no answer' : message,
    ...(reply === undefined ? {} : { reply }),
  }
}

function isUnreachable(code: string): code is UnreachableCode {
  return code === 'CONNECTION_FAILED' || code === 'AUTH_FAILED' || code === 'TLS_FAILED'
}

/** How long `verify()` waits for a service's answer, in ms. */
export const VERIFY_TIMEOUT = 10_000

/** What a service comes to that knows no limit itself; rejects where there is no answer within that of `verify()`. */
export async function withTimeout(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), VERIFY_TIMEOUT)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A package that is only needed here: where it is absent, the error says what to install. */
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

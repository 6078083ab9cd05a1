import type { RecipientOutcome, SmtpReply, UnreachableCode } from '../../src/protocol/outcome.js'
import { SecretRedactor } from './secretRedactor.js'
import type { SendResult } from './transport.js'
import { isTlsCode, lost, undelivered } from './unsentOutcomes.js'

/** What an HTTP API answered. */
export interface Answer {
  status: number
  /** For people, without line breaks. */
  text: string
  /** Milliseconds it asked to be left alone. */
  retryAfter?: number
}

const MAX_TEXT = 512
const MAX_PROBLEM = 300

/** What the answers of a service mean, told without its secrets. */
export class ServiceAnswers {
  readonly #discretion: SecretRedactor

  /** @param secrets of the transport's settings */
  constructor(secrets: readonly string[]) {
    this.#discretion = new SecretRedactor(secrets)
  }

  /** What an HTTP status (RFC 9110 section 15) says of a message that was posted: it was taken for all recipients or for none. */
  answered({ status, text, retryAfter }: Answer, to: readonly string[]): SendResult {
    const login = status === 401 || status === 403
    const reply: SmtpReply = { code: status, text: this.#tell(text, login, MAX_TEXT) }
    const said = `${status} ${reply.text}`.trim()
    const all = (result: RecipientOutcome['result']): RecipientOutcome[] =>
      to.map((address) => ({ address, result, reply }))
    if (status >= 200 && status < 300)
      return {
        verdict: { result: 'sent', code: 'OK' },
        message: 'The service accepted the message.',
        recipients: all('accepted'),
        reply,
      }
    if (login)
      return undelivered({
        code: 'AUTH_FAILED',
        message: `The service refused the credentials: ${said}`,
        reply,
      })
    // There is no such API where it was looked for: no message is to blame.
    if (status < 400 || status === 404 || status === 405)
      return undelivered({
        code: 'CONNECTION_FAILED',
        message: `This is not the service's address: ${said}`,
        reply,
      })
    if (status === 408 || status === 429 || status >= 500)
      return {
        verdict: {
          result: 'deferred',
          code: 'SMTP_DEFERRED',
          ...(retryAfter === undefined ? {} : { retryAfter }),
        },
        message: `The service put off the message: ${said}`,
        recipients: all('deferred'),
        reply,
      }
    return {
      verdict: { result: 'rejected', code: 'SMTP_REJECTED' },
      message: `The service refused the message: ${said}`,
      recipients: all('rejected'),
      reply,
    }
  }

  /** No answer came. Where a connection never stood nothing was sent; else nobody knows. */
  failed(error: unknown, to: readonly string[]): SendResult {
    for (let one = error as Failure | undefined, depth = 0; one instanceof Error && depth < 4; depth++) {
      const code = unreachableCode(one)
      if (code !== undefined)
        return undelivered({ code, message: `${SENTENCES[code]}: ${this.problem(one)}` })
      one = one.cause as Failure | undefined
    }
    return lost('closed', true, to)
  }

  /** What an error says, in one line. */
  problem(error: unknown): string {
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
  TLS_FAILED: 'No safe connection could be made',
  AUTH_FAILED: 'The service refused the credentials',
} as const

function unreachableCode({ code, syscall }: Failure): UnreachableCode | undefined {
  if (typeof code !== 'string') return undefined
  if (UNSENT.has(code) || (code === 'ETIMEDOUT' && syscall === 'connect')) return 'CONNECTION_FAILED'
  return isTlsCode(code) ? 'TLS_FAILED' : undefined
}

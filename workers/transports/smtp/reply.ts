import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { withoutLinkTokens } from '../secretRedactor.js'

/** Longest accepted line, in octets. RFC 5321 section 4.5.3.1.5 allows 512; some servers send more. */
const MAX_LINE = 2_048
/** Longest accepted reply, in octets. */
const MAX_REPLY = 16_384
/** Number of parsed replies cached per session. */
const MAX_CACHED = 32
/** Characters of a reply that are kept. */
const MAX_TEXT = 512

const REPLY_LINE = /^([2-5]\d\d)(?:([ -])(.*))?$/s
const ENHANCED = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/

const CONTROLS_AND_SPACE = /[\u0000-\u0020\u007f-\u009f]+/g

/**
 * Parses replies (RFC 5321 section 4.2) from the chunks a server sends. Lines and replies are limited in size; a longer
 * one counts as garbage.
 */
export class ReplyReader {
  /** The bytes after the last complete line, decoded as Latin-1. */
  #buffer = ''
  /** Index in the buffer at which the search for the next line ending continues. */
  #searched = 0
  /** Lines of an incomplete multiline reply. */
  #lines: string[] = []
  #size = 0
  /** Parsed single-line replies by their line: servers repeat the same few. */
  readonly #cache = new Map<string, SmtpReply>()

  feed(chunk: Buffer): void {
    this.#buffer += chunk.toString('latin1')
  }

  /** Whether no bytes were received after the last reply that `next()` returned. */
  get empty(): boolean {
    return this.#buffer === '' && this.#lines.length === 0
  }

  /** Returns the next complete reply, `undefined` if there is none yet, or `'garbage'` if the bytes can't be a reply. */
  next(): SmtpReply | 'garbage' | undefined {
    for (;;) {
      const end = this.#buffer.indexOf('\n', this.#searched)
      if (end < 0) {
        this.#searched = this.#buffer.length
        return this.#searched > MAX_LINE ? 'garbage' : undefined
      }
      if (end > MAX_LINE) return 'garbage'
      const line = this.#buffer.slice(0, this.#buffer[end - 1] === '\r' ? end - 1 : end)
      this.#buffer = this.#buffer.slice(end + 1)
      this.#searched = 0

      const cached = this.#lines.length === 0 ? this.#cache.get(line) : undefined
      if (cached !== undefined) return cached
      const match = REPLY_LINE.exec(line)
      const code = match?.[1]
      this.#size += line.length
      if (code === undefined || this.#size > MAX_REPLY) return 'garbage'
      if (this.#lines.length > 0 && !this.#lines[0]?.startsWith(code)) return 'garbage'
      this.#lines.push(line)
      if (match?.[2] === '-') continue
      const reply = toReply(Number(code), this.#lines)
      if (this.#lines.length === 1 && this.#cache.size < MAX_CACHED) this.#cache.set(line, reply)
      this.#lines = []
      this.#size = 0
      return reply
    }
  }
}

/** Parses the complete text of a reply, as an error of nodemailer carries it; undefined if it is not a reply. */
export function parseReply(text: string): SmtpReply | undefined {
  const lines = text.trim().split(/\r?\n/)
  const code = lines.map((line) => REPLY_LINE.exec(line)?.[1])
  return code[0] === undefined || !code.every((each) => each === code[0])
    ? undefined
    : toReply(Number(code[0]), lines)
}

/** @param lines all with the same code; each may repeat the enhanced status code (RFC 2034 section 4) */
function toReply(code: number, lines: readonly string[]): SmtpReply {
  const texts = lines.map((line) => clean(line.slice(4)))
  const match = ENHANCED.exec(texts[0] ?? '')
  const enhanced = match !== null && Number(match[1]) === Math.floor(code / 100) ? match[0] : undefined
  const text = texts
    .map((part, index) =>
      index > 0 && enhanced !== undefined && part.startsWith(`${enhanced} `)
        ? part.slice(enhanced.length + 1)
        : part,
    )
    .join(' ')
  const kept = text.slice(0, MAX_TEXT).trim()
  const reply: SmtpReply = { code, text: code < 400 ? kept : withoutLinkTokens(kept) }
  if (enhanced !== undefined) reply.enhanced = enhanced
  return reply
}

/** Decodes UTF-8 (RFC 6531 section 3.7.4.2), or Latin-1 if invalid. Replaces control characters with spaces. */
function clean(text: string): string {
  if (!/[^\x00-\x7f]/.test(text)) return text.replace(CONTROLS_AND_SPACE, ' ').trim()
  const decoded = Buffer.from(text, 'latin1').toString('utf8')
  return (decoded.includes('\ufffd') ? text : decoded).replace(CONTROLS_AND_SPACE, ' ').trim()
}

import type { SmtpReply } from '../../../src/protocol/outcome.js'
import { withoutLinkTokens } from '../secretRedactor.js'

/** RFC 5321 section 4.5.3.1.5 allows 512 octets a line; real servers are a little more talkative. */
const MAX_LINE = 2_048
const MAX_REPLY = 16_384
/** Replies that are remembered, of one session. */
const MOST_KNOWN = 32
/** Characters of a reply that are kept. */
const MAX_TEXT = 512

const REPLY_LINE = /^([2-5]\d\d)(?:([ -])(.*))?$/s
const ENHANCED = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/

const CONTROLS_AND_SPACE = /[\u0000-\u0020\u007f-\u009f]+/g

/**
 * Takes replies (RFC 5321 section 4.2) out of what a server sends, however it is cut into pieces. Bounded in size:
 * a server that goes on and on is as bad as one that talks nonsense.
 */
export class ReplyReader {
  /** Bytes as characters of one byte each, from the end of the last complete line on. */
  #buffer = ''
  /** Where in the buffer the search for the next line end continues. */
  #searched = 0
  /** Lines of a reply whose last line is still to come. */
  #lines: string[] = []
  #size = 0
  /** Replies of one line by that line: a server says mostly the same. */
  readonly #known = new Map<string, SmtpReply>()

  feed(chunk: Buffer): void {
    this.#buffer += chunk.toString('latin1')
  }

  /** Nothing was received beyond the last reply that was taken. */
  get empty(): boolean {
    return this.#buffer === '' && this.#lines.length === 0
  }

  /** The next complete reply; `undefined` while it is incomplete, `'garbage'` when it never can be one. */
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

      const known = this.#lines.length === 0 ? this.#known.get(line) : undefined
      if (known !== undefined) return known
      const match = REPLY_LINE.exec(line)
      const code = match?.[1]
      this.#size += line.length
      if (code === undefined || this.#size > MAX_REPLY) return 'garbage'
      if (this.#lines.length > 0 && !this.#lines[0]?.startsWith(code)) return 'garbage'
      this.#lines.push(line)
      if (match?.[2] === '-') continue
      const reply = replyOf(Number(code), this.#lines)
      if (this.#lines.length === 1 && this.#known.size < MOST_KNOWN) this.#known.set(line, reply)
      this.#lines = []
      this.#size = 0
      return reply
    }
  }
}

/** Takes the text of a reply apart, as an error of a library holds it; undefined if it is none. */
export function parseReply(text: string): SmtpReply | undefined {
  const lines = text.trim().split(/\r?\n/)
  const code = lines.map((line) => REPLY_LINE.exec(line)?.[1])
  return code[0] === undefined || !code.every((each) => each === code[0])
    ? undefined
    : replyOf(Number(code[0]), lines)
}

/** Lines of one code each. Each of them may repeat the enhanced status code (RFC 2034 section 4). */
function replyOf(code: number, lines: readonly string[]): SmtpReply {
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

/** UTF-8 where it is valid UTF-8 (RFC 6531 section 3.7.4.2), else bytes as they are; no controls. */
function clean(text: string): string {
  if (!/[^\x00-\x7f]/.test(text)) return text.replace(CONTROLS_AND_SPACE, ' ').trim()
  const decoded = Buffer.from(text, 'latin1').toString('utf8')
  return (decoded.includes('\ufffd') ? text : decoded).replace(CONTROLS_AND_SPACE, ' ').trim()
}

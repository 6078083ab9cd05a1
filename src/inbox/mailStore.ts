import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type MailContents, parseMime } from '../mime/parseMime.js'
import { ThreadReader } from '../mime/threadReader.js'
import { type MailSummary, type ReceivedMail, summaryOf, toReceivedMail } from './receivedMail.js'

export interface InboxEnvelope {
  /** The reverse-path (RFC 5321 section 3.3); '' for a bounce. */
  from: string
  to: string[]
}

/** A message as received, not parsed yet. */
export interface RawMail {
  id: string
  envelope: InboxEnvelope
  /** ISO 8601. */
  receivedAt: string
  /** The bytes between DATA and the final dot, without dot-stuffing (RFC 5321 section 4.5.2). */
  raw: Uint8Array
}

/** Milliseconds of parsing before the event loop gets a turn. */
const TIME_SLICE = 5
/** Bytes of the messages that are also kept parsed. Others are parsed again on each read. */
const PARSED_BYTES = 64 * 1024 * 1024

/** Bytes up to which a message is parsed at once: that takes less time than its way to a thread and back. */
const SMALL = 64 * 1024
/** Bytes up to which a message is parsed; a larger one is shown raw. */
const MAX_PARSED = 64 * 1024 * 1024
/** Milliseconds for parsing one message. */
const TIMEOUT = 60_000
/** Megabytes that the thread may use. */
const MEMORY = 1_024

/** The thread that parses large messages of all inboxes in this process. */
let thread: ThreadReader<MailContents> | undefined

/** Parses a message within the limits; beyond them, only the start of its header. Never rejects. */
async function contentsOf(raw: Uint8Array): Promise<MailContents> {
  if (raw.byteLength <= SMALL) return parseMime(raw)
  if (raw.byteLength > MAX_PARSED) return onlyHeader(raw, `is larger than ${MAX_PARSED / 1024 / 1024} MB`)
  try {
    thread ??= new ThreadReader({
      file: fileURLToPath(new URL('../mime/parseMime.js', import.meta.url)),
      name: 'parseMime',
      timeout: TIMEOUT,
      memory: MEMORY,
      failure: () => new Error('the thread ended, or the message took too long'),
    })
    return (await thread.read(raw)) ?? onlyHeader(raw, "can't be parsed")
  } catch {
    return onlyHeader(raw, `takes more than ${TIMEOUT / 1_000} s or ${MEMORY} MB to parse`)
  }
}

function onlyHeader(raw: Uint8Array, reason: string): MailContents {
  const { html: _html, text: _text, ...contents } = parseMime(raw.subarray(0, SMALL))
  return { ...contents, attachments: [], leftOut: [`The mail ${reason}: it is shown raw.`] }
}

/** Keeps the last messages as bytes. They are parsed only on demand, so that receiving stays cheap. */
export class MailStore {
  readonly #maxMails: number
  readonly #maxBytes: number
  readonly #mails = new Map<string, RawMail>()
  /** The messages read last, newest last. */
  readonly #parsed = new Map<RawMail, Promise<ReceivedMail>>()
  /** A message is parsed once for the list, however often that is read. */
  readonly #summaries = new WeakMap<RawMail, MailSummary>()
  #parsedBytes = 0
  #bytes = 0
  #count = 0
  /** The start of the current slice of work. */
  #since = 0

  constructor(maxMails: number, maxBytes: number) {
    this.#maxMails = maxMails
    this.#maxBytes = maxBytes
  }

  /** Messages received since the start or the last `clear()`, including those no longer kept. */
  get count(): number {
    return this.#count
  }

  add(envelope: InboxEnvelope, raw: Uint8Array): RawMail {
    const mail: RawMail = { id: randomUUID().slice(-12), envelope, receivedAt: new Date().toISOString(), raw }
    this.#mails.set(mail.id, mail)
    this.#bytes += raw.byteLength
    this.#count++
    // The message that just arrived stays, whatever its size.
    for (const oldest of this.#mails.values()) {
      if (oldest === mail || (this.#mails.size <= this.#maxMails && this.#bytes <= this.#maxBytes)) break
      this.delete(oldest.id)
    }
    return mail
  }

  /** @returns whether the message existed */
  delete(id: string): boolean {
    const mail = this.#mails.get(id)
    if (mail === undefined) return false
    this.#mails.delete(id)
    this.#bytes -= mail.raw.byteLength
    this.#evict(mail)
    return true
  }

  /** Oldest first. */
  list(): RawMail[] {
    return [...this.#mails.values()]
  }

  get(id: string): RawMail | undefined {
    return this.#mails.get(id)
  }

  parse(mail: RawMail): Promise<ReceivedMail> {
    const known = this.#parsed.get(mail)
    if (known !== undefined) return known
    const parsed = this.#parse(mail)
    // A deleted message is never removed from the cache, so it isn't added.
    if (!this.#mails.has(mail.id)) return parsed
    this.#parsed.set(mail, parsed)
    this.#parsedBytes += mail.raw.byteLength
    for (const oldest of this.#parsed.keys()) {
      if (oldest === mail || this.#parsedBytes <= PARSED_BYTES) break
      this.#evict(oldest)
    }
    return parsed
  }

  async #parse(mail: RawMail): Promise<ReceivedMail> {
    const parsed = toReceivedMail(mail, await contentsOf(mail.raw))
    this.#summaries.set(mail, summaryOf(parsed))
    return parsed
  }

  /** The newest messages as a list shows them, newest first. */
  async newest(limit: number): Promise<MailSummary[]> {
    const summaries: MailSummary[] = []
    for (const mail of this.list().reverse().slice(0, limit)) {
      const known = this.#summaries.get(mail)
      summaries.push(known ?? summaryOf(await this.parse(mail)))
      if (known === undefined) await this.#breathe()
    }
    return summaries
  }

  /** Gives the event loop a turn if it had none for a while. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#since < TIME_SLICE) return
    await setImmediate()
    this.#since = performance.now()
  }

  /** All kept messages, newest first. Yields to the event loop regularly, because parsing 500 messages takes half a second. */
  async *newestFirst(): AsyncGenerator<ReceivedMail, void, undefined> {
    for (const mail of this.list().reverse()) {
      yield await this.parse(mail)
      await this.#breathe()
    }
  }

  clear(): void {
    this.#mails.clear()
    this.#parsed.clear()
    this.#parsedBytes = 0
    this.#bytes = 0
    this.#count = 0
  }

  #evict(mail: RawMail): void {
    if (this.#parsed.delete(mail)) this.#parsedBytes -= mail.raw.byteLength
  }
}

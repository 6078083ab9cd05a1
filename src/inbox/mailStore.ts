import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { parseMime } from '../web/parseMime.js'
import { type ReceivedMail, toReceivedMail } from './receivedMail.js'

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

/** Keeps the last messages as bytes. They are parsed only on demand, so that receiving stays cheap. */
export class MailStore {
  readonly #maxMails: number
  readonly #maxBytes: number
  readonly #mails = new Map<string, RawMail>()
  /** The messages read last, newest last. */
  readonly #parsed = new Map<RawMail, Promise<ReceivedMail>>()
  #parsedBytes = 0
  #bytes = 0
  #count = 0

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
    const parsed = Promise.resolve(toReceivedMail(mail, parseMime(mail.raw)))
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

  /** All kept messages, newest first. Yields to the event loop regularly, because parsing 500 messages takes half a second. */
  async *newestFirst(): AsyncGenerator<ReceivedMail, void, undefined> {
    let since = performance.now()
    for (const mail of this.list().reverse()) {
      yield await this.parse(mail)
      if (performance.now() - since < TIME_SLICE) continue
      await setImmediate()
      since = performance.now()
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

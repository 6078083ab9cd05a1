import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { parseMime } from '../web/parseMime.js'
import { type ReceivedMail, toReceivedMail } from './receivedMail.js'

export interface InboxEnvelope {
  /** The reverse-path; '' for a bounce. */
  from: string
  to: string[]
}

/** A mail as it came, not looked into yet. */
export interface RawMail {
  id: string
  envelope: InboxEnvelope
  /** ISO 8601. */
  receivedAt: string
  /** The bytes between DATA and the final dot, dot-stuffing removed. */
  raw: Uint8Array
}

/** Milliseconds of parsing before others have their turn. */
const TURN = 5
/** Bytes of mail that are kept parsed as well; others are parsed anew when somebody looks. */
const PARSED_BYTES = 64 * 1024 * 1024

/** Keeps the last mails as bytes. Parsing waits until somebody asks, so that receiving stays cheap. */
export class MailStore {
  readonly #maxMails: number
  readonly #maxBytes: number
  readonly #mails = new Map<string, RawMail>()
  /** The last ones looked at, newest last. */
  readonly #parsed = new Map<RawMail, Promise<ReceivedMail>>()
  #parsedBytes = 0
  #bytes = 0
  #count = 0

  constructor(maxMails: number, maxBytes: number) {
    this.#maxMails = maxMails
    this.#maxBytes = maxBytes
  }

  /** All that came since the start or the last `clear()`, be they still kept or not. */
  get count(): number {
    return this.#count
  }

  add(envelope: InboxEnvelope, raw: Uint8Array): RawMail {
    const mail: RawMail = { id: randomUUID().slice(-12), envelope, receivedAt: new Date().toISOString(), raw }
    this.#mails.set(mail.id, mail)
    this.#bytes += raw.byteLength
    this.#count++
    // The mail that just came stays, whatever its size.
    for (const oldest of this.#mails.values()) {
      if (oldest === mail || (this.#mails.size <= this.#maxMails && this.#bytes <= this.#maxBytes)) break
      this.delete(oldest.id)
    }
    return mail
  }

  /** @returns whether there was such a mail */
  delete(id: string): boolean {
    const mail = this.#mails.get(id)
    if (mail === undefined) return false
    this.#mails.delete(id)
    this.#bytes -= mail.raw.byteLength
    this.#forget(mail)
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
    // Nobody forgets what has been forgotten already.
    if (!this.#mails.has(mail.id)) return parsed
    this.#parsed.set(mail, parsed)
    this.#parsedBytes += mail.raw.byteLength
    for (const oldest of this.#parsed.keys()) {
      if (oldest === mail || this.#parsedBytes <= PARSED_BYTES) break
      this.#forget(oldest)
    }
    return parsed
  }

  /** All that are kept, newest first. Lets others have their turn, for a first look at 500 mails takes half a second. */
  async *newestFirst(): AsyncGenerator<ReceivedMail, void, undefined> {
    let since = performance.now()
    for (const mail of this.list().reverse()) {
      yield await this.parse(mail)
      if (performance.now() - since < TURN) continue
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

  #forget(mail: RawMail): void {
    if (this.#parsed.delete(mail)) this.#parsedBytes -= mail.raw.byteLength
  }
}

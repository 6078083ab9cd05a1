import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type MailContents, parseMail } from './parse.js'

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

/** A mail and what it says. */
export type ReceivedMail = RawMail & MailContents

/** Milliseconds of parsing before others have their turn. */
const TURN = 5

/** Keeps the last mails as bytes. Parsing waits until somebody asks, so that receiving stays cheap. */
export class MailStore {
  readonly #maxMails: number
  readonly #maxBytes: number
  readonly #mails = new Map<string, RawMail>()
  readonly #parsed = new WeakMap<RawMail, Promise<ReceivedMail>>()
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
      this.#mails.delete(oldest.id)
      this.#bytes -= oldest.raw.byteLength
    }
    return mail
  }

  /** Oldest first. */
  list(): RawMail[] {
    return [...this.#mails.values()]
  }

  get(id: string): RawMail | undefined {
    return this.#mails.get(id)
  }

  parse(mail: RawMail): Promise<ReceivedMail> {
    let parsed = this.#parsed.get(mail)
    if (parsed === undefined) {
      parsed = parseMail(mail.raw).then((contents) => ({ ...mail, ...contents }))
      this.#parsed.set(mail, parsed)
    }
    return parsed
  }

  /** All that are kept. Lets others have their turn in between, for a first look at 500 mails takes half a second. */
  async parseAll(): Promise<ReceivedMail[]> {
    const all: ReceivedMail[] = []
    let since = performance.now()
    for (const mail of this.list()) {
      all.push(await this.parse(mail))
      if (performance.now() - since < TURN) continue
      await setImmediate()
      since = performance.now()
    }
    return all
  }

  clear(): void {
    this.#mails.clear()
    this.#bytes = 0
    this.#count = 0
  }
}

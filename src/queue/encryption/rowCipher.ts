import type { HeldReason } from '../../message/messageState.js'
import { plainOctets } from '../../protocol/octets.js'
import { parseJson } from '../../protocol/parseJson.js'
import type { AttachmentBytes, JobHead, KeyForm, NewRow } from '../storedRow.js'
import { type Cipher, isSealedText } from './cipher.js'

/** The fields of a row that may be sealed. */
interface SealableRow {
  head: string
  rest?: string | null
  content?: string | null
  attachments?: AttachmentBytes[]
}

/** The beginning of a sealed head, as {@link RowCipher} writes it. */
const SEALED_HEAD = /^\{"sealed":"([^"]+)","id":"([^"]+)"/
/** The state of a message that is sealed, as {@link RowCipher} writes it. */
const SEALED_REST = /^\{"sealed":"([^"]+)"(?:,"heldReason":"\w+")?\}$/
const TEXT = 't'.charCodeAt(0)
const BYTES = 'b'.charCodeAt(0)

/**
 * Seals the rows of a queue and opens them again. What the queue itself has to read stays clear: the list is in
 * src/queue/README.md. Rows from before the option was set are read as they are.
 *
 * A row that no key opens stays sealed. `rowCodec` turns it into a message without content, which is neither delivered nor changed.
 */
export class RowCipher {
  readonly #cipher: Cipher

  constructor(cipher: Cipher) {
    this.#cipher = cipher
  }

  /** @param head the row's head as an object */
  sealRow(row: NewRow, head: JobHead): NewRow {
    const { id, key, fingerprint } = row
    const forms = this.#pairs(key, fingerprint)
    return {
      ...row,
      ...forms[0]!,
      otherForms: forms.slice(1),
      head: this.sealHead(head, row.head),
      content: this.#cipher.sealText(row.content, `${id} content`),
      attachments: row.attachments?.map((part, index) => this.#sealFile(part, `${id} file ${index}`)) ?? null,
    }
  }

  /** @param text the head as JSON */
  sealHead(head: JobHead, text: string): string {
    const { id, messageId, transport, templateVersion, priority, group, stream, resendOf, content } = head
    const { date, acceptedAt, notBefore, expiresAt, onUncertain, fingerprint } = head
    const recipients = [...head.to, ...head.cc, ...head.bcc]
    return JSON.stringify({
      sealed: this.#cipher.sealText(text, `${id} head`),
      id,
      messageId,
      transport,
      templateVersion,
      priority,
      group,
      stream,
      resendOf,
      content,
      date,
      acceptedAt,
      notBefore,
      expiresAt,
      onUncertain,
      fingerprint: fingerprint === undefined ? undefined : this.#cipher.token('fingerprint', fingerprint),
      from: { address: '' },
      to: recipients.map(({ address }) => ({
        address: this.#cipher.token('recipient', address.toLowerCase()),
      })),
      cc: [],
      bcc: [],
      erased: head.erased,
      tags: head.tags.map((tag) => this.#cipher.token('tag', tag)),
      attachments: [],
    })
  }

  /** @param heldReason stays clear: SQLite selects by it the messages that wait for a transport */
  sealRest(id: string, rest: string, heldReason: HeldReason | undefined): string {
    return JSON.stringify({ sealed: this.#cipher.sealText(rest, `${id} state`), heldReason })
  }

  /** Opens what is sealed in a row. Returns it unchanged if no key opens all of it. */
  open<R extends SealableRow>(row: R): R {
    const [, sealedHead, sealedId] = SEALED_HEAD.exec(row.head) ?? []
    const { rest, content, attachments } = row
    const [, sealedRest] = rest === null || rest === undefined ? [] : (SEALED_REST.exec(rest) ?? [])
    if (sealedHead === undefined && sealedRest === undefined) return row
    const id = sealedId ?? (parseJson(row.head) as JobHead).id
    const opened = { ...row }
    if (sealedRest !== undefined) {
      const text = this.#cipher.openText(sealedRest, `${id} state`)
      if (text === undefined) return row
      opened.rest = text
    }
    if (sealedHead === undefined) return opened
    const head = this.#cipher.openText(sealedHead, `${id} head`)
    if (head === undefined) return row
    opened.head = head
    if (typeof content === 'string') {
      const text = isSealedText(content) ? this.#cipher.openText(content, `${id} content`) : content
      if (text === undefined) return row
      opened.content = text
    }
    if (attachments !== undefined) {
      const files = attachments.map((part, index) => this.#openFile(part, `${id} file ${index}`))
      if (!files.every((file) => file !== undefined)) return row
      opened.attachments = files
    }
    return opened
  }

  /** The forms in which the address of a recipient may be stored. */
  recipientForms(address: string): string[] {
    return [...this.#cipher.tokens('recipient', address.toLowerCase()), address]
  }

  /** The forms in which an idempotency key may be stored. */
  keyForms(key: string): string[] {
    return [...this.#cipher.tokens('key', key), key]
  }

  tagForms(tag: string): string[] {
    return [...this.#cipher.tokens('tag', tag), tag]
  }

  /** The forms in which an idempotency key and a fingerprint may be stored, the one of the first key first. */
  #pairs(key: string | null, fingerprint: string | null): KeyForm[] {
    const none: (string | null)[] = []
    const keys = key === null ? none : this.#cipher.tokens('key', key)
    const fingerprints = fingerprint === null ? none : this.#cipher.tokens('fingerprint', fingerprint)
    const sealed = Array.from({ length: Math.max(keys.length, fingerprints.length, 1) }, (_, nth) => ({
      key: keys[nth] ?? null,
      fingerprint: fingerprints[nth] ?? null,
    }))
    return key === null && fingerprint === null ? sealed : [...sealed, { key, fingerprint }]
  }

  #sealFile({ content, ...kind }: AttachmentBytes, place: string): AttachmentBytes {
    const bytes =
      typeof content === 'string'
        ? Buffer.concat([Buffer.of(TEXT), Buffer.from(content)])
        : Buffer.concat([Buffer.of(BYTES), content])
    return { ...kind, content: this.#cipher.sealBytes(bytes, place) }
  }

  #openFile({ content, ...kind }: AttachmentBytes, place: string): AttachmentBytes | undefined {
    if (typeof content === 'string') return undefined
    const bytes = this.#cipher.openBytes(content, place)
    if (bytes === undefined) return undefined
    const data = bytes.subarray(1)
    return { ...kind, content: bytes[0] === TEXT ? data.toString() : plainOctets(data) }
  }
}

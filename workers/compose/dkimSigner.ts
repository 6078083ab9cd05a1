import { createPrivateKey, hash, type KeyObject, sign } from 'node:crypto'
import type { DkimKey } from '../../src/protocol/transportConfig.js'
import { BodyHash, relaxedBodyHash } from './dkimBodyHash.js'
import type { LazyMessage } from './lazyMessage.js'

/** The header fields to sign, if present: RFC 6376 section 5.4.1, and those that RFC 8058 section 4 requires. */
const FIELDS = [
  'from',
  'reply-to',
  'subject',
  'date',
  'message-id',
  'to',
  'cc',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'in-reply-to',
  'references',
  'list-id',
  'list-unsubscribe',
  'list-unsubscribe-post',
  'auto-submitted',
]

/** RFC 5322 section 2.1.1: lines should not be longer than 78 characters. */
const LINE = 76
const FIELD = 'DKIM-Signature'
/** Octets between a header and its body: the end of the last field, and the blank line. */
const BLANK = 4

interface SigningKey {
  algorithm: 'rsa-sha256' | 'ed25519-sha256'
  key: KeyObject
  domain: string
  selector: string
}

/**
 * Signs messages with DKIM (RFC 6376; Ed25519: RFC 8463), relaxed/relaxed, with one signature per key. The whole body is
 * signed: there is never an `l=`. The From field is listed once more than it occurs, so that a second one invalidates the
 * signature (RFC 6376 section 8.15). The same message always gets the same signature fields: they contain no time, and
 * both algorithms are deterministic.
 */
export class DkimSigner {
  /** Upper bound of the length of all signature fields together, in octets. */
  readonly headroom: number
  readonly #keys: SigningKey[]

  /** @param keys with a valid RSA or Ed25519 key in PEM form */
  constructor(keys: readonly DkimKey[]) {
    this.#keys = keys.map(({ domain, selector, privateKey }) => {
      const key = createPrivateKey(privateKey)
      const algorithm = key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256'
      return { algorithm, key, domain, selector }
    })
    this.headroom = this.#keys.reduce((sum, key) => sum + maxFieldLength(key), 0)
  }

  /**
   * Returns the message with its signature fields in front. If there are `headroom` writable octets in front of it, the
   * fields are written there, and the message is not copied.
   *
   * @param message in its final form, with CRLF line endings
   */
  sign(message: Buffer, headroom = 0): Buffer {
    const header = headerLength(message)
    const fields = this.#signatureFields(message, header, relaxedBodyHash(message, header + BLANK))
    const { length } = fields
    const signed =
      length <= headroom
        ? Buffer.from(message.buffer, message.byteOffset - length, length + message.length)
        : Buffer.allocUnsafeSlow(length + message.length)
    if (length > headroom) message.copy(signed, length)
    signed.write(fields, 0, 'latin1')
    return signed
  }

  /** Signs a message that is encoded as it is sent; its attachments are encoded once more for the hash. */
  signLazy(message: LazyMessage): LazyMessage {
    const { beginning } = message
    const header = headerLength(beginning)
    const body = new BodyHash()
    for (const part of message) body.add(part, part === beginning ? header + BLANK : 0)
    return message.withFields(Buffer.from(this.#signatureFields(beginning, header, body.digest()), 'latin1'))
  }

  #signatureFields(message: Buffer, header: number, bodyHash: string): string {
    const { names, text } = signedFields(message.toString('latin1', 0, header))
    return this.#keys.map((key) => signatureField(key, names, text, bodyHash)).join('')
  }
}

/** Returns the length of the header, without the end of its last line if a body follows. */
function headerLength(message: Buffer): number {
  const blank = message.indexOf('\r\n\r\n')
  return blank < 0 ? message.length : blank
}

/** Selects the fields to sign. @returns their names for `h=`, and their canonicalized text */
function signedFields(header: string): { names: string; text: string } {
  const found = new Map<string, string[]>(FIELDS.map((name) => [name, []]))
  for (const field of header.split(/\r\n(?![ \t])/)) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon).trim().toLowerCase()
    found.get(name)?.push(`${name}:${relaxedValue(field.slice(colon + 1))}\r\n`)
  }
  const names = ['from']
  let text = ''
  for (const [name, fields] of found)
    // Fields of the same name are signed from the last to the first (RFC 6376 section 5.4.2).
    for (const field of fields.reverse()) {
      names.push(name)
      text += field
    }
  return { names: names.join(':'), text }
}

/** "relaxed" canonicalization (RFC 6376 section 3.4.2). */
function relaxedValue(value: string): string {
  const text = value.replaceAll('\r\n', '').replace(/[ \t]+/g, ' ')
  return text.slice(text.startsWith(' ') ? 1 : 0, text.endsWith(' ') && text.length > 1 ? -1 : undefined)
}

function signatureField(key: SigningKey, names: string, text: string, bodyHash: string): string {
  const tags = unsignedTags(key, names, bodyHash)
  const signature = signText(key, `${text}${FIELD.toLowerCase()}:${relaxedValue(tags)}`)
  return `${FIELD}:${tags}${split(signature, LINE - 1).join('\r\n ')}\r\n`
}

/** The tags of a signature, with `b=` empty, as the value of the field. */
function unsignedTags({ algorithm, domain, selector }: SigningKey, names: string, bodyHash: string): string {
  return [
    ` v=1; a=${algorithm}; c=relaxed/relaxed;`,
    `d=${domain};`,
    `s=${selector};`,
    `h=${foldNames(names)};`,
    `bh=${bodyHash};`,
    'b=',
  ].join('\r\n ')
}

function signText({ algorithm, key }: SigningKey, text: string): string {
  const octets = Buffer.from(text, 'latin1')
  // RFC 8463 section 3: Ed25519 signs the hash of the header fields.
  const signature =
    algorithm === 'ed25519-sha256'
      ? sign(null, hash('sha256', octets, 'buffer'), key)
      : sign('sha256', octets, key)
  return signature.toString('base64')
}

/** Folds the list of field names after a colon (RFC 6376 section 3.5). */
function foldNames(names: string): string {
  let text = ''
  let line = 2
  for (const name of names.split(':')) {
    const more = text === '' ? name : `:${name}`
    const fits = line + more.length < LINE
    text += fits ? more : `:\r\n ${name}`
    line = fits ? line + more.length : name.length + 1
  }
  return text
}

function split(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  )
}

/** The length of a signature field for a message that has each field twice. More fields are copied, not refused. */
function maxFieldLength(key: SigningKey): number {
  const { modulusLength = 512 } = key.key.asymmetricKeyDetails ?? {}
  const signature = (modulusLength / 8) * 1.5
  const names = [...FIELDS, ...FIELDS].join(':').length * 1.1
  return Math.ceil(key.domain.length + key.selector.length + names + signature + 200)
}

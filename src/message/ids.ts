import { createHash, type Hash, randomBytes, randomFillSync } from 'node:crypto'
import { types } from 'node:util'
import { splitAddress, toWireAddress } from '../protocol/addressForms.js'

const POOL_IDS = 256
/** Hexadecimal digits of an id that are not its timestamp. */
const DIGITS = 20
const pool = Buffer.alloc((DIGITS / 2) * POOL_IDS)
let digits = ''
let used = POOL_IDS
let lastTime = -1
let prefix = ''

/** A lowercase UUID of version 7 (RFC 9562 section 5.7): it sorts by its time of creation. */
export function mintId(now: number): string {
  if (used === POOL_IDS) {
    digits = randomFillSync(pool).toString('hex')
    used = 0
  }
  if (now !== lastTime) {
    const time = now.toString(16).padStart(12, '0')
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`
    lastTime = now
  }
  const at = used++ * DIGITS
  const variant = '89ab'[parseInt(digits.charAt(at), 16) & 3]!
  return `${prefix}${digits.slice(at + 1, at + 4)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 7, at + 19)}`
}

/** The Message-ID of a message (RFC 5322 section 3.6.4): its id, at the sender's domain as A-labels. */
export function messageIdFor(id: string, sender: string): string {
  return `<${id}@${splitAddress(toWireAddress(sender)).domain}>`
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export function isId(text: unknown): text is string {
  return typeof text === 'string' && UUID_V7.test(text)
}

/**
 * SHA-256 of the caller's mail, independent of the order of its fields. Two mails with the same fingerprint are the same request.
 */
export function fingerprint(mail: Readonly<Record<string, unknown>>): string {
  const { idempotencyKey: _, ...rest } = mail
  const hash = createHash('sha256')
  feed(hash, rest)
  return hash.digest('base64url')
}

/** Bytes in several places, which count as if they were in one. */
export class ByteSequence {
  readonly parts: readonly Uint8Array[]

  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts
  }
}

function feed(hash: Hash, value: unknown): void {
  if (types.isUint8Array(value)) {
    feed(hash, new ByteSequence([value]))
  } else if (value instanceof ByteSequence) {
    hash.update(`bytes ${value.parts.reduce((sum, { byteLength }) => sum + byteLength, 0)}:`)
    for (const part of value.parts) hash.update(part)
  } else if (types.isDate(value)) {
    hash.update(`${JSON.stringify(value)};`)
  } else if (Array.isArray(value)) {
    hash.update(`array ${value.length}:`)
    for (const item of value) feed(hash, item)
  } else if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    hash.update(`object ${fields.length}:`)
    for (const [key, field] of fields.sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${JSON.stringify(key)}:`)
      feed(hash, field)
    }
  } else {
    hash.update(`${JSON.stringify(value ?? null)};`)
  }
}

/** Identifies one process among all that ever used a queue, to record which of them is delivering a message. */
export function newToken(): string {
  return randomBytes(6).toString('hex')
}

/** An idempotency key that no caller can choose: a caller's key with a control character is refused, in SQL as well. */
export type InternalKey = `\u0001${string}`

export function internalKey(text: string): InternalKey {
  return `\u0001${text}`
}

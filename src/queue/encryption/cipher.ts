import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'

/** NIST SP 800-38D section 8.2.2: a random nonce of 96 bits for each value. */
const NONCE_LENGTH = 12
const TAG_LENGTH = 16
/** Nonces taken from the system's random numbers at a time. */
const NONCES = 256
/** Marks a sealed text and its format. JSON never begins like this. */
const MARK = 'tp1.'
const KEY_ID_LENGTH = 8
const ENVELOPE_START = MARK.length + KEY_ID_LENGTH + 1
/** Hexadecimal digits of a token: 128 bits. */
const TOKEN_LENGTH = 32

/** The keys that are derived from one key of the option. */
interface DerivedKey {
  /** Names the key in sealed values; says nothing about it. */
  id: string
  cipher: KeyObject
  mac: KeyObject
}

/**
 * Encrypts values with AES-256-GCM under the first of several keys, and decrypts those of any key. The associated data binds each
 * value to its place, so that a value that was moved to another message or column is refused.
 *
 * A sealed text is `tp1.KEYID.` and, in base64, nonce, ciphertext, and tag. Sealed bytes are the same without base64.
 */
export class Cipher {
  readonly #keys: readonly DerivedKey[]
  readonly #first: DerivedKey
  readonly #byId: ReadonlyMap<string, DerivedKey>
  readonly #nonces = Buffer.alloc(NONCES * NONCE_LENGTH)
  #used = NONCES

  /** @param keys of 32 bytes each, at least one */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys.map(derive)
    this.#first = this.#keys[0]!
    this.#byId = new Map(this.#keys.map((key) => [key.id, key]))
  }

  /** Names of the keys, the first one first. */
  get keyIds(): string[] {
    return this.#keys.map(({ id }) => id)
  }

  /** @param place what the value belongs to: a message and a column, or the key of a record */
  sealText(text: string, place: string): string {
    const { id } = this.#first
    return `${MARK}${id}.${this.#encrypt(text, place).toString('base64')}`
  }

  sealBytes(bytes: Uint8Array, place: string): Uint8Array {
    const { id } = this.#first
    return Buffer.concat([Buffer.from(`${MARK}${id}.`), this.#encrypt(bytes, place)])
  }

  /** @returns undefined if no key decrypts it, or it is not what was stored there */
  openText(sealed: string, place: string): string | undefined {
    return this.#decrypt(
      sealed.slice(0, ENVELOPE_START),
      Buffer.from(sealed.slice(ENVELOPE_START), 'base64'),
      place,
    )?.toString()
  }

  /** @returns undefined as {@link openText} does */
  openBytes(sealed: Uint8Array, place: string): Buffer | undefined {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    return this.#decrypt(bytes.toString('latin1', 0, ENVELOPE_START), bytes.subarray(ENVELOPE_START), place)
  }

  /**
   * Returns the tokens by which a value is found without being stored: one for each key, that of the first key first.
   * @param kind what the value is, so that equal values of different kinds have different tokens
   */
  tokens(kind: string, value: string): string[] {
    return this.#keys.map((key) => tokenOf(key, kind, value))
  }

  /** Returns the token that is stored. */
  token(kind: string, value: string): string {
    return tokenOf(this.#first, kind, value)
  }

  #encrypt(value: string | Uint8Array, place: string): Buffer {
    const nonce = this.#nextNonce()
    const cipher = createCipheriv('aes-256-gcm', this.#first.cipher, nonce)
    cipher.setAAD(Buffer.from(place))
    const bytes = typeof value === 'string' ? cipher.update(value, 'utf8') : cipher.update(value)
    return Buffer.concat([nonce, bytes, cipher.final(), cipher.getAuthTag()])
  }

  #decrypt(start: string, envelope: Buffer, place: string): Buffer | undefined {
    const key = this.#byId.get(start.slice(MARK.length, -1))
    if (key === undefined || envelope.length < NONCE_LENGTH + TAG_LENGTH) return undefined
    const nonce = envelope.subarray(0, NONCE_LENGTH)
    const decipher = createDecipheriv('aes-256-gcm', key.cipher, nonce, { authTagLength: TAG_LENGTH })
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(envelope.subarray(-TAG_LENGTH))
    const bytes = decipher.update(envelope.subarray(NONCE_LENGTH, -TAG_LENGTH))
    try {
      return Buffer.concat([bytes, decipher.final()])
    } catch {
      return undefined
    }
  }

  #nextNonce(): Buffer {
    if (this.#used === NONCES) {
      randomFillSync(this.#nonces)
      this.#used = 0
    }
    const start = this.#used++ * NONCE_LENGTH
    return this.#nonces.subarray(start, start + NONCE_LENGTH)
  }
}

/** Whether a stored text is sealed. */
export function isSealedText(text: string): boolean {
  return text.startsWith(MARK)
}

/** RFC 5869: what is encrypted with one key, and found with another, tells nothing about either. */
function derive(key: Uint8Array): DerivedKey {
  const part = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', key, '', `threadpost ${purpose}`, 32))
  return {
    id: part('id').toString('hex').slice(0, KEY_ID_LENGTH),
    cipher: createSecretKey(part('encryption')),
    mac: createSecretKey(part('tokens')),
  }
}

function tokenOf({ mac }: DerivedKey, kind: string, value: string): string {
  return createHmac('sha256', mac).update(`${kind}\n${value}`).digest('hex').slice(0, TOKEN_LENGTH)
}

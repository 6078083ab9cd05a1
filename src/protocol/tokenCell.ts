import { sharedClock } from './tasks.js'

/** Header words, each an Int32. The times and the text follow. */
const VERSION = 0
const LOCK = 1
const LENGTH = 2
const HEADER_BYTES = 16
/** The times at which the token is renewed and ends, in ms on `sharedClock()`. */
const TIMES = 2
const TEXT = HEADER_BYTES + TIMES * Float64Array.BYTES_PER_ELEMENT
/** Octets of a token at most; those of the known services have up to 4 kB. */
const MAX_TOKEN = 16 * 1024
/** Reads that meet a thread that writes; more than this, and it has died while writing. */
const MAX_READS = 1_000

/** An access token and its times, in ms on `sharedClock()`. */
export interface AccessToken {
  text: string
  /** When another one is fetched. */
  renewAt: number
  /** When the server no longer accepts it. */
  endsAt: number
}

/**
 * Shared memory with the access token of one account, so that all threads use one token, and one of them fetches it.
 *
 * Invariants: only the holder of the lock writes. The version is odd while it writes, so a reader that sees the same even version
 * before and after has read one token.
 */
export class TokenCell {
  readonly #words: Int32Array
  readonly #times: Float64Array
  readonly #octets: Uint8Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, HEADER_BYTES / Int32Array.BYTES_PER_ELEMENT)
    this.#times = new Float64Array(buffer, HEADER_BYTES, TIMES)
    this.#octets = new Uint8Array(buffer, TEXT)
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(TEXT + MAX_TOKEN)
  }

  /** Returns the last token that was stored. */
  read(): AccessToken | undefined {
    for (let reads = 0; reads < MAX_READS; reads++) {
      const version = Atomics.load(this.#words, VERSION)
      if (version === 0) return undefined
      const length = Atomics.load(this.#words, LENGTH)
      const text = Buffer.from(this.#octets.slice(0, length)).toString('latin1')
      const [renewAt = 0, endsAt = 0] = this.#times
      if (version % 2 === 0 && Atomics.load(this.#words, VERSION) === version)
        return { text, renewAt, endsAt }
    }
    return undefined
  }

  /** Stores a token of ASCII characters; the caller holds the lock. @returns false if it is too long */
  write({ text, renewAt, endsAt }: AccessToken): boolean {
    if (text.length > MAX_TOKEN) return false
    const version = Atomics.load(this.#words, VERSION) | 1
    Atomics.store(this.#words, VERSION, version)
    Atomics.store(this.#words, LENGTH, text.length)
    this.#octets.set(Buffer.from(text, 'latin1'))
    this.#times[0] = renewAt
    this.#times[1] = endsAt
    Atomics.store(this.#words, VERSION, version + 1)
    return true
  }

  /**
   * Takes the lock, or that of a thread that has held it for too long: it has died.
   * @param limit milliseconds
   * @returns the key for `unlock()`, or undefined while another one holds it
   */
  lock(limit: number): number | undefined {
    const now = (Math.floor(sharedClock()) % 2 ** 30) + 1
    const holder = Atomics.load(this.#words, LOCK)
    if (holder !== 0 && Math.abs(now - holder) <= limit) return undefined
    return Atomics.compareExchange(this.#words, LOCK, holder, now) === holder ? now : undefined
  }

  unlock(key: number): void {
    Atomics.compareExchange(this.#words, LOCK, key, 0)
  }
}

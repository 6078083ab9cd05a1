import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Token } from './auth.js'

/** How long a login lasts, in ms. */
export const SESSION_AGE = 12 * 60 * 60 * 1000
/** Sessions that were ended before their time, kept in mind at most. */
const MOST_ENDED = 10_000

/**
 * Logins of people. A session is signed with a key that is derived from its token: nothing is stored, it works in every
 * process that knows the token, also after a restart, and ends with the token. The token can't be had from it.
 */
export class Sessions {
  readonly #keys: readonly { token: Token; key: Buffer }[]
  /** Nonces of sessions that were ended here, with the end of their time. */
  readonly #ended = new Map<string, number>()

  constructor(tokens: readonly Token[]) {
    this.#keys = tokens.map((token) => ({ token, key: mac(token.token, 'threadpost session') }))
  }

  begin(token: Token): string {
    const key = this.#keys.find((known) => known.token === token)?.key
    if (key === undefined) throw new Error('a session for an unknown token')
    const facts = `${Date.now() + SESSION_AGE}.${randomBytes(16).toString('base64url')}`
    return `${facts}.${mac(key, facts).toString('base64url')}`
  }

  /** Whose session it is. Takes the same time for all, right or wrong: every key is tried. */
  find(value: string): Token | undefined {
    const [, facts = '', end = '', nonce = '', given = ''] =
      /^((\d{1,15})\.([\w-]{22}))\.([\w-]{43})$/.exec(value) ?? []
    const presented = Buffer.from(given, 'base64url')
    let match: Token | undefined
    for (const { token, key } of this.#keys) {
      const expected = mac(key, facts)
      if (presented.length === expected.length && timingSafeEqual(presented, expected)) match = token
    }
    return Number(end) > Date.now() && !this.#ended.has(nonce) ? match : undefined
  }

  /** Ends it before its time, as far as this process is concerned. */
  end(value: string): void {
    if (this.find(value) === undefined) return
    const now = Date.now()
    for (const [nonce, end] of this.#ended)
      if (end <= now || this.#ended.size >= MOST_ENDED) this.#ended.delete(nonce)
    const [end, nonce = ''] = value.split('.')
    this.#ended.set(nonce, Number(end))
  }
}

function mac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

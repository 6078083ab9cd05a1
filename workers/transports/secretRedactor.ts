/** Shorter ones would be found in any text. */
const SHORTEST = 4
/** What a token looks like, whoever issued it. */
const TOKEN = /(?=[^\s\d]*\d)[A-Za-z0-9+/_=-]{28,}/g
/** The parts of an address in the web that could be one. */
const TOKEN_IN_URL = /(?=[^\s\d]*\d)[A-Za-z0-9_%.~-]{16,}/g

/**
 * Keeps to itself what a transport was given in confidence: some servers repeat a password, a key, or a link of the
 * message, and what they say goes to logs, events and the queue's file. Ask it before a text is cut.
 */
export class SecretRedactor {
  readonly #secrets: readonly string[]

  /** @param secrets of the transport's settings */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
      .flatMap((secret) => [secret, Buffer.from(secret).toString('base64')])
      .filter((secret) => secret.length >= SHORTEST)
      .sort((a, b) => b.length - a.length)
  }

  /** Without the secrets, and without the tokens in links. */
  clean(text: string): string {
    return withoutLinkTokens(this.#secrets.reduce((left, secret) => left.replaceAll(secret, '***'), text))
  }

  /** What is said of a login: anything in it that looks like a token may be one that was valid before. */
  cleanLogin(text: string): string {
    return this.clean(text).replace(TOKEN, '***')
  }
}

/** A refusal that quotes a link of the message, as filters do, without the token that may be in it. */
export function withoutLinkTokens(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(
    /(https?:\/\/[^\s/?#]*)(\S*)/gi,
    (_, host: string, rest: string) => host + rest.replace(TOKEN_IN_URL, '***'),
  )
}

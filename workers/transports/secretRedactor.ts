/** Length in characters below which a secret is not redacted: it would match ordinary text. */
const MIN_LENGTH = 4
/** Matches what could be a token. */
const TOKEN = /[A-Za-z0-9+/_=-]{28,}/g
/** Matches the parts of a URL that could be a token. */
const TOKEN_IN_URL = /[A-Za-z0-9_%.~-]{16,}/g

/**
 * Removes a transport's secrets from the texts of its server. Some servers repeat a password, a key, or a link of the
 * message, and their replies go to logs, events and the queue's file. Redact a text before you shorten it: half a secret
 * would not be found.
 */
export class SecretRedactor {
  readonly #secrets: readonly string[]

  /** @param secrets the credentials in the transport's settings */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
      .flatMap((secret) => [secret, Buffer.from(secret).toString('base64')])
      .filter((secret) => secret.length >= MIN_LENGTH)
      .sort((a, b) => b.length - a.length)
  }

  /** Removes the secrets, and the tokens in links. */
  clean(text: string): string {
    return withoutLinkTokens(
      this.#secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '***'), text),
    )
  }

  /** Also removes anything that looks like a token, for replies to a login: it may be a credential used earlier. */
  cleanLogin(text: string): string {
    return this.clean(text).replace(/\S+/g, (word) => withoutTokens(word, TOKEN))
  }
}

/** Removes possible tokens from the links in a text. Spam filters quote links of the message in their refusals. */
export function withoutLinkTokens(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(
    /(https?:\/\/[^\s/?#]*)(\S*)/gi,
    (_, host: string, rest: string) => host + withoutTokens(rest, TOKEN_IN_URL),
  )
}

/** Removes possible tokens from a text without white space. What is behind its last digit is text: tokens have digits. */
function withoutTokens(word: string, token: RegExp): string {
  let last = word.length - 1
  while (last >= 0 && !/\d/.test(word[last]!)) last--
  return word.replace(token, (found, at: number) => (at <= last ? '***' : found))
}

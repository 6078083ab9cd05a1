import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Validator } from './validation.js'

const MIN_SECRET = 16
const MAX_SECRETS = 10

/** The option `secret` of what signs: the first one signs, and all are accepted, so that secrets can be rotated. */
export function resolveSecrets(check: Validator, value: unknown, path: string): string[] {
  const list = Array.isArray(value) ? check.array(value, path, MAX_SECRETS) : [value]
  if (list.length === 0) check.fail(path, 'needs at least one secret')
  return list.map((entry, index) => {
    const at = Array.isArray(value) ? `${path}[${index}]` : path
    const secret = check.string(entry, at, 1_000)
    if (secret.length < MIN_SECRET)
      check.fail(
        at,
        `has fewer than ${MIN_SECRET} characters; use 32 random bytes, for example from: openssl rand -base64 32`,
      )
    return secret
  })
}

/** The signature of a text, in base64url. @param purpose keeps signatures of different kinds of tokens apart */
export function sign(secret: string, purpose: string, text: string): string {
  const key = createHash('sha256').update(`threadpost ${purpose}\0${secret}`).digest()
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** Whether one of the secrets made the signature. Takes the same time for every signature of the right length. */
export function isSigned(
  secrets: readonly string[],
  purpose: string,
  text: string,
  signature: string,
): boolean {
  const given = Buffer.from(signature)
  let found = false
  for (const secret of secrets) {
    const expected = Buffer.from(sign(secret, purpose, text).slice(0, signature.length))
    if (given.length === expected.length && timingSafeEqual(given, expected)) found = true
  }
  return found
}

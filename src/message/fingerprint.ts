import { createHash, type Hash } from 'node:crypto'

/**
 * SHA-256 of what a caller gave, whatever the order of its fields. Two mails with the same fingerprint ask for
 * the same thing.
 */
export function fingerprint(mail: Readonly<Record<string, unknown>>): string {
  const { idempotencyKey: _, ...rest } = mail
  const hash = createHash('sha256')
  feed(hash, rest)
  return hash.digest('base64url')
}

function feed(hash: Hash, value: unknown): void {
  if (value instanceof Uint8Array) {
    hash.update(`bytes ${value.byteLength}:`).update(value)
  } else if (value instanceof Date) {
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

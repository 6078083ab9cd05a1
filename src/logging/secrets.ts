/** Secrets that must never appear in a log: credentials in URLs, AUTH commands, bearer tokens. */
const SECRETS: [pattern: RegExp, replacement: string][] = [
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"'<>]+@/gi, '$1***@'],
  [/\bAUTH[ \t]+(PLAIN|LOGIN|CRAM-MD5|XOAUTH2|OAUTHBEARER)[ \t]+[\w+/=.-]+/gi, 'AUTH $1 ***'],
  [/\b(Bearer|Basic)[ \t]+[\w+/=.~-]{8,}/gi, '$1 ***'],
]
const HINTS = /:\/\/|auth|bearer|basic/i
const MAX_DEPTH = 5

/** Replaces secrets in a text with `***`. */
export function hideSecrets(text: string): string {
  if (!HINTS.test(text)) return text
  return SECRETS.reduce((cleaned, [pattern, replacement]) => cleaned.replace(pattern, replacement), text)
}

/** Returns a copy of a log line's fields, with `clean` applied to every string. */
export function cleanFields(fields: object, clean: (text: string) => string): object {
  return cleanValue(fields, clean, 0) as object
}

function cleanValue(value: unknown, clean: (text: string) => string, depth: number): unknown {
  if (typeof value === 'string') return clean(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '[deeper]'
  if (value instanceof Error) return cleanError(value, clean, depth)
  if (Array.isArray(value)) return value.map((item: unknown) => cleanValue(item, clean, depth + 1))
  return Object.fromEntries(
    // A Message-ID looks like an address but is none.
    Object.entries(value).map(([name, field]) => [
      name,
      name === 'messageId' ? field : cleanValue(field, clean, depth + 1),
    ]),
  )
}

/** Keeps the prototype, because loggers treat errors specially. */
function cleanError(error: Error, clean: (text: string) => string, depth: number): Error {
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(error))) {
    const value = cleanValue(error[name as keyof Error], clean, depth + 1)
    Object.defineProperty(copy, name, { value, enumerable: property.enumerable ?? false, configurable: true })
  }
  return copy
}

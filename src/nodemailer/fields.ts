import { ThreadpostError } from '../index.js'

export const ADDRESS_FIELDS = ['from', 'sender', 'to', 'cc', 'bcc', 'replyTo'] as const

/**
 * Refuses a feature of nodemailer that threadpost doesn't have.
 * @param instead a sentence that says what to do instead
 * @throws ThreadpostError `UNSUPPORTED`
 */
export function unsupported(path: string, instead: string): never {
  throw new ThreadpostError(
    'UNSUPPORTED',
    `${path}: threadpost/nodemailer does not support this. ${instead}`,
    {
      path,
    },
  )
}

/**
 * Refuses fields that request an unsupported feature. A field that is missing, empty, or false requests nothing.
 * @param fields what to do instead, by field
 * @throws ThreadpostError `UNSUPPORTED`
 */
export function refuseFields(input: Record<string, unknown>, fields: Readonly<Record<string, string>>): void {
  for (const [field, instead] of Object.entries(fields)) {
    const value = input[field]
    if (value === undefined || value === null || value === false || value === '') continue
    if (Array.isArray(value) && value.length === 0) continue
    unsupported(field, instead)
  }
}

/** Returns an object with the field, or an empty one if the value is undefined. */
export function present<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

/** Returns a copy without some fields. */
export function without(
  input: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).filter(([key]) => !keys.includes(key)))
}

import { types } from 'node:util'
import { type ErrorCode, ThreadpostError } from './errors.js'

/** C0 and C1 controls, DEL, and the two Unicode line separators: characters that some software takes for the end of a header line. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu

/** Rejects characters that don't belong in an address, a subject, a file name or a header. */
export function forbidControls(text: string, path: string, check: Validator): string {
  const found = text.match(CONTROL)?.[0]
  if (found !== undefined) check.fail(path, `contains the control character ${codePoint(found)}`)
  if (!text.isWellFormed()) check.fail(path, 'contains an unpaired surrogate')
  return text
}

/** Rejects NUL characters. Bodies may contain line breaks and tabs. */
export function forbidNul(text: string, path: string, check: Validator): string {
  if (text.includes('\0')) check.fail(path, 'contains a NUL character')
  return text
}

/** Whether a value is bytes. Those whose memory now belongs to another thread are rejected. */
export function isBytes(value: unknown, path: string, check: Validator): value is Uint8Array {
  if (!types.isUint8Array(value)) return false
  if (value.byteLength === 0 && isDetached(value.buffer))
    check.fail(path, 'has no bytes anymore: its buffer was transferred')
  return true
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

function codePoint(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

const TEN_YEARS = 10 * 366 * 24 * 60 * 60 * 1000
/** The longest delay of setTimeout, in ms. */
export const MAX_TIMER = 2 ** 31 - 1

/** Reads fields from untrusted input. Every error names the field and the expected value. */
export class Validator {
  constructor(private readonly code: ErrorCode) {}

  /** The field name may come from the caller, so it is shortened, and characters that could end a log line are replaced. */
  fail(field: string, problem: string): never {
    const path = excerpt(field).replaceAll(CONTROL, '?')
    throw new ThreadpostError(
      this.code,
      path === '' ? problem : `${path}: ${problem}`,
      path === '' ? {} : { path },
    )
  }

  /** A plain object with known keys only. The error for a misspelled key suggests the right one. */
  object(value: unknown, path: string, keys: readonly string[]): Record<string, unknown> {
    if (!isPlainObject(value)) {
      const expected = `an object with fields such as ${keys.slice(0, 3).join(', ')}`
      this.fail(
        path,
        path === ''
          ? `expected ${expected}, got ${kindOf(value)}`
          : `must be an object, got ${kindOf(value)}`,
      )
    }
    for (const key of Object.keys(value)) {
      if (keys.includes(key)) continue
      const near = nearest(key, keys)
      this.fail(
        path === '' ? key : `${path}.${key}`,
        `unknown field${near === undefined ? '.' : `; did you mean "${near}"?`} Known fields: ${keys.join(', ')}`,
      )
    }
    return value
  }

  string(value: unknown, path: string, maxLength = Infinity): string {
    if (typeof value !== 'string') this.fail(path, `must be a string, got ${kindOf(value)}`)
    if (value.length > maxLength) this.fail(path, `is longer than ${maxLength} characters`)
    return value
  }

  boolean(value: unknown, path: string): boolean {
    if (typeof value !== 'boolean') this.fail(path, `must be true or false, got ${kindOf(value)}`)
    return value
  }

  number(value: unknown, path: string, min: number, max = Infinity): number {
    if (typeof value !== 'number' || Number.isNaN(value))
      this.fail(path, `must be a number, got ${kindOf(value)}`)
    if (value < min || value > max)
      this.fail(path, max === Infinity ? `must be at least ${min}` : `must be between ${min} and ${max}`)
    return value
  }

  integer(value: unknown, path: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
    const number = this.number(value, path, min, max)
    if (!Number.isInteger(number)) this.fail(path, 'must be a whole number')
    return number
  }

  /** A duration in ms, rounded up to a whole number; at most ten years, so that dates computed with it are valid. */
  duration(value: unknown, path: string, min = 0, max = TEN_YEARS): number {
    return Math.ceil(this.number(value, path, min, max))
  }

  /** A delay of a timer in ms. Longer ones would fire immediately (setTimeout has 31 bits). */
  timeout(value: unknown, path: string, min = 0): number {
    return this.number(value, path, min, MAX_TIMER)
  }

  oneOf<const T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
    const found = allowed.find((option) => option === value)
    if (found === undefined)
      this.fail(path, `must be one of ${allowed.map((option) => `'${option}'`).join(', ')}`)
    return found
  }

  /** A function. Its parameters and result can't be checked. */
  callback(value: unknown, path: string): (...args: never[]) => unknown {
    if (typeof value !== 'function') this.fail(path, `must be a function, got ${kindOf(value)}`)
    return value as (...args: never[]) => unknown
  }

  array(value: unknown, path: string, maxLength: number): readonly unknown[] {
    if (!Array.isArray(value)) this.fail(path, `must be an array, got ${kindOf(value)}`)
    if (value.length > maxLength)
      this.fail(path, `has ${value.length} entries; at most ${maxLength} are allowed`)
    return value
  }
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // A prototype without a prototype is some realm's Object.prototype: JSON.parse in another realm counts as plain.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') {
    const name = (value as { constructor?: { name?: unknown } }).constructor?.name
    if (typeof name !== 'string' || name === 'Object') return 'an object'
    return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name.slice(0, 40)}`
  }
  if (value === undefined) return 'undefined'
  if (Number.isNaN(value)) return 'NaN'
  return `a ${typeof value}`
}

/** Characters that an error quotes of anything that a caller provided. */
const MAX_QUOTED = 100

/** Quotes a value that a caller provided, or its beginning. */
export function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(excerpt(value)) : kindOf(value)
}

/** Invisible characters; some of them change the order of those around them. */
const INVISIBLE = /\p{Cf}/gu

/** Returns the text, or its beginning if it is too long to be quoted, so that all of it is seen. */
function excerpt(text: string): string {
  const shown = text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED - 1)}…`
  return shown.replaceAll(INVISIBLE, '?')
}

/** The known key within two edits of the given one, if there is one. */
function nearest(key: string, keys: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = 3
  for (const known of keys) {
    if (Math.abs(key.length - known.length) >= bestDistance) continue
    const distance = editDistance(key.toLowerCase(), known.toLowerCase())
    if (distance < bestDistance) {
      best = known
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}

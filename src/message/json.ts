import type { JsonObject, JsonText } from '../protocol/tasks.js'
import { type Validator, isPlainObject, kindOf } from '../validation.js'

const MAX_DEPTH = 64
/** Values in one object: far more than a mail needs, and few enough to copy in a moment. */
const MAX_VALUES = 200_000
/** Names that would reach a prototype when a template looks them up. */
const UNSAFE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

export const NO_DATA = '{}' as JsonText

/**
 * Writes an object as JSON: a Date becomes ISO text, an undefined field is left out, and anything else that would
 * change or fail on its way to a thread is refused here, with its path.
 */
export function toJsonText(value: unknown, path: string, check: Validator): JsonText {
  if (value === undefined) return NO_DATA
  if (!isPlainObject(value)) check.fail(path, `must be a plain object, got ${kindOf(value)}`)
  new Inspector(path, check).inspect(value)
  return JSON.stringify(value) as JsonText
}

/** A copy of an object as plain JSON, by the rules of {@link toJsonText}. */
export function toJsonObject(value: unknown, path: string, check: Validator): JsonObject {
  return JSON.parse(toJsonText(value, path, check)) as JsonObject
}

/** Refuses what is no JSON, before it is written. */
class Inspector {
  /** Where it is, in parts: put together only for a refusal, since most mails need none. */
  readonly #at: (string | number)[] = []
  #values = 0

  constructor(
    private readonly path: string,
    private readonly check: Validator,
  ) {}

  inspect(value: unknown): void {
    if (++this.#values > MAX_VALUES)
      this.#refuse(`holds more than ${MAX_VALUES} values, or the same ones too often`)
    switch (typeof value) {
      case 'string':
        if (value.includes('\0')) this.#refuse('contains a NUL character')
        return
      case 'boolean':
        return
      case 'number':
        if (!Number.isFinite(value)) this.#refuse(`must be a finite number, got ${value}`)
        return
      case 'object':
        if (value !== null) this.#inspectObject(value)
        return
      default:
        this.#refuse(`must be plain JSON, got ${kindOf(value)}`)
    }
  }

  #inspectObject(value: object): void {
    if (this.#at.length === MAX_DEPTH)
      this.#refuse(`is nested deeper than ${MAX_DEPTH} levels, or refers to itself`)
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) this.#refuse('is an invalid Date')
      return
    }
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++)
        this.#within(index, (value as unknown[])[index] ?? null)
      return
    }
    if (!isPlainObject(value)) this.#refuse(`must be plain JSON, got ${kindOf(value)}`)
    for (const key of Object.keys(value)) {
      if (UNSAFE_KEYS.has(key)) this.#refuse('this name is not allowed', key)
      if (value[key] !== undefined) this.#within(key, value[key])
    }
  }

  #within(key: string | number, value: unknown): void {
    this.#at.push(key)
    this.inspect(value)
    this.#at.pop()
  }

  #refuse(problem: string, key?: string): never {
    const parts = key === undefined ? this.#at : [...this.#at, key]
    const path = parts.reduce<string>(
      (before, part) =>
        typeof part === 'number' ? `${before}[${part}]` : before === '' ? part : `${before}.${part}`,
      this.path,
    )
    return this.check.fail(path, problem)
  }
}

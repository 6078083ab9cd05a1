import { types } from 'node:util'
import { parseJson } from '../protocol/parseJson.js'
import type { JsonObject, JsonText } from '../protocol/tasks.js'
import { type Validator, isPlainObject, kindOf } from '../validation.js'

const MAX_DEPTH = 64
/** Maximum number of values in one object: far more than a mail needs, and few enough to copy quickly. */
const MAX_VALUES = 200_000
/**
 * Keys that would reach a prototype when a template looks them up, and those that JavaScript or Handlebars calls to turn an
 * object into text: where they are not functions, rendering fails.
 */
const UNSAFE_KEYS = new Set([
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'toLocaleString',
  'valueOf',
  'toHTML',
])

export const NO_DATA = '{}' as JsonText

/**
 * Serializes an object as JSON. A Date becomes ISO 8601 text, and an undefined field is left out. Any other value that would
 * change or fail on its way to a thread is rejected, with its path.
 */
export function toJsonText(value: unknown, path: string, check: Validator): JsonText {
  if (value === undefined) return NO_DATA
  if (!isPlainObject(value)) check.fail(path, `must be a plain object, got ${kindOf(value)}`)
  new Inspector(path, check).inspect(value)
  return JSON.stringify(value) as JsonText
}

/** Copies an object as plain JSON, by the rules of {@link toJsonText}. */
export function toJsonObject(value: unknown, path: string, check: Validator): JsonObject {
  return parseJson(toJsonText(value, path, check)) as JsonObject
}

/** Rejects values that JSON can't represent, before serialization. */
class Inspector {
  /** Path to the current value, in parts. It is joined only for an error, because most mails have none. */
  readonly #at: (string | number)[] = []
  #values = 0

  constructor(
    private readonly path: string,
    private readonly check: Validator,
  ) {}

  inspect(value: unknown): void {
    if (++this.#values > MAX_VALUES)
      this.#refuse(`contains more than ${MAX_VALUES} values, counting repeated references`)
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
      this.#refuse(`is nested deeper than ${MAX_DEPTH} levels, or contains itself`)
    if (types.isDate(value)) {
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
      if (UNSAFE_KEYS.has(key)) this.#refuse('this key is not allowed', key)
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

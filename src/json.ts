import { type Checker, isPlainObject, kindOf } from './check.js'
import type { Json, JsonObject } from './wire.js'

const MAX_DEPTH = 64
/** Values in one object: far more than a mail needs, and few enough to copy in a moment. */
const MAX_VALUES = 200_000
/** Names that would reach a prototype when a template looks them up. */
const UNSAFE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Copies an object into plain JSON: a Date becomes ISO text, an undefined field is left out, and anything else that
 * would change or fail on its way to a thread is refused here, with its path.
 */
export function toJsonObject(value: unknown, path: string, check: Checker): JsonObject {
  if (!isPlainObject(value)) check.fail(path, `must be a plain object, got ${kindOf(value)}`)
  return new Copier(path, check).copy(value) as JsonObject
}

class Copier {
  /** Where it is, in parts: put together only for a refusal, since most mails need none. */
  readonly #at: (string | number)[] = []
  #values = 0

  constructor(
    private readonly path: string,
    private readonly check: Checker,
  ) {}

  copy(value: unknown): Json {
    if (++this.#values > MAX_VALUES)
      this.#refuse(`holds more than ${MAX_VALUES} values, or the same ones too often`)
    switch (typeof value) {
      case 'string':
        if (value.includes('\0')) this.#refuse('contains a NUL character')
        return value
      case 'boolean':
        return value
      case 'number':
        if (!Number.isFinite(value)) this.#refuse(`must be a finite number, got ${value}`)
        return value
      case 'object':
        return value === null ? null : this.#copyObject(value)
      default:
        return this.#refuse(`must be plain JSON, got ${kindOf(value)}`)
    }
  }

  #copyObject(value: object): Json {
    if (this.#at.length === MAX_DEPTH)
      this.#refuse(`is nested deeper than ${MAX_DEPTH} levels, or refers to itself`)
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) this.#refuse('is an invalid Date')
      return value.toISOString()
    }
    if (Array.isArray(value)) return value.map((item: unknown, index) => this.#within(index, item ?? null))
    if (!isPlainObject(value)) this.#refuse(`must be plain JSON, got ${kindOf(value)}`)
    const copy: JsonObject = {}
    for (const key of Object.keys(value)) {
      const field = value[key]
      if (UNSAFE_KEYS.has(key)) this.#refuse('this name is not allowed', key)
      if (field !== undefined) copy[key] = this.#within(key, field)
    }
    return copy
  }

  #within(key: string | number, value: unknown): Json {
    this.#at.push(key)
    const copy = this.copy(value)
    this.#at.pop()
    return copy
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

import { type Checker, isPlainObject, kindOf } from './check.js'
import type { Json, JsonObject } from './wire.js'

const MAX_DEPTH = 64
/** Names that would reach a prototype when a template looks them up. */
const UNSAFE_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

/** As {@link toJson}, for a value that must be an object. */
export function toJsonObject(value: unknown, path: string, check: Checker): JsonObject {
  if (!isPlainObject(value)) check.fail(path, `must be a plain object, got ${kindOf(value)}`)
  return toJson(value, path, check) as JsonObject
}

/**
 * Copies a value into plain JSON: a Date becomes ISO text, an undefined field is left out, and anything
 * else that would change or fail on its way to a thread is refused here, with its path.
 */
export function toJson(value: unknown, path: string, check: Checker, depth = 0): Json {
  switch (typeof value) {
    case 'string':
      if (value.includes('\0')) check.fail(path, 'contains a NUL character')
      return value
    case 'boolean':
      return value
    case 'number':
      if (!Number.isFinite(value)) check.fail(path, `must be a finite number, got ${value}`)
      return value
    case 'object':
      break
    default:
      return check.fail(path, `must be plain JSON, got ${kindOf(value)}`)
  }
  if (value === null) return null
  if (depth === MAX_DEPTH) check.fail(path, `is nested deeper than ${MAX_DEPTH} levels, or refers to itself`)
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) check.fail(path, 'is an invalid Date')
    return value.toISOString()
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => toJson(item ?? null, `${path}[${index}]`, check, depth + 1))
  }
  if (!isPlainObject(value)) check.fail(path, `must be plain JSON, got ${kindOf(value)}`)
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) {
    if (UNSAFE_KEYS.has(key)) check.fail(`${path}.${key}`, 'this name is not allowed')
    const field = value[key]
    if (field !== undefined) copy[key] = toJson(field, `${path}.${key}`, check, depth + 1)
  }
  return copy
}

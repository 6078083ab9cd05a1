import type { DataPath, Json, JsonObject, Need } from './wire.js'

/** A context, and how it is called in an error. */
interface Context {
  value: Json | undefined
  path: string
}

const MAX_PATHS = 50

/**
 * The paths that a template needs and its data lacks. Absent is what is not there at all: `''`, `0`, `false` and
 * `null` are data.
 */
export function missingPaths(needs: readonly Need[], data: JsonObject): string[] {
  const missing = new Set<string>()
  follow(needs, [{ value: data, path: '' }], missing)
  return [...missing].slice(0, MAX_PATHS)
}

function follow(needs: readonly Need[], contexts: readonly Context[], missing: Set<string>): void {
  if (missing.size >= MAX_PATHS) return
  for (const need of needs) {
    const found = reach(contexts, need.path)
    switch (need.need) {
      case 'value':
        if (found.value === undefined) missing.add(found.path)
        break
      case 'if':
        follow(isNothing(found.value) ? need.otherwise : need.then, contexts, missing)
        break
      case 'each':
        if (found.value === undefined && !need.optional) missing.add(found.path)
        else followItems(need, found, contexts, missing)
        break
      case 'with':
        if (found.value === undefined && !need.optional) missing.add(found.path)
        else if (found.value === 0 || !isNothing(found.value))
          follow(need.inner, [...contexts, found], missing)
        else follow(need.otherwise, contexts, missing)
        break
    }
  }
}

function followItems(
  need: Extract<Need, { need: 'each' }>,
  { value, path }: Context,
  contexts: readonly Context[],
  missing: Set<string>,
): void {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    return follow(need.otherwise, contexts, missing)
  if (need.items.length === 0) return
  if (Array.isArray(value))
    for (const [index, item] of value.entries())
      follow(need.items, [...contexts, { value: item, path: `${path}[${index}]` }], missing)
  else
    for (const [key, item] of Object.entries(value))
      follow(need.items, [...contexts, { value: item, path: `${path}.${key}` }], missing)
}

function reach(contexts: readonly Context[], { scope, parts }: DataPath): Context {
  let { value, path } = contexts[scope] ?? { value: undefined, path: '' }
  for (const part of parts) {
    value = fieldOf(value, part)
    path = path === '' ? part : `${path}.${part}`
  }
  return { value, path }
}

function fieldOf(value: Json | undefined, name: string): Json | undefined {
  if (value === null || value === undefined) return undefined
  return Object.hasOwn(value as object, name) ? (value as JsonObject)[name] : undefined
}

/** Handlebars' notion for `{{#if}}`. */
function isNothing(value: Json | undefined): boolean {
  return !value || (Array.isArray(value) && value.length === 0)
}

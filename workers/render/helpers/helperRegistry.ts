import type { Helper, Helpers } from '../bind/helperCall.js'
import { formatHelpers } from './formats.js'
import { ACCEPTS_ABSENT, logicHelpers } from './logic.js'
import { type Strings, translateHelper } from './translate.js'

/** The built-in helpers and the project's own, which win. */
export function helpersOf(custom: ReadonlyMap<string, Helper>, strings: Strings): Helpers {
  const byName = new Map<string, Helper>([
    ...Object.entries(logicHelpers),
    ...Object.entries(formatHelpers),
    ['t', translateHelper(strings)],
    ...custom,
  ])
  const acceptsAbsent = new Set([...ACCEPTS_ABSENT].filter((name) => !custom.has(name)))
  return { byName, acceptsAbsent }
}

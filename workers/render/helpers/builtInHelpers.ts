import type { Helper, HelperOptions, Helpers } from '../bind/helperCall.js'
import { ownField, isEmpty } from '../bind/values.js'
import { formatHelpers, type Strings, translateHelper } from './localization.js'

/** A block is chosen by the answer; without a block the answer itself is printed or handed on. */
function answer(context: unknown, options: HelperOptions, holds: boolean): unknown {
  if (options.fn === undefined) return holds
  return holds ? options.fn(context) : options.inverse?.(context)
}

function split(given: readonly unknown[]): { args: readonly unknown[]; options: HelperOptions } {
  return { args: given.slice(0, -1), options: given.at(-1) as HelperOptions }
}

const eq: Helper = function (...given) {
  const { args, options } = split(given)
  return answer(
    this,
    options,
    args.slice(1).every((other) => other === args[0]),
  )
}

const ne: Helper = function (...given) {
  const { args, options } = split(given)
  return answer(
    this,
    options,
    args.slice(1).every((other) => other !== args[0]),
  )
}

const and: Helper = function (...given) {
  const { args, options } = split(given)
  return answer(
    this,
    options,
    args.every((value) => Boolean(value) && !isEmpty(value)),
  )
}

const or: Helper = function (...given) {
  const { args, options } = split(given)
  return answer(
    this,
    options,
    args.some((value) => Boolean(value) && !isEmpty(value)),
  )
}

const not: Helper = function (...given) {
  const { args, options } = split(given)
  return answer(this, options, !args[0] || isEmpty(args[0]))
}

/** The first argument that says something: neither absent, nor null, nor empty text. */
const firstGiven: Helper = (...given) => {
  const { args } = split(given)
  return args.find((value) => value !== undefined && value !== null && value !== '') ?? ''
}

const lookup: Helper = (object, name) => (object ? ownField(object, String(name)) : object)

/** Helpers that decide; all but `lookup` may be asked about data that is absent. */
export const logicHelpers: Record<string, Helper> = { eq, ne, and, or, not, default: firstGiven, lookup }

export const ACCEPTS_ABSENT: ReadonlySet<string> = new Set(['eq', 'ne', 'and', 'or', 'not', 'default'])

/** The built-in helpers and the project's own, which win. */
export function createHelpers(custom: ReadonlyMap<string, Helper>, strings: Strings): Helpers {
  const byName = new Map<string, Helper>([
    ...Object.entries(logicHelpers),
    ...Object.entries(formatHelpers),
    ['t', translateHelper(strings)],
    ...custom,
  ])
  const acceptsAbsent = new Set([...ACCEPTS_ABSENT].filter((name) => !custom.has(name)))
  return { byName, acceptsAbsent }
}

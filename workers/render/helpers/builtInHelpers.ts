import type { Helper, HelperOptions, Helpers } from '../bind/helperCall.js'
import { ownField, isEmpty } from '../bind/values.js'
import { formatHelpers, type Strings, translateHelper } from './localization.js'

/** The result chooses a branch of the block. Without a block, it is printed or passed on. */
function choose(context: unknown, options: HelperOptions, condition: boolean): unknown {
  if (options.fn === undefined) return condition
  return condition ? options.fn(context) : options.inverse?.(context)
}

function splitOptions(given: readonly unknown[]): { args: readonly unknown[]; options: HelperOptions } {
  return { args: given.slice(0, -1), options: given.at(-1) as HelperOptions }
}

const eq: Helper = function (...given) {
  const { args, options } = splitOptions(given)
  return choose(
    this,
    options,
    args.slice(1).every((other) => other === args[0]),
  )
}

const ne: Helper = function (...given) {
  const { args, options } = splitOptions(given)
  return choose(
    this,
    options,
    args.slice(1).every((other) => other !== args[0]),
  )
}

const and: Helper = function (...given) {
  const { args, options } = splitOptions(given)
  return choose(
    this,
    options,
    args.every((value) => Boolean(value) && !isEmpty(value)),
  )
}

const or: Helper = function (...given) {
  const { args, options } = splitOptions(given)
  return choose(
    this,
    options,
    args.some((value) => Boolean(value) && !isEmpty(value)),
  )
}

const not: Helper = function (...given) {
  const { args, options } = splitOptions(given)
  return choose(this, options, !args[0] || isEmpty(args[0]))
}

/** Returns the first argument that is neither absent, null, nor empty text. */
const firstNonEmpty: Helper = (...given) => {
  const { args } = splitOptions(given)
  return args.find((value) => value !== undefined && value !== null && value !== '') ?? ''
}

const lookup: Helper = (object, name) => (object ? ownField(object, String(name)) : object)

/** Helpers for decisions. All but `lookup` accept absent data. */
export const logicHelpers: Record<string, Helper> = { eq, ne, and, or, not, default: firstNonEmpty, lookup }

/** Names of the built-in helpers whose arguments may be absent from the data. */
export const ACCEPTS_ABSENT: ReadonlySet<string> = new Set(['eq', 'ne', 'and', 'or', 'not', 'default'])

/** Returns the built-in helpers and the project's own. The latter take precedence. */
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

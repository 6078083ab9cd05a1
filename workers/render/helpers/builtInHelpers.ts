import { DEFAULT_URL_SCHEMES } from '../../../src/protocol/urlSchemes.js'
import type { Helper, HelperOptions, Helpers } from '../bind/helperCall.js'
import { ownField, isEmpty } from '../bind/values.js'
import { formatHelpers, type Strings, translateHelper } from './localization.js'

function splitOptions(given: readonly unknown[]): { args: readonly unknown[]; options: HelperOptions } {
  return { args: given.slice(0, -1), options: given.at(-1) as HelperOptions }
}

/** Returns a helper whose result chooses a branch of the block. Without a block, the result is printed or passed on. */
function condition(test: (args: readonly unknown[]) => boolean): Helper {
  return function (...given) {
    const { args, options } = splitOptions(given)
    const result = test(args)
    if (options.fn === undefined) return result
    return result ? options.fn(this) : options.inverse?.(this)
  }
}

const isTruthy = (value: unknown): boolean => Boolean(value) && !isEmpty(value)

const eq = condition(([first, ...others]) => others.every((other) => other === first))
const ne = condition(([first, ...others]) => others.every((other) => other !== first))
const and = condition((args) => args.every(isTruthy))
const or = condition((args) => args.some(isTruthy))
const not = condition(([value]) => !isTruthy(value))

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
export function createHelpers(
  custom: ReadonlyMap<string, Helper>,
  strings: Strings,
  urlSchemes: readonly string[] = DEFAULT_URL_SCHEMES,
): Helpers {
  const byName = new Map<string, Helper>([
    ...Object.entries(logicHelpers),
    ...Object.entries(formatHelpers),
    ['t', translateHelper(strings)],
    ...custom,
  ])
  const acceptsAbsent = new Set([...ACCEPTS_ABSENT].filter((name) => !custom.has(name)))
  return { byName, acceptsAbsent, urlSchemes }
}

import { templateError } from '../template/parse.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type { CallExpression } from '../template/tree.js'
import { type Evaluate, NeedsPerMessageRendering, type BindingRun } from './bindingRun.js'
import { EMPTY_CONTEXT, type Scope, type Variables } from './scope.js'
import { ownField } from './values.js'

/** A helper, called as in Handlebars: `this` is the context, and the last argument holds the options. */
export type Helper = (this: unknown, ...args: unknown[]) => unknown

/** The values and helpers that the application provides to its templates. */
export interface Helpers {
  byName: ReadonlyMap<string, Helper>
  /** Names of the helpers whose arguments may be absent, because they test for that. */
  acceptsAbsent: ReadonlySet<string>
  /** Schemes that bound URLs may have. */
  urlSchemes: readonly string[]
}

/** The options that Handlebars passes to every helper. */
export interface HelperOptions {
  name: string
  hash: Record<string, unknown>
  data: Variables
  lookupProperty: (object: unknown, name: string) => unknown
  fn?: (context: unknown, options?: BlockCallOptions) => string
  inverse?: (context: unknown, options?: BlockCallOptions) => string
  /** Number of block parameters that the block declares. */
  blockParams?: number
}

export interface BlockCallOptions {
  data?: Variables
  blockParams?: readonly unknown[]
}

type BlockFunctions = Pick<HelperOptions, 'fn' | 'inverse' | 'blockParams'>

export function callHelper(
  call: CallExpression,
  helper: Helper,
  args: readonly Evaluate[],
  hash: readonly (readonly [string, Evaluate])[],
  scope: Scope,
  run: BindingRun,
  blocks?: BlockFunctions,
): unknown {
  const before = run.missing.size
  const positional: unknown[] = args.map((arg) => arg(scope, run))
  const named: Record<string, unknown> = {}
  for (const [name, value] of hash) named[name] = value(scope, run)
  // Don't call the helper if one of its arguments is missing.
  if (run.missing.size > before) return ''
  const options: HelperOptions = {
    name: call.helper,
    hash: named,
    data: scope.variables,
    lookupProperty: (object, name) => ownField(object, name),
    ...blocks,
  }
  try {
    const result = helper.call(scope.context ?? EMPTY_CONTEXT, ...positional, options)
    if (result instanceof Promise) throw new Error('it returned a promise; helpers must be synchronous')
    return result
  } catch (error) {
    if (error instanceof NeedsPerMessageRendering || error instanceof TemplateFailure) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const redacted = withoutData(reason, [...positional, ...Object.values(named)])
    throw templateError(`the helper '${call.helper}' failed: ${redacted}`, call.at)
  }
}

/** Replaces the arguments that an error message quotes, because the data of a mail must not reach the logs. */
function withoutData(reason: string, values: readonly unknown[]): string {
  return values.reduce<string>(
    (text, value) => (typeof value === 'string' && value.length > 3 ? text.replaceAll(value, '…') : text),
    reason,
  )
}

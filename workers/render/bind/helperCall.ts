import { templateError } from '../template/parse.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type { CallExpression } from '../template/tree.js'
import { type Evaluate, NeedsPerMessageRendering, type BindingRun } from './bindingRun.js'
import { EMPTY_CONTEXT, type Scope, type Variables } from './scope.js'
import { ownField } from './values.js'

/** A helper is called as Handlebars calls it: `this` is the context, the last argument are the options. */
export type Helper = (this: unknown, ...args: unknown[]) => unknown

export interface Helpers {
  byName: ReadonlyMap<string, Helper>
  /** Helpers whose arguments may be absent from the data, because it is what they ask. */
  acceptsAbsent: ReadonlySet<string>
}

/** What Handlebars hands to every helper. */
export interface HelperOptions {
  name: string
  hash: Record<string, unknown>
  data: Variables
  lookupProperty: (object: unknown, name: string) => unknown
  fn?: (context: unknown, options?: BlockCallOptions) => string
  inverse?: (context: unknown, options?: BlockCallOptions) => string
  /** Number of block parameters that its block declares. */
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
  const given: unknown[] = args.map((arg) => arg(scope, run))
  const named: Record<string, unknown> = {}
  for (const [name, value] of hash) named[name] = value(scope, run)
  // Its arguments are missing: the helper is not asked what it makes of nothing.
  if (run.missing.size > before) return ''
  const options: HelperOptions = {
    name: call.helper,
    hash: named,
    data: scope.variables,
    lookupProperty: (object, name) => ownField(object, name),
    ...blocks,
  }
  try {
    const result = helper.call(scope.context ?? EMPTY_CONTEXT, ...given, options)
    if (result instanceof Promise) throw new Error('it returned a promise; helpers answer at once')
    return result
  } catch (error) {
    if (error instanceof NeedsPerMessageRendering || error instanceof TemplateFailure) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const said = withoutData(reason, [...given, ...Object.values(named)])
    throw templateError(`the helper '${call.helper}' failed: ${said}`, call.at)
  }
}

/** Errors like to quote what they were given; what a mail says has no place in logs. */
function withoutData(reason: string, values: readonly unknown[]): string {
  return values.reduce<string>(
    (said, value) => (typeof value === 'string' && value.length > 3 ? said.replaceAll(value, '…') : said),
    reason,
  )
}

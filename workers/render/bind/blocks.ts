import type { BlockNode } from '../template/tree.js'
import type { NodeCompiler } from './binder.js'
import { Pieces, type Writer } from './bindingRun.js'
import { compileExpression, compileHash } from './expressions.js'
import { type BlockCallOptions, callHelper } from './helperCall.js'
import type { Origin, Scope, Variables } from './scope.js'
import { isEmpty, stringifyValue } from './values.js'

const NO_VALUES: readonly unknown[] = []

/** Compiles `{{#…}}` with the semantics of Handlebars' built-in helper of that name. */
export function compileBlock(node: BlockNode, compiler: NodeCompiler): Writer {
  const body = compiler.compileAll(node.body)
  const inverse = compiler.compileAll(node.inverse)
  return BLOCK_COMPILERS[node.type](node, compiler, body, inverse)
}

type BlockCompiler = (node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer) => Writer

const BLOCK_COMPILERS: Record<BlockNode['type'], BlockCompiler> = {
  if: compileCondition,
  unless: (node, compiler, body, inverse) => compileCondition(node, compiler, inverse, body),
  each: compileEach,
  with: compileWith,
  section: compileSection,
  call: compileHelperBlock,
}

function compileCondition(node: BlockNode, compiler: NodeCompiler, then: Writer, otherwise: Writer): Writer {
  const subject = compileExpression(node.subject, compiler.helpers, true)
  const zero =
    node.includeZero === undefined ? undefined : compileExpression(node.includeZero, compiler.helpers, true)
  return (scope, run, out) => {
    const value = subject(scope, run)
    const counts = value || zero?.(scope, run)
    const write = !counts || isEmpty(value) ? otherwise : then
    write(scope.orEmpty, run, out)
  }
}

/** With an `{{else}}`, the template handles the case without a list or context, so it may be absent. */
function compileEach(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const subject = compileExpression(node.subject, compiler.helpers, node.hasInverse)
  return (scope, run, out) => {
    if (!iterate(subject(scope, run), node, scope, (inner) => body(inner, run, out)))
      inverse(scope.orEmpty, run, out)
  }
}

/** Runs the body for each item. Returns false if there is none. */
function iterate(value: unknown, node: BlockNode, scope: Scope, body: (inner: Scope) => void): boolean {
  if (typeof value !== 'object' || value === null) return false
  // A helper may return a Set or a Map.
  const list = !Array.isArray(value) && Symbol.iterator in value ? [...(value as Iterable<unknown>)] : value
  const keys = Array.isArray(list) ? undefined : Object.keys(list)
  const length = keys?.length ?? (list as unknown[]).length
  const { parameters } = node
  // All items share one layer of variables, as in Handlebars. Its values are replaced for each item.
  const variables: Variables = { ...scope.variables, _parent: scope.variables }
  for (let index = 0; index < length; index++) {
    const key = keys?.[index] ?? index
    const item = (list as Record<string | number, unknown>)[key]
    variables['key'] = key
    variables['index'] = index
    variables['first'] = index === 0
    variables['last'] = index === length - 1
    const values = parameters.length === 0 ? NO_VALUES : [item, key]
    body(scope.enterBlock(item, { from: scope, by: node.subject, item: key }, variables, parameters, values))
  }
  return length > 0
}

function compileWith(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const subject = compileExpression(node.subject, compiler.helpers, node.hasInverse)
  return (scope, run, out) => {
    const value = subject(scope, run)
    if (isEmpty(value)) return inverse(scope.orEmpty, run, out)
    const origin = { from: scope, by: node.subject }
    body(scope.enterBlock(value, origin, scope.variables, node.parameters, [value]), run, out)
  }
}

function compileSection(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const subject = compileExpression(node.subject, compiler.helpers, true)
  // Only a list passes its items as block parameters.
  const enter = (scope: Scope, context: unknown, origin: Origin | undefined) =>
    scope.enterBlock(context, origin, scope.variables, node.parameters, NO_VALUES)
  return (scope, run, out) => {
    const value = subject(scope, run)
    if (value === true) body(enter(scope, scope.context, scope.origin), run, out)
    else if (value === false || value === null || value === undefined) inverse(scope, run, out)
    else if (Array.isArray(value)) {
      if (!iterate(value, node, scope, (inner) => body(inner, run, out))) inverse(scope, run, out)
    } else body(enter(scope, value, { from: scope, by: node.subject }), run, out)
  }
}

/** A helper receives its block as a function that returns text, and may do anything with that text. */
function compileHelperBlock(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const call = node.subject
  if (call.kind !== 'call') throw new TypeError('A block of type call has no call')
  const helper = compiler.findHelper(call)
  const optional = compiler.helpers.acceptsAbsent.has(call.helper)
  const args = call.args.map((arg) => compileExpression(arg, compiler.helpers, optional))
  const hash = compileHash(call.hash, compiler.helpers, optional)
  return (scope, run, out) => {
    const renderWith =
      (writer: Writer, parameters: readonly number[]) =>
      (context: unknown, { data, blockParams }: BlockCallOptions = {}): string => {
        const inner = new Pieces()
        const origin = context === scope.context ? scope.origin : undefined
        writer(
          scope.enterBlock(context, origin, data ?? scope.variables, parameters, blockParams ?? NO_VALUES),
          run,
          inner,
        )
        return compiler.join(inner)
      }
    const blocks = {
      fn: renderWith(body, node.parameters),
      inverse: renderWith(inverse, []),
      blockParams: node.parameters.length,
    }
    const result = callHelper(call, helper, args, hash, scope, run, blocks)
    out.value(compiler.encodeHelperOutput(stringifyValue(result), node))
  }
}

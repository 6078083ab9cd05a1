import type { BlockNode } from '../template/tree.js'
import type { NodeCompiler } from './binder.js'
import { Pieces, type Writer } from './bindingRun.js'
import { compileExpression, compileHash } from './expressions.js'
import { type BlockCallOptions, callHelper } from './helperCall.js'
import type { Origin, Scope, Variables } from './scope.js'
import { isEmpty, stringifyValue } from './values.js'

const NONE: readonly unknown[] = []

/** Compiles `{{#…}}` to what Handlebars' helper of that name does. */
export function compileBlock(node: BlockNode, compiler: NodeCompiler): Writer {
  const body = compiler.compileAll(node.body)
  const inverse = compiler.compileAll(node.inverse)
  switch (node.type) {
    case 'if':
      return compileCondition(node, compiler, body, inverse)
    case 'unless':
      return compileCondition(node, compiler, inverse, body)
    case 'each':
      return compileEach(node, compiler, body, inverse)
    case 'with':
      return compileWith(node, compiler, body, inverse)
    case 'section':
      return compileSection(node, compiler, body, inverse)
    case 'call':
      return compileHelperBlock(node, compiler, body, inverse)
  }
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

/** With an `{{else}}` the author has said what to do without the list or context: then it may be absent. */
function compileEach(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const subject = compileExpression(node.subject, compiler.helpers, node.hasInverse)
  return (scope, run, out) => {
    if (!iterate(subject(scope, run), node, scope, (inner) => body(inner, run, out)))
      inverse(scope.orEmpty, run, out)
  }
}

/** Runs the body for each item; false if there was none. */
function iterate(value: unknown, node: BlockNode, scope: Scope, body: (inner: Scope) => void): boolean {
  if (typeof value !== 'object' || value === null) return false
  // A helper may answer with a Set or a Map.
  const list = !Array.isArray(value) && Symbol.iterator in value ? [...(value as Iterable<unknown>)] : value
  const keys = Array.isArray(list) ? undefined : Object.keys(list)
  const length = keys?.length ?? (list as unknown[]).length
  const { parameters: numbers } = node
  // One layer for all items, as Handlebars has it: each finds its own values there.
  const variables: Variables = { ...scope.variables, _parent: scope.variables }
  for (let index = 0; index < length; index++) {
    const key = keys?.[index] ?? index
    const item = (list as Record<string | number, unknown>)[key]
    variables['key'] = key
    variables['index'] = index
    variables['first'] = index === 0
    variables['last'] = index === length - 1
    const values = numbers.length === 0 ? NONE : [item, key]
    body(scope.enterBlock(item, { from: scope, by: node.subject, item: key }, variables, numbers, values))
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
  // Only a list gives its items as block parameters.
  const inside = (scope: Scope, context: unknown, origin: Origin | undefined) =>
    scope.enterBlock(context, origin, scope.variables, node.parameters, NONE)
  return (scope, run, out) => {
    const value = subject(scope, run)
    if (value === true) body(inside(scope, scope.context, scope.origin), run, out)
    else if (value === false || value === null || value === undefined) inverse(scope, run, out)
    else if (Array.isArray(value)) {
      if (!iterate(value, node, scope, (inner) => body(inner, run, out))) inverse(scope, run, out)
    } else body(inside(scope, value, { from: scope, by: node.subject }), run, out)
  }
}

/** A helper gets its block as text and may do anything with it. */
function compileHelperBlock(node: BlockNode, compiler: NodeCompiler, body: Writer, inverse: Writer): Writer {
  const call = node.subject
  if (call.kind !== 'call') throw new TypeError('A helper block without a call')
  const helper = compiler.findHelper(call)
  const optional = compiler.helpers.acceptsAbsent.has(call.helper)
  const args = call.args.map((arg) => compileExpression(arg, compiler.helpers, optional))
  const hash = compileHash(call.hash, compiler.helpers, optional)
  return (scope, run, out) => {
    const renderWith =
      (writer: Writer, numbers: readonly number[]) =>
      (context: unknown, { data, blockParams }: BlockCallOptions = {}): string => {
        const inner = new Pieces()
        const origin = context === scope.context ? scope.origin : undefined
        writer(
          scope.enterBlock(context, origin, data ?? scope.variables, numbers, blockParams ?? NONE),
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

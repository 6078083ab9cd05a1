import { templateError } from '../template/parse.js'
import type { CallExpression, Expression, PathExpression } from '../template/tree.js'
import type { Evaluate } from './bindingRun.js'
import { callHelper, type Helpers } from './helperCall.js'
import { type Scope, describePath } from './scope.js'
import { ownField } from './values.js'

/**
 * Compiles an expression. Unless it is optional, an absent path is recorded as missing. `null` counts as data.
 */
export function compileExpression(expression: Expression, helpers: Helpers, optional: boolean): Evaluate {
  switch (expression.kind) {
    case 'literal': {
      const { value } = expression
      return () => value
    }
    case 'undefined':
      return () => undefined
    case 'path': {
      const evaluate = compilePath(expression)
      return optional || mayBeAbsent(expression) ? evaluate : required(evaluate, expression)
    }
    case 'call': {
      const call = compileCall(expression, helpers, optional)
      return optional || expression.helper !== 'lookup' ? call : required(call, expression)
    }
  }
}

/** Of the variables, only `@root` holds the message's data. */
function mayBeAbsent({ variable, parts }: PathExpression): boolean {
  return variable && parts[0] !== 'root'
}

function required(evaluate: Evaluate, expression: PathExpression | CallExpression): Evaluate {
  return (scope, run) => {
    const value = evaluate(scope, run)
    if (value === undefined) run.missing.add(describePath(expression, scope))
    return value
  }
}

function compilePath(path: PathExpression): Evaluate {
  const start = compileStart(path)
  const parts = path.parameter === undefined && !path.variable ? path.parts : path.parts.slice(1)
  const [only] = parts
  if (only === undefined) return start
  if (parts.length === 1) return (scope, run) => ownField(start(scope, run), only)
  return (scope, run) => {
    let value = start(scope, run)
    for (const part of parts) value = ownField(value, part)
    return value
  }
}

function compileStart(path: PathExpression): Evaluate {
  const { up } = path
  if (path.variable) {
    const name = path.parts[0] ?? ''
    return (scope) => {
      let variables: Scope['variables'] | undefined = scope.variables
      for (let remaining = up; remaining > 0; remaining--) variables = variables?._parent
      return ownField(variables, name)
    }
  }
  if (path.parameter !== undefined) {
    const { parameter } = path
    return (scope) => scope.parameter(parameter)?.value
  }
  if (up === 0) return (scope) => scope.context
  return (scope) => scope.up(up)?.context
}

/** From last to first, because Handlebars adds them to an object in this order, and `each` shows it. */
export function compileHash(
  hash: CallExpression['hash'],
  helpers: Helpers,
  optional: boolean,
): (readonly [name: string, value: Evaluate])[] {
  return hash.map(([name, value]) => [name, compileExpression(value, helpers, optional)] as const).reverse()
}

function compileCall(call: CallExpression, helpers: Helpers, mayBeAbsent: boolean): Evaluate {
  const helper = helpers.byName.get(call.helper)
  if (helper === undefined) throw templateError(`unknown helper ${JSON.stringify(call.helper)}`, call.at)
  // If the result of a lookup may be absent, so may the object that it looks in.
  const optional = helpers.acceptsAbsent.has(call.helper) || (mayBeAbsent && call.helper === 'lookup')
  const args = call.args.map((arg) => compileExpression(arg, helpers, optional))
  const hash = compileHash(call.hash, helpers, optional)
  return (scope, run) => callHelper(call, helper, args, hash, scope, run)
}

import { templateError } from './parse.js'
import type { CallExpression, Expression, PathExpression, Place } from './tree.js'

/** The meanings of names at the place of an expression. */
export interface Names {
  helpers: ReadonlySet<string>
  /** Names of the project's own helpers. */
  customHelpers: ReadonlySet<string>
  /** Numbers of the block parameters in scope, by name. */
  parameters: ReadonlyMap<string, number>
  /** Whether `{{> @partial-block}}` refers to a block. */
  hasPartialBlock: boolean
  place: (node: hbs.AST.Node) => Place
}

type Invocation = hbs.AST.Node & Pick<hbs.AST.MustacheStatement, 'path' | 'params' | 'hash'>

/** Returns the expression of `{{…}}`, in which a single name may be a helper or a field. */
export function expressionOf(statement: Invocation, names: Names): Expression {
  const called = callOf(statement, names)
  if (called !== undefined) return called
  if (statement.path.type === 'PathExpression') return pathOf(statement.path as hbs.AST.PathExpression, names)
  // {{"name"}}, {{12}}, {{true}} and {{null}} look up a field of that name.
  const name = literalName(statement.path)
  return { kind: 'path', variable: false, up: 0, parts: [name], source: name }
}

function literalName(literal: hbs.AST.Expression): string {
  if (literal.type === 'UndefinedLiteral') return 'undefined'
  if (literal.type === 'NullLiteral') return 'null'
  return String((literal as hbs.AST.StringLiteral | hbs.AST.NumberLiteral).original)
}

/** Returns the helper call, if it is one. @throws TemplateFailure if there are arguments but no such helper */
export function callOf(statement: Invocation, names: Names): CallExpression | undefined {
  const path = statement.path as hbs.AST.PathExpression
  const hash = hashOf(statement.hash, names)
  const hasArguments = statement.params.length > 0 || hash.length > 0
  const name = helperName(path, names)
  if (name === undefined || !names.helpers.has(name)) {
    if (!hasArguments) return undefined
    throw templateError(`unknown helper ${JSON.stringify(path.original)}`, names.place(statement))
  }
  if (!hasArguments && !names.customHelpers.has(name))
    throw templateError(
      `'${name}' is a built-in helper, and needs arguments. For data of that name, write {{this.${name}}}`,
      names.place(statement),
    )
  return {
    kind: 'call',
    helper: name,
    args: statement.params.map((param) => argumentOf(param, names)),
    hash,
    source: path.original,
    at: names.place(statement),
  }
}

/** Returns the name if it can be a helper. `./name`, `this.name`, `a.b`, `@name` and block parameters can't. */
function helperName(path: hbs.AST.PathExpression, names: Names): string | undefined {
  if (path.type !== ('PathExpression' as string)) return undefined
  const [name] = path.parts
  if (path.parts.length !== 1 || name === undefined || path.data || path.depth > 0) return undefined
  if (/^(?:this\b|\.)/.test(path.original)) return undefined
  if (names.parameters.has(name)) return undefined
  return name
}

/** Returns an argument of a helper, in which a single name is always a field. */
export function argumentOf(param: hbs.AST.Expression, names: Names): Expression {
  switch (param.type) {
    case 'StringLiteral':
    case 'NumberLiteral':
    case 'BooleanLiteral':
      return { kind: 'literal', value: (param as hbs.AST.StringLiteral).value }
    case 'NullLiteral':
      return { kind: 'literal', value: null }
    case 'UndefinedLiteral':
      return { kind: 'undefined' }
    case 'SubExpression': {
      const sub = param as hbs.AST.SubExpression
      const call = callOf(sub, names)
      if (call === undefined)
        throw templateError(`unknown helper ${JSON.stringify(sub.path.original)}`, names.place(sub))
      return call
    }
    default:
      return pathOf(param as hbs.AST.PathExpression, names)
  }
}

export function hashOf(hash: hbs.AST.Hash | undefined, names: Names): [string, Expression][] {
  return (hash?.pairs ?? []).map(({ key, value }) => [key, argumentOf(value, names)])
}

function pathOf(path: hbs.AST.PathExpression, names: Names): Expression {
  if (isPartialBlock(path))
    return names.hasPartialBlock ? { kind: 'literal', value: true } : { kind: 'undefined' }
  const expression: PathExpression = {
    kind: 'path',
    variable: path.data,
    up: path.depth,
    parts: path.parts,
    source: path.original,
  }
  const [first] = path.parts
  const scoped = path.depth > 0 || /^(?:this\b|\.)/.test(path.original)
  if (first === undefined || scoped) return expression
  // Handlebars looks up block parameters first, even for `@index`.
  const parameter = names.parameters.get(first)
  return parameter === undefined ? expression : { ...expression, variable: false, parameter }
}

/** Whether a path is `@partial-block`, which is resolved while the template is expanded. */
export function isPartialBlock(path: hbs.AST.Expression): boolean {
  const { data, depth, parts } = path as hbs.AST.PathExpression
  return (
    path.type === 'PathExpression' &&
    data &&
    depth === 0 &&
    parts.length === 1 &&
    parts[0] === 'partial-block'
  )
}

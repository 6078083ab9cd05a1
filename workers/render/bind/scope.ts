import type { Expression } from '../template/tree.js'

/** The `@` variables in reach; `each` adds a layer. Own properties only are ever looked up. */
export interface Variables {
  [name: string]: unknown
  _parent?: Variables
}

/** Values of the block parameters, innermost block first. */
export interface Parameters {
  values: readonly unknown[]
  outer: Parameters | undefined
}

/** Where an expression is evaluated: a context, and the way back to those around it. */
export class Scope {
  constructor(
    readonly context: unknown,
    /** What `../` reaches. */
    readonly parent: Scope | undefined,
    readonly variables: Variables,
    readonly parameters: Parameters | undefined,
    /** How the context was reached, so that a missing path can be named in full. */
    readonly origin: Origin | undefined,
  ) {}
}

export interface Origin {
  from: Scope
  by: Expression
  /** Index or name of the item, for a context that is one of a list. */
  item?: string | number
}

/**
 * The scope of a block's content. `../` counts only contexts that differ, as Handlebars has it (it compares loosely).
 * @param values of the block's parameters; none for a partial, which is no level when parameters are counted
 */
export function enter(
  outer: Scope,
  context: unknown,
  origin: Origin | undefined,
  variables: Variables,
  values: readonly unknown[] | undefined,
): Scope {
  const same = isSame(context, outer.context)
  return new Scope(
    context,
    same ? outer.parent : outer,
    variables,
    values === undefined ? outer.parameters : { values, outer: outer.parameters },
    same && origin?.item === undefined ? outer.origin : origin,
  )
}

/** Handlebars compares with `==`; only between primitives is that more than identity and harmless. */
function isSame(context: unknown, other: unknown): boolean {
  if (context === other) return true
  if (typeof context === 'object' || typeof other === 'object') return (context ?? other ?? null) === null
  // eslint-disable-next-line eqeqeq
  return context == other
}

/** `items[3].price`: the path from the data's root to what an expression names in a scope. */
export function describePath(expression: Expression, scope: Scope): string {
  switch (expression.kind) {
    case 'path':
      return join(baseOf(expression, scope), expression)
    case 'call': {
      const [subject, key] = expression.args
      if (expression.helper === 'lookup' && subject !== undefined && key?.kind === 'literal')
        return append(describePath(subject, scope), key.value as string | number)
      return subject === undefined ? expression.source : describePath(subject, scope)
    }
    case 'literal':
      return String(expression.value)
    case 'undefined':
      return 'undefined'
  }
}

function baseOf(path: Extract<Expression, { kind: 'path' }>, scope: Scope): string {
  if (path.variable || path.parameter !== undefined) return ''
  let at: Scope | undefined = scope
  for (let up = path.up; up > 0; up--) at = at?.parent
  return at === undefined ? '' : describeContext(at)
}

function describeContext(scope: Scope): string {
  const { origin } = scope
  if (origin === undefined) return ''
  const path = describePath(origin.by, origin.from)
  return origin.item === undefined ? path : append(path, origin.item)
}

function join(base: string, path: Extract<Expression, { kind: 'path' }>): string {
  const parts = path.variable && path.parts[0] === 'root' ? path.parts.slice(1) : path.parts
  const prefix = path.variable && parts === path.parts ? '@' : ''
  return prefix + parts.reduce(append, base)
}

function append(base: string, part: string | number): string {
  if (typeof part === 'number') return `${base}[${part}]`
  return base === '' ? part : `${base}.${part}`
}

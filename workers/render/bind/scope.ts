import type { Expression, Reach } from '../template/tree.js'

/** The `@` variables in reach; `each` adds a layer. Own properties only are ever looked up. */
export interface Variables {
  [name: string]: unknown
  _parent?: Variables
}

/** A block parameter with its value, in front of those bound before. */
interface Bound {
  number: number
  value: unknown
  /** How the value was reached, for the first parameter of a block. */
  origin: Origin | undefined
  outer: Bound | undefined
}

/** A scope that nodes written in it continue later, in front of those kept before. */
interface Kept {
  number: number
  scope: Scope
  outer: Kept | undefined
}

export interface Origin {
  from: Scope
  by: Expression
  /** Index or name of the item, for a context that is one of a list. */
  item?: string | number
}

/** A context that is null has no fields; Handlebars hands this to helpers and conditions instead. */
export const EMPTY_CONTEXT = Object.freeze({})

/**
 * Where an expression is evaluated. One chain holds all that names mean: a reference carries the number of the
 * parameter or scope that it means, and finds it here whatever lies between.
 */
export class Scope {
  /** The scope whose context counts as a level for `../`: this, unless its context equals the one around it. */
  readonly level: Scope

  private constructor(
    readonly context: unknown,
    /** How the context was reached, so that a missing path can be named in full. */
    readonly origin: Origin | undefined,
    readonly variables: Variables,
    level: Scope | undefined,
    /** What `../` reaches. */
    readonly parent: Scope | undefined,
    private readonly bound: Bound | undefined,
    private readonly kept: Kept | undefined,
  ) {
    this.level = level ?? this
  }

  static of(data: unknown, variables: Variables): Scope {
    return new Scope(
      data,
      undefined,
      { ...variables, root: data },
      undefined,
      undefined,
      undefined,
      undefined,
    )
  }

  /**
   * The scope of a block's content.
   * @param numbers of the block's parameters, each with the value that stands in the same place
   */
  enterBlock(
    context: unknown,
    origin: Origin | undefined,
    variables: Variables,
    numbers: readonly number[],
    values: readonly unknown[],
  ): Scope {
    let { bound } = this
    // Each is bound, also without a value: so none is ever looked for in another block.
    for (let at = 0; at < numbers.length; at++) {
      const isContext = at === 0 && values.length > 0
      bound = {
        number: numbers[at]!,
        value: values[at],
        origin: isContext ? origin : undefined,
        outer: bound,
      }
    }
    return this.#enter(this, context, origin, variables, bound, this.kept)
  }

  /** The scope of a shared part that is called here. */
  enterPart(context: unknown, origin: Origin | undefined, { reach, keep, layer }: Entrance): Scope {
    const written = reach === 'here' ? this : reach === 'file' ? undefined : this.#keptAs(reach)
    const variables = layer === undefined ? this.variables : { ...this.variables, _parent: this.variables }
    const kept = keep === undefined ? this.kept : { number: keep, scope: this, outer: this.kept }
    return this.#enter(written, context, origin, variables, this.bound, kept)
  }

  /** `../` counts only contexts that differ, as Handlebars has it. */
  #enter(
    written: Scope | undefined,
    context: unknown,
    origin: Origin | undefined,
    variables: Variables,
    bound: Bound | undefined,
    kept: Kept | undefined,
  ): Scope {
    const around = written?.level
    const same = around !== undefined && isSame(context, around.context)
    return same
      ? new Scope(context, origin, variables, around, around.parent, bound, kept)
      : new Scope(context, origin, variables, undefined, around, bound, kept)
  }

  /** This scope, or that of nothing where its context is null. */
  get orEmpty(): Scope {
    if (this.context !== null && this.context !== undefined) return this
    return this.#enter(this, EMPTY_CONTEXT, this.origin, this.variables, this.bound, this.kept)
  }

  up(levels: number): Scope | undefined {
    if (levels === 0) return this
    let at = this.parent
    for (let left = levels - 1; left > 0; left--) at = at?.parent
    return at
  }

  parameter(number: number): Bound | undefined {
    let at = this.bound
    while (at !== undefined && at.number !== number) at = at.outer
    return at
  }

  #keptAs(number: number): Scope | undefined {
    let at = this.kept
    while (at !== undefined && at.number !== number) at = at.outer
    return at?.scope
  }
}

/** How a shared part is entered. */
interface Entrance {
  reach: Reach
  keep?: number
  layer?: true
}

/** Handlebars compares with `==`. */
function isSame(context: unknown, other: unknown): boolean {
  if (context === other) return true
  if (context === EMPTY_CONTEXT) return other === null
  if (context === null || other === null) return (context ?? other ?? null) === null
  // eslint-disable-next-line eqeqeq
  if (typeof context === 'object') return typeof other !== 'object' && primitiveOf(context) == other
  // eslint-disable-next-line eqeqeq
  return (typeof other === 'object' ? primitiveOf(other) : other) == context
}

const primitives = new WeakMap<object, unknown>()

/** What `==` compares an object by; once for each, because it is as much work as the object is large. */
function primitiveOf(object: object): unknown {
  if (primitives.has(object)) return primitives.get(object)
  let primitive: unknown
  try {
    // eslint-disable-next-line @typescript-eslint/no-base-to-string -- that is what is compared
    primitive = String(object)
  } catch {
    // Its own fields stand in the way: it equals nothing.
    primitive = Number.NaN
  }
  primitives.set(object, primitive)
  return primitive
}

/** `items[3].price`: the path from the data's root to what an expression names in a scope. */
export function describePath(expression: Expression, scope: Scope): string {
  switch (expression.kind) {
    case 'path': {
      const { parameter, parts } = expression
      const origin = parameter === undefined ? undefined : scope.parameter(parameter)?.origin
      if (origin !== undefined) return parts.slice(1).reduce(append, describeOrigin(origin))
      return join(parameter === undefined ? baseOf(expression, scope) : '', expression)
    }
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
  return path.variable ? '' : describeOrigin(scope.up(path.up)?.origin)
}

function describeOrigin(origin: Origin | undefined): string {
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

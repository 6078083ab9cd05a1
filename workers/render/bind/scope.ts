import type { Expression, Reach } from '../template/tree.js'

/** The `@` variables in scope. `each` adds a layer. Only own properties are looked up. */
export interface Variables {
  [name: string]: unknown
  _parent?: Variables
}

/** A block parameter with its value, in a list with the innermost parameter first. */
interface BoundParameter {
  number: number
  value: unknown
  /** The path to the value, for the first parameter of a block. */
  origin: Origin | undefined
  outer: BoundParameter | undefined
}

/** A scope that nodes written in it return to later, in a list with the innermost scope first. */
interface KeptScope {
  number: number
  scope: Scope
  outer: KeptScope | undefined
}

/** How a context was reached from the scope around it. */
export interface Origin {
  from: Scope
  by: Expression
  /** Index or key of the item, if the context is an item of a list or object. */
  item?: string | number
}

/** Handlebars passes an empty object to helpers and conditions in place of a null context. */
export const EMPTY_CONTEXT = Object.freeze({})

/**
 * The scope in which an expression is evaluated. A reference carries the number of the parameter or scope that it refers
 * to, and finds it in the chain whatever lies between.
 */
export class Scope {
  /** The scope whose context counts as a level for `../`: this one, unless its context equals the one around it. */
  readonly level: Scope

  private constructor(
    readonly context: unknown,
    /** How the context was reached, so that a missing path can be reported in full. */
    readonly origin: Origin | undefined,
    readonly variables: Variables,
    level: Scope | undefined,
    /** The scope that `../` refers to. */
    readonly parent: Scope | undefined,
    private readonly parameters: BoundParameter | undefined,
    private readonly keptScopes: KeptScope | undefined,
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
   * @param numbers the numbers of the block's parameters; `values` holds their values in the same order
   */
  enterBlock(
    context: unknown,
    origin: Origin | undefined,
    variables: Variables,
    numbers: readonly number[],
    values: readonly unknown[],
  ): Scope {
    let { parameters } = this
    // A parameter without a value is bound too, so that its name is never looked up in an outer block.
    for (let at = 0; at < numbers.length; at++) {
      const isContext = at === 0 && values.length > 0
      parameters = {
        number: numbers[at]!,
        value: values[at],
        origin: isContext ? origin : undefined,
        outer: parameters,
      }
    }
    return this.#enter(this, context, origin, variables, parameters, this.keptScopes)
  }

  /** The scope of a shared part that is called in this scope. */
  enterPart(context: unknown, origin: Origin | undefined, { reach, keep, layer }: PartEntry): Scope {
    const definedIn = reach === 'here' ? this : reach === 'file' ? undefined : this.#keptScope(reach)
    const variables = layer === undefined ? this.variables : { ...this.variables, _parent: this.variables }
    const keptScopes =
      keep === undefined ? this.keptScopes : { number: keep, scope: this, outer: this.keptScopes }
    return this.#enter(definedIn, context, origin, variables, this.parameters, keptScopes)
  }

  /** `../` counts only contexts that differ, as in Handlebars. */
  #enter(
    definedIn: Scope | undefined,
    context: unknown,
    origin: Origin | undefined,
    variables: Variables,
    parameters: BoundParameter | undefined,
    keptScopes: KeptScope | undefined,
  ): Scope {
    const outer = definedIn?.level
    const same = outer !== undefined && isSame(context, outer.context)
    return same
      ? new Scope(context, origin, variables, outer, outer.parent, parameters, keptScopes)
      : new Scope(context, origin, variables, undefined, outer, parameters, keptScopes)
  }

  /** This scope, or one with an empty context if the context is null. */
  get orEmpty(): Scope {
    if (this.context !== null && this.context !== undefined) return this
    return this.#enter(this, EMPTY_CONTEXT, this.origin, this.variables, this.parameters, this.keptScopes)
  }

  up(levels: number): Scope | undefined {
    if (levels === 0) return this
    let at = this.parent
    for (let remaining = levels - 1; remaining > 0; remaining--) at = at?.parent
    return at
  }

  parameter(number: number): BoundParameter | undefined {
    let at = this.parameters
    while (at !== undefined && at.number !== number) at = at.outer
    return at
  }

  #keptScope(number: number): Scope | undefined {
    let at = this.keptScopes
    while (at !== undefined && at.number !== number) at = at.outer
    return at?.scope
  }
}

/** How to enter the scope of a shared part. */
export interface PartEntry {
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

/** The primitive that `==` compares an object by. Cached, because computing it takes time linear in the object's size. */
function primitiveOf(object: object): unknown {
  if (primitives.has(object)) return primitives.get(object)
  let primitive: unknown
  try {
    // eslint-disable-next-line @typescript-eslint/no-base-to-string -- `==` compares this text
    primitive = String(object)
  } catch {
    // Its own fields prevent the conversion, so it equals nothing.
    primitive = Number.NaN
  }
  primitives.set(object, primitive)
  return primitive
}

/** Returns the path from the root of the data to the value of an expression, such as `items[3].price`. */
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

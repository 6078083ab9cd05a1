import type { DataPath, DataShape, Need } from '../../../src/protocol/templateManifest.js'
import { ACCEPTS_ABSENT } from '../helpers/builtInHelpers.js'
import type {
  AttributeNode,
  BlockNode,
  Expression,
  PathExpression,
  ScopeNode,
  TemplateNode,
} from '../template/tree.js'

/** More than a hand-written template has. The thread checks the rest when it renders. */
const MAX_NEEDS = 2000

/** A context: its path in the data, if that is known, and the context around it. */
interface Level {
  path: DataPath | undefined
  /** The context that `../` refers to. Also absent if the data decides whether this context counts as a level. */
  parent: Level | undefined
  /** Fields that the parameters of a partial hide. */
  hidden: ReadonlySet<string>
}

interface Place {
  level: Level
  /** Number of contexts opened by the needs around it. */
  depth: number
  /** Paths of block parameters by number, if known. */
  parameters: ReadonlyMap<number, DataPath>
}

const NOTHING_HIDDEN: ReadonlySet<string> = new Set()

/** Returns the needs of the nodes: the data that they require. */
export function collectNeeds(nodes: readonly TemplateNode[]): Need[] {
  const level: Level = { path: { scope: 0, parts: [] }, parent: undefined, hidden: NOTHING_HIDDEN }
  return new NeedsCollector().all(nodes, { level, depth: 0, parameters: new Map() })
}

class NeedsCollector {
  #remaining = MAX_NEEDS

  all(nodes: readonly TemplateNode[], place: Place): Need[] {
    const needs: Need[] = []
    const seen = new Set<string>()
    for (const need of nodes.flatMap((node) => this.#one(node, place))) {
      const key = JSON.stringify(need)
      if (seen.has(key) || this.#remaining-- <= 0) continue
      seen.add(key)
      needs.push(need)
    }
    return needs
  }

  #one(node: TemplateNode, place: Place): Need[] {
    switch (node.kind) {
      case 'text':
      case 'partial':
        return []
      case 'anchor':
      case 'anchored':
        return this.all(node.body, place)
      case 'value':
        return this.#expression(node.expression, place)
      case 'attribute':
        return [...this.all(node.value, place), ...this.#scheme(node, place)]
      case 'scope':
        return this.#scope(node, place)
      case 'block':
        return this.#block(node, place)
    }
  }

  /** A value at the start of a URL decides its scheme, unless a text before it does. */
  #scheme({ value, checks }: AttributeNode, place: Place): Need[] {
    const [first] = value
    if (checks.url !== 'one' || first?.kind !== 'value' || first.expression.kind !== 'path') return []
    const path = resolve(first.expression, place)
    return path === undefined || path.parts.length === 0 ? [] : [{ need: 'url', path }]
  }

  #expression(expression: Expression, place: Place): Need[] {
    if (expression.kind === 'call') {
      if (ACCEPTS_ABSENT.has(expression.helper)) return []
      const given = [...expression.args, ...expression.hash.map(([, value]) => value)]
      return given.flatMap((arg) => this.#expression(arg, place))
    }
    const path = expression.kind === 'path' ? resolve(expression, place) : undefined
    return path === undefined || path.parts.length === 0 ? [] : [{ need: 'value', path }]
  }

  #block(node: BlockNode, place: Place): Need[] {
    const path = node.subject.kind === 'path' ? resolve(node.subject, place) : undefined
    switch (node.type) {
      case 'if':
      case 'unless': {
        // A computed condition doesn't say which data it needs.
        if (path === undefined || node.includeZero !== undefined || isContext(node.subject)) return []
        const [then, otherwise] = node.type === 'if' ? [node.body, node.inverse] : [node.inverse, node.body]
        return withoutEmpty({
          need: 'if',
          path,
          then: this.all(then, place),
          otherwise: this.all(otherwise, place),
        })
      }
      case 'each':
      case 'with': {
        if (path === undefined || (node.type === 'with' && isContext(node.subject))) return []
        const inner = this.all(node.body, enterItem(place, node, path))
        const rest = { path, optional: node.hasInverse, otherwise: this.all(node.inverse, place) }
        return [
          node.type === 'each' ? { need: 'each', ...rest, items: inner } : { need: 'with', ...rest, inner },
        ]
      }
      case 'section':
        // The data decides whether it repeats or only shows.
        return []
      case 'call':
        return this.#expression(node.subject, place)
    }
  }

  #scope(node: ScopeNode, place: Place): Need[] {
    const own = node.context === undefined ? [] : this.#expression(node.context, place)
    const path =
      node.context === undefined
        ? place.level.path
        : node.context.kind === 'path'
          ? resolve(node.context, place)
          : undefined
    const inherited = node.context === undefined ? place.level.hidden : NOTHING_HIDDEN
    const hidden = new Set([...inherited, ...node.hash.map(([name]) => name)])
    // Only the data decides whether such a context counts as a level.
    const isSame = node.reach === 'here' && node.context === undefined && node.hash.length === 0
    const level = { path, parent: isSame ? place.level.parent : undefined, hidden }
    return [...own, ...this.all(node.body, { ...place, level })]
  }
}

/** Whether the subject is the context itself. In a condition, Handlebars replaces a null context with an empty object. */
function isContext(subject: Expression): boolean {
  return subject.kind === 'path' && subject.parts.length === 0 && subject.up === 0
}

function withoutEmpty(need: Extract<Need, { need: 'if' }>): Need[] {
  return need.then.length + need.otherwise.length === 0 ? [] : [need]
}

/** Enters a list item or a context: one more level, referred to by its number. */
function enterItem(place: Place, node: BlockNode, subject: DataPath): Place {
  const depth = place.depth + 1
  const path: DataPath = { scope: depth, parts: [] }
  const parent = isInside(subject, place.level.path) ? place.level : undefined
  const [first] = node.parameters
  const parameters = first === undefined ? place.parameters : new Map(place.parameters).set(first, path)
  return { ...place, level: { path, parent, hidden: NOTHING_HIDDEN }, depth, parameters }
}

/**
 * Whether a path leads into the context. An object never equals its field, so the field is a level for `../`. For other
 * contexts only the data decides: a list of one name equals that name.
 */
function isInside({ scope, parts }: DataPath, context: DataPath | undefined): boolean {
  if (context?.scope !== scope || context.parts.some((part, at) => parts[at] !== part)) return false
  const next = parts[context.parts.length]
  return next !== undefined && !/^(?:\d+|length)$/.test(next)
}

function resolve(expression: PathExpression, { level, parameters }: Place): DataPath | undefined {
  const { parts } = expression
  if (expression.variable)
    return parts[0] === 'root' && expression.up === 0 ? { scope: 0, parts: parts.slice(1) } : undefined
  if (expression.parameter !== undefined) {
    const base = parameters.get(expression.parameter)
    return base === undefined ? undefined : { scope: base.scope, parts: [...base.parts, ...parts.slice(1)] }
  }
  let at: Level | undefined = level
  for (let up = expression.up; up > 0; up--) at = at?.parent
  if (at?.path === undefined) return undefined
  // A context whose fields are hidden by parameters is not part of the data.
  if (parts[0] === undefined ? at.hidden.size > 0 : at.hidden.has(parts[0])) return undefined
  return { scope: at.path.scope, parts: [...at.path.parts, ...parts] }
}

/** Infers the shape of the data from the needs. */
export function inferShape(needs: readonly Need[]): DataShape {
  const root: DataShape = {}
  follow(needs, [root], false)
  return root
}

function follow(needs: readonly Need[], scopes: readonly DataShape[], optional: boolean): void {
  for (const need of needs) {
    switch (need.need) {
      case 'value':
      case 'url':
        reach(scopes, need.path, optional)
        break
      case 'if':
        reach(scopes, need.path, true)
        follow(need.then, scopes, true)
        follow(need.otherwise, scopes, true)
        break
      case 'each': {
        const list = reach(scopes, need.path, optional || need.optional)
        list.items ??= {}
        follow(need.items, [...scopes, list.items], false)
        follow(need.otherwise, scopes, true)
        break
      }
      case 'with': {
        const inner = reach(scopes, need.path, optional || need.optional)
        follow(need.inner, [...scopes, inner], false)
        follow(need.otherwise, scopes, true)
        break
      }
    }
  }
}

/** Returns the shape at a path. A field that is required once stays required. */
function reach(scopes: readonly DataShape[], path: DataPath, optional: boolean): DataShape {
  let at = scopes[path.scope] ?? {}
  for (const part of path.parts) {
    at.fields ??= {}
    const known = Object.hasOwn(at.fields, part) ? at.fields[part] : undefined
    const next: DataShape = known ?? (optional ? { optional: true } : {})
    if (!optional) delete next.optional
    Object.defineProperty(at.fields, part, {
      value: next,
      enumerable: true,
      configurable: true,
      writable: true,
    })
    at = next
  }
  return at
}

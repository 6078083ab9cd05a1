import type { BlockNode, Expression, Reach, ScopeNode, TemplateNode } from './tree.js'

/** How nodes use the scopes around them. */
interface Uses {
  /** `../` */
  contexts: boolean
  /** `@../` */
  layers: boolean
  /** The kept scopes that they return to, or all of them if that is unknown. */
  kept: Set<number | 'all'>
}

/** Removes from a scope node everything that its nodes don't use. Returns the nodes alone if nothing remains. */
export function simplifyScope(node: ScopeNode): TemplateNode[] {
  const { keep, layer, ...rest } = node
  if (!node.body.some(mayEvaluate)) return withArgumentChecks(node)
  const uses = usesOf(node.body)
  const reach: Reach = uses.contexts ? node.reach : 'here'
  const scope: ScopeNode = { ...rest, reach }
  if (keep !== undefined && (uses.kept.has(keep) || uses.kept.has('all'))) scope.keep = keep
  if (layer !== undefined && uses.layers) scope.layer = layer
  const changes =
    scope.context ??
    scope.keep ??
    scope.layer ??
    scope.indent ??
    (scope.hash.length > 0 ? scope.hash : undefined)
  return changes === undefined && reach === 'here' ? node.body : [scope]
}

/** Whether a node may depend on its scope. */
function mayEvaluate(node: TemplateNode): boolean {
  return node.kind === 'scope' ? node.body.some(mayEvaluate) : node.kind !== 'text'
}

/**
 * A partial with fixed text only. Its arguments are evaluated all the same, because missing data in them is an error: as
 * blocks without output, which stay in place when MJML runs before the data is known.
 */
function withArgumentChecks({ context, hash, indent, body, at }: ScopeNode): TemplateNode[] {
  const check = (subject: Expression, mayBeAbsent: boolean): BlockNode => ({
    kind: 'block',
    type: 'with',
    subject,
    body: [],
    inverse: [],
    hasInverse: mayBeAbsent,
    parameters: [],
    source: 'source' in subject ? subject.source : '',
    at,
  })
  const calls = hash.filter(([, { kind }]) => kind === 'call').map(([, call]) => check(call, true))
  const checks = context !== undefined && mayBeMissing(context) ? [check(context, false), ...calls] : calls
  if (indent === undefined) return [...checks, ...body]
  return [...checks, { kind: 'scope', hash: [], reach: 'here', indent, body, at }]
}

function mayBeMissing(expression: Expression): boolean {
  if (expression.kind !== 'path') return expression.kind === 'call'
  return expression.parts.length > 0 || expression.up > 0
}

function usesOf(nodes: readonly TemplateNode[]): Uses {
  const uses: Uses = { contexts: false, layers: false, kept: new Set() }
  collectUses(nodes, uses)
  return uses
}

function collectUses(nodes: readonly TemplateNode[], uses: Uses): void {
  for (const node of nodes) {
    switch (node.kind) {
      case 'text':
      // These are created after the template is expanded.
      case 'anchor':
      case 'anchored':
        break
      case 'value':
        collectExpressionUses(node.expression, uses)
        break
      case 'attribute':
        collectUses(node.value, uses)
        break
      case 'block':
        collectExpressionUses(node.subject, uses)
        collectExpressionUses(node.includeZero, uses)
        collectUses(node.body, uses)
        collectUses(node.inverse, uses)
        break
      case 'scope':
        collectExpressionUses(node.context, uses)
        for (const [, value] of node.hash) collectExpressionUses(value, uses)
        if (typeof node.reach === 'number') uses.kept.add(node.reach)
        collectUses(node.body, uses)
        break
      case 'partial':
        collectExpressionUses(node.name, uses)
        collectExpressionUses(node.context, uses)
        for (const [, value] of node.hash) collectExpressionUses(value, uses)
        // Its candidates may use anything.
        uses.contexts = uses.layers = true
        uses.kept.add('all')
        break
    }
  }
}

function collectExpressionUses(expression: Expression | undefined, uses: Uses): void {
  if (expression?.kind === 'path' && expression.up > 0) {
    if (expression.variable) uses.layers = true
    else uses.contexts = true
  }
  if (expression?.kind !== 'call') return
  for (const arg of expression.args) collectExpressionUses(arg, uses)
  for (const [, value] of expression.hash) collectExpressionUses(value, uses)
}

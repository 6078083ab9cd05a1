import type { BlockNode, Expression, Reach, ScopeNode, TemplateNode } from './tree.js'

/** What nodes ask of the scopes around them. */
interface Uses {
  /** `../` */
  contexts: boolean
  /** `@../` */
  layers: boolean
  /** The kept scopes that they continue; all of them where that is not known. */
  kept: Set<number | 'all'>
}

/** A scope node, less what its nodes make no use of; its nodes alone if nothing is left of it. */
export function simplifyScope(node: ScopeNode): TemplateNode[] {
  const { keep, layer, ...rest } = node
  if (!node.body.some(mayEvaluate)) return withDemands(node)
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

/** Whether there is anything in a node that depends on its scope. */
function mayEvaluate(node: TemplateNode): boolean {
  return node.kind === 'scope' ? node.body.some(mayEvaluate) : node.kind !== 'text'
}

/**
 * A partial that only says what is fixed. Its arguments are evaluated all the same, because data that they name must be
 * there: as blocks that show nothing, which stay where they are when MJML runs before the data comes.
 */
function withDemands({ context, hash, indent, body, at }: ScopeNode): TemplateNode[] {
  const demand = (subject: Expression, mayBeAbsent: boolean): BlockNode => ({
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
  const calls = hash.filter(([, { kind }]) => kind === 'call').map(([, call]) => demand(call, true))
  const demands = context !== undefined && mayBeMissing(context) ? [demand(context, false), ...calls] : calls
  if (indent === undefined) return [...demands, ...body]
  return [...demands, { kind: 'scope', hash: [], reach: 'here', indent, body, at }]
}

function mayBeMissing(expression: Expression): boolean {
  if (expression.kind !== 'path') return expression.kind === 'call'
  return expression.parts.length > 0 || expression.up > 0
}

function usesOf(nodes: readonly TemplateNode[]): Uses {
  const uses: Uses = { contexts: false, layers: false, kept: new Set() }
  noteNodes(nodes, uses)
  return uses
}

function noteNodes(nodes: readonly TemplateNode[], uses: Uses): void {
  for (const node of nodes) {
    switch (node.kind) {
      case 'text':
      // These are made after the template was put together.
      case 'anchor':
      case 'anchored':
        break
      case 'value':
        note(node.expression, uses)
        break
      case 'attribute':
        noteNodes(node.value, uses)
        break
      case 'block':
        note(node.subject, uses)
        note(node.includeZero, uses)
        noteNodes(node.body, uses)
        noteNodes(node.inverse, uses)
        break
      case 'scope':
        note(node.context, uses)
        for (const [, value] of node.hash) note(value, uses)
        if (typeof node.reach === 'number') uses.kept.add(node.reach)
        noteNodes(node.body, uses)
        break
      case 'partial':
        note(node.name, uses)
        note(node.context, uses)
        for (const [, value] of node.hash) note(value, uses)
        // Of the partials it may mean, some may ask for anything.
        uses.contexts = uses.layers = true
        uses.kept.add('all')
        break
    }
  }
}

function note(expression: Expression | undefined, uses: Uses): void {
  if (expression?.kind === 'path' && expression.up > 0) {
    if (expression.variable) uses.layers = true
    else uses.contexts = true
  }
  if (expression?.kind !== 'call') return
  for (const arg of expression.args) note(arg, uses)
  for (const [, value] of expression.hash) note(value, uses)
}

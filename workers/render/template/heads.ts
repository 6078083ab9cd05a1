import type { TemplateNode } from './tree.js'

/**
 * Takes the heads of included documents out of a tree. What is bound in one keeps the blocks and partials that its
 * `mj-include` stands in, so that it is bound there, and as often.
 */
export function takeHeads(
  nodes: readonly TemplateNode[],
  heads: ReadonlySet<TemplateNode>,
): { rest: TemplateNode[]; head: TemplateNode[] } {
  const rest: TemplateNode[] = []
  const head: TemplateNode[] = []
  for (const node of nodes) {
    if (heads.has(node)) head.push(node)
    else if (node.kind === 'block') {
      const body = takeHeads(node.body, heads)
      const inverse = takeHeads(node.inverse, heads)
      rest.push({ ...node, body: body.rest, inverse: inverse.rest })
      if (isFree(body.head) && isFree(inverse.head)) head.push(...body.head, ...inverse.head)
      else head.push({ ...node, body: body.head, inverse: inverse.head })
    } else if (node.kind === 'scope') {
      const body = takeHeads(node.body, heads)
      rest.push({ ...node, body: body.rest })
      if (isFree(body.head)) head.push(...body.head)
      else head.push({ ...node, body: body.head })
    } else rest.push(node)
  }
  return { rest, head }
}

const OTHER_SETTING = /<mj-(?!(?:style|font)\b)/

/** Fixed styles and fonts do no harm where their block is absent, and do not make the template bind first. */
function isFree(head: readonly TemplateNode[]): boolean {
  return head.every((node) => node.kind === 'text' && !OTHER_SETTING.test(node.text))
}

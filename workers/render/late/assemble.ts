import type { AttributeNode, BlockNode, Place, TemplateNode, ValueNode } from '../template/tree.js'
import type { Marked, Markers } from './markers.js'

/** What MJML made of a marked source, as a template again. */
export interface Assembled {
  nodes: TemplateNode[]
  /** Marks that did not come out of MJML. */
  lost: Marked[]
  /** Those of them that stand in no block: they show nowhere, but what they ask of the data counts. */
  unseen: TemplateNode[]
}

/** How a mark becomes a node where it stands in the output, and how much of the text after it belongs to it. */
export type Adapt = (node: ValueNode | AttributeNode, after: string) => { node: TemplateNode; taken?: number }

interface Open {
  id: number
  node: BlockNode
  body: TemplateNode[]
  inverse: TemplateNode[] | undefined
  outer: TemplateNode[]
}

/** Reads the marks in a text. @returns a reason if its blocks are no longer blocks. */
export function assemble(
  text: string,
  markers: Markers,
  adapt: Adapt,
): Assembled | { broken: string; node?: BlockNode } {
  const seen = new Set<number>()
  const open: Open[] = []
  let nodes: TemplateNode[] = []
  let done = 0
  for (const found of text.matchAll(markers.pattern)) {
    const id = Number(found[1])
    const marked = markers.marked[id]
    if (marked === undefined) return { broken: 'MJML changed a mark' }
    seen.add(id)
    const end = found.index + found[0].length
    addText(nodes, text.slice(done, found.index))
    done = end
    if (marked.node.kind !== 'block') {
      const adapted = adapt(marked.node, text.slice(end, end + 40))
      done += adapted.taken ?? 0
      nodes.push(inScopes(adapted.node, marked))
      continue
    }
    const node = marked.node
    if (found[2] === 's') {
      open.push({ id, node, body: [], inverse: undefined, outer: nodes })
      nodes = open.at(-1)?.body ?? []
      continue
    }
    const block = open.at(-1)
    if (block?.id !== id) return { broken: 'MJML moved its tags apart', node }
    if (found[2] === 'e') {
      if (block.inverse !== undefined) return { broken: 'MJML repeated its {{else}}', node }
      nodes = block.inverse = []
      continue
    }
    open.pop()
    nodes = block.outer
    nodes.push(inScopes({ ...node, body: block.body, inverse: block.inverse ?? [] }, marked))
  }
  const unclosed = open.at(-1)
  if (unclosed !== undefined) return { broken: 'MJML dropped its end', node: unclosed.node }
  addText(nodes, text.slice(done))
  const lost = markers.marked.filter((_, id) => !seen.has(id))
  return {
    nodes,
    lost,
    unseen: lost.filter(({ always }) => always).map((marked) => inScopes(marked.node, marked)),
  }
}

function addText(nodes: TemplateNode[], text: string): void {
  if (text !== '') nodes.push({ kind: 'text', text, at: OUTPUT })
}

function inScopes(node: TemplateNode, { scopes }: Marked): TemplateNode {
  return scopes.reduceRight<TemplateNode>((inner, scope) => ({ ...scope, body: [inner] }), node)
}

/** What MJML wrote has no place in the source. */
const OUTPUT: Place = { file: '', line: 0, column: 0 }

import { decodeEntities } from '../template/project.js'
import type { AttributeNode, TemplateNode, ValueNode } from '../template/tree.js'
import type { Adapt } from './assemble.js'

/** In HTML: what MJML did to a copy of a value is to be done when it is bound. */
export function conditionalsOf(html: string, markers: { pattern: RegExp }): Adapt {
  const inside = new Set<number>()
  let copies = 0
  const places: number[] = []
  for (const found of html.matchAll(markers.pattern)) if (found[2] === 'v') places.push(found.index)
  for (const comment of html.matchAll(/<!--\[if\s[^\]]+\]>[\s\S]*?<!\[endif\]-->/g))
    for (const [index, place] of places.entries())
      if (place > comment.index && place < comment.index + comment[0].length) inside.add(index)
  return (node, after) => {
    const tidy = inside.has(copies++)
    return adaptHtml(node, after, tidy)
  }
}

const SUFFIX = /^-[a-z]+(?=["\s])/

function adaptHtml(node: ValueNode | AttributeNode, after: string, tidy: boolean): ReturnType<Adapt> {
  if (node.kind === 'value') {
    if (!tidy) return { node }
    return { node: { kind: 'attribute', name: '', value: [node], checks: { tidy: true }, at: node.at } }
  }
  const suffix = node.name === 'css-class' ? SUFFIX.exec(after)?.[0] : undefined
  const checks = { ...node.checks }
  if (tidy) checks.tidy = true
  if (suffix !== undefined) checks.suffix = suffix
  return { node: { ...node, checks }, taken: suffix?.length ?? 0 }
}

/** In the text part nothing is HTML: the fixed text of an attribute value loses its references. */
export const adaptText: Adapt = (node) => {
  if (node.kind === 'value' || node.checks.content) return { node }
  return { node: { ...node, value: node.value.map(decoded), checks: {} } }
}

function decoded(node: TemplateNode): TemplateNode {
  switch (node.kind) {
    case 'text':
      return { ...node, text: decodeEntities(node.text) }
    case 'block':
      return { ...node, body: node.body.map(decoded), inverse: node.inverse.map(decoded) }
    case 'anchor':
    case 'anchored':
    case 'scope':
      return { ...node, body: node.body.map(decoded) }
    default:
      return node
  }
}

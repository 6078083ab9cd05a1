import { walk } from '../template/parseTemplate.js'
import { decodeEntities } from '../template/subjectAndPreheader.js'
import type { TemplateNode } from '../template/tree.js'
import type { HtmlToText } from '../text/htmlToText.js'
import { LAYOUT } from '../text/layoutMarks.js'
import { type AdaptNode, assemble } from './assemble.js'
import type { Placeholders } from './placeholders.js'

/**
 * Returns the nodes of the text part, or undefined if only the bound HTML shows what is part of the text.
 * @param html the output of MJML with placeholders
 */
export function assembleText(
  html: string,
  placeholders: Placeholders,
  toText: HtmlToText,
): TemplateNode[] | undefined {
  if (visibilityIsBound(html, placeholders.pattern)) return undefined
  const assembled = assemble(toText(html), placeholders, adaptTextNode)
  if ('reason' in assembled || hasRawPreformatted(assembled.nodes)) return undefined
  for (const node of walk(assembled.nodes))
    if (node.kind === 'attribute' && node.checks.content) return undefined
  return assembled.nodes
}

const TAG = /<[a-z][^>]*>/gi
const STYLE = /\sstyle\s*=\s*(?:"([^"]*)"|'([^']*)')/i
const HIDING_PROPERTY = /^\s*(?:display|visibility|max-height)\s*$/i

/** Whether the data decides if an element is visible. */
function visibilityIsBound(html: string, pattern: RegExp): boolean {
  for (const [tag] of html.matchAll(TAG)) {
    if (tag.search(pattern) < 0) continue
    const isDivided = [...tag.matchAll(pattern)].some(([, , part]) => part !== 'v')
    if (isDivided && /\shidden|\sstyle/i.test(tag)) return true
    const style = STYLE.exec(tag)
    for (const declaration of (style?.[1] ?? style?.[2] ?? '').split(';')) {
      if (declaration.search(pattern) < 0) continue
      const [property = ''] = declaration.split(':')
      if (property === declaration || property.search(pattern) >= 0 || HIDING_PROPERTY.test(property))
        return true
    }
  }
  return false
}

/** Whether HTML from the data may be inside a preformatted element, where its white space counts. */
function hasRawPreformatted(nodes: readonly TemplateNode[]): boolean {
  let inside = false
  for (const node of walk(nodes))
    if (node.kind === 'text') {
      const start = node.text.lastIndexOf(LAYOUT.preformatted)
      const end = node.text.lastIndexOf(LAYOUT.preformattedEnd)
      if (start !== end) inside = start > end
    } else if (inside && node.kind === 'value' && (node.raw || node.expression.kind === 'call')) return true
  return false
}

/** For the text part, which is not HTML: decodes the character references in the fixed text of an attribute value. */
const adaptTextNode: AdaptNode = (node) => {
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

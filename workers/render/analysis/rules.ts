import type { Finding } from '../precompiled/compiledTemplate.js'
import { walk } from '../template/parseTemplate.js'
import type { AttributeNode, BlockNode, TemplateNode } from '../template/tree.js'
import { isColorAttribute, isCopied, ALLOWS_BLOCKS, mayBeEmpty } from './components.js'
import type { BlockStructure, Position, Annotations } from './structure.js'

/** What the selectors of `mj-style inline="inline"` look at: MJML applies them to the finished document. */
interface InlineStyles {
  /** Names of attributes in selectors such as `[href]`. */
  asksFor: ReadonlySet<string>
  /** `:first-child`, `a + b`: which elements are there, and in which order. */
  asksForOrder: boolean
}

/** Attributes of HTML in which MJML puts those of its components. */
const CARRIERS = ['style', 'class', 'bgcolor', 'align', 'valign', 'width', 'height', 'border', 'background']

/** Whether the styles may apply otherwise when an attribute has another value. */
function stylesDependOn({ asksFor }: InlineStyles, attribute: string, component: boolean): boolean {
  const name = attribute.toLowerCase()
  if (name === 'css-class' || asksFor.has(name)) return true
  if (component) return CARRIERS.some((carrier) => asksFor.has(carrier))
  return name === 'class' || name === 'id' || name === 'style'
}

const INLINE = /<mj-style\b[^>]*\binline\s*=\s*["']inline["'][^>]*>([\s\S]*?)(?:<\/mj-style|$)/g

/** The inline styles of a template, if it has any. */
export function findInlineStyles(nodes: readonly TemplateNode[]): InlineStyles | undefined {
  let text = ''
  for (const node of walk(nodes)) if (node.kind === 'text') text += node.text
  const sheets = [...text.matchAll(INLINE)].map(([, css = '']) => css)
  if (sheets.length === 0) return undefined
  const selectors = sheets
    .map((css) => css.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\{[^}]*\}/g, '{}'))
    .join('\n')
  const asksFor = new Set(
    [...selectors.matchAll(/\[\s*([\w-]+)/g)].map(([, name = '']) => name.toLowerCase()),
  )
  return { asksFor, asksForOrder: /[:+~]/.test(selectors.replace(/\[[^\]]*\]/g, '')) }
}

/** `mj-html-attributes` makes MJML read and write the whole body again. */
export function rewritesBody(nodes: readonly TemplateNode[]): boolean {
  for (const node of walk(nodes))
    if (node.kind === 'text' && node.text.includes('<mj-html-attributes')) return true
  return false
}

/** What is known to be unsound by where it stands. What this lets pass is still tried out. */
export function applyRules(positions: Annotations, styles: InlineStyles | undefined): Finding[] {
  const findings: Finding[] = []
  for (const [node, position] of positions.values) findings.push(...checkValue(node, position, styles))
  for (const [node, position] of positions.attributes)
    findings.push(...checkAttribute(node, position, styles))
  for (const [node, facts] of positions.blocks) findings.push(...checkBlock(node, facts, styles))
  return findings
}

function finding(node: TemplateNode, reason: string, advice: string): Finding[] {
  const expression = 'source' in node ? node.source : node.kind === 'attribute' ? sourceOf(node) : ''
  return [{ at: node.at, expression, reason, advice }]
}

function sourceOf(node: AttributeNode): string {
  return node.value
    .map((part) => (part.kind === 'text' ? part.text : 'source' in part ? part.source : ''))
    .join('')
}

function checkValue(node: TemplateNode, position: Position, styles: InlineStyles | undefined): Finding[] {
  if (node.kind === 'partial')
    return node.name.kind === 'literal'
      ? finding(
          node,
          'this partial calls itself: how often shows only with the data',
          'repeat with {{#each}}; a partial that calls itself must stop where the data ends, within {{#if}} or {{#each}}',
        )
      : finding(
          node,
          'which partial it is shows only with the data',
          'name the partial, or choose with {{#if}}',
        )
  switch (position.at) {
    case 'between':
      return finding(node, 'MJML drops text between components', 'put it inside mj-text or mj-raw')
    case 'tag':
      return finding(
        node,
        `it stands in the tag <${position.tag}>, outside a quoted value`,
        'quote the attribute value',
      )
    case 'content':
      if (position.component === 'mj-breakpoint')
        return finding(node, 'MJML computes with it', 'write the width out')
      if (position.component === 'mj-style' && styles !== undefined)
        return finding(
          node,
          'it may belong to styles that are applied to elements',
          'bind it in an mj-style that is not inline, or in an attribute',
        )
      if (styles !== undefined && node.kind === 'value' && node.inside === 'tag')
        return finding(node, 'inline styles are applied to what its tag says', 'quote the attribute value')
      return []
    default:
      return []
  }
}

/** MJML puts the title into an attribute as well, where markup ends what it stands in. */
function checkContent(node: AttributeNode, component: string): Finding[] {
  const markup = [...walk(node.value)].some((part) => part.kind === 'text' && part.text.includes('<'))
  if (component !== 'mj-title' || !markup) return []
  return finding(
    node,
    'the title holds markup, and MJML repeats it in an attribute',
    'write the title as plain text',
  )
}

function checkAttribute(
  node: AttributeNode,
  position: Position,
  styles: InlineStyles | undefined,
): Finding[] {
  if (position.at === 'whole content') return checkContent(node, position.component)
  if (position.at !== 'attribute') return []
  const { attribute, tag } = position
  if (!position.component) {
    if (styles === undefined) return []
    if (stylesDependOn(styles, attribute, false))
      return finding(
        node,
        `inline styles depend on the attribute ${attribute}`,
        'use mj-style without inline="inline"',
      )
    // Reading and writing the document again turns an empty value into none.
    node.checks.present = true
    return []
  }
  if (!isCopied(tag, attribute))
    return finding(
      node,
      `MJML computes with ${attribute} of ${tag}`,
      `write ${attribute} out, or choose between two blocks with {{#if}}`,
    )
  if (styles !== undefined && stylesDependOn(styles, attribute, true))
    return finding(node, `inline styles depend on ${attribute}`, 'use mj-style without inline="inline"')
  if (styles !== undefined || !mayBeEmpty(attribute)) node.checks.present = true
  node.checks.copied = true
  if (isColorAttribute(attribute)) node.checks.color = true
  if (styles !== undefined) node.checks.plain = true
  return []
}

function checkBlock(node: BlockNode, facts: BlockStructure, styles: InlineStyles | undefined): Finding[] {
  if (!facts.balanced)
    return finding(
      node,
      'it opens or closes an element that it does not close or open',
      'close in a block what was opened in it',
    )
  if (styles?.asksForOrder)
    return finding(
      node,
      'inline styles depend on which elements are there',
      'use mj-style without inline="inline"',
    )
  if (facts.around === undefined) {
    if (facts.position.at === 'tag')
      return finding(
        node,
        'it stands in the tag of a component',
        'put it inside the quoted value of an attribute',
      )
    return checkContentBlock(node, facts.position, styles)
  }
  if (!ALLOWS_BLOCKS.has(facts.around))
    return finding(
      node,
      `MJML reads all that stands in ${facts.around === '' ? 'the document' : facts.around} at once`,
      `put the block inside the content of a component`,
    )
  if (changesWidths(node, facts))
    return finding(
      node,
      'MJML computes widths from the number of columns',
      'give every column beside it a width, or put the block inside the columns',
    )
  if (node.type === 'call')
    return finding(
      node,
      'the helper is given components, and may change them',
      'use {{#if}} or {{#each}} around components',
    )
  return []
}

/** Widths follow from the number of columns, unless all have one, or there is a single column that shows or not. */
function changesWidths({ type }: BlockNode, { columns }: BlockStructure): boolean {
  if (columns === undefined || columns.inside === 0 || columns.all.withoutWidth === 0) return false
  return columns.all.count > 1 || (type !== 'if' && type !== 'unless')
}

function checkContentBlock(node: BlockNode, position: Position, styles: InlineStyles | undefined): Finding[] {
  if (position.at !== 'content') return []
  if (position.component === 'mj-breakpoint')
    return finding(node, 'MJML computes with it', 'write the width out')
  if (position.component === 'mj-style' && styles !== undefined)
    return finding(
      node,
      'it may belong to styles that are applied to elements',
      'use mj-style without inline="inline"',
    )
  return []
}

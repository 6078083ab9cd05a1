import type { Finding } from '../precompiled/compiledTemplate.js'
import { walk } from '../template/parseTemplate.js'
import type { AttributeNode, BlockNode, TemplateNode } from '../template/tree.js'
import { isColorAttribute, isCopied, ALLOWS_BLOCKS, mayBeEmpty } from './components.js'
import type { BlockStructure, Position, Annotations } from './structure.js'

/** The dependencies of the selectors in `mj-style inline="inline"`. MJML applies them to the finished document. */
interface InlineStyles {
  /** Names of attributes in selectors such as `[href]`. */
  attributes: ReadonlySet<string>
  /** Whether a selector such as `:first-child` or `a + b` depends on the existence and order of elements. */
  dependsOnOrder: boolean
}

/** HTML attributes that MJML generates from the attributes of its components. */
const GENERATED_ATTRIBUTES = [
  'style',
  'class',
  'bgcolor',
  'align',
  'valign',
  'width',
  'height',
  'border',
  'background',
]

/** Whether the styles may apply differently if the attribute has another value. */
function stylesDependOn({ attributes }: InlineStyles, attribute: string, component: boolean): boolean {
  const name = attribute.toLowerCase()
  if (name === 'css-class' || attributes.has(name)) return true
  if (component) return GENERATED_ATTRIBUTES.some((carrier) => attributes.has(carrier))
  return name === 'class' || name === 'id' || name === 'style'
}

const INLINE = /<mj-style\b[^>]*\binline\s*=\s*["']inline["'][^>]*>([\s\S]*?)(?:<\/mj-style|$)/g

/** Returns the dependencies of the inline styles of a template, or undefined if it has none. */
export function findInlineStyles(nodes: readonly TemplateNode[]): InlineStyles | undefined {
  let text = ''
  for (const node of walk(nodes)) if (node.kind === 'text') text += node.text
  const sheets = [...text.matchAll(INLINE)].map(([, css = '']) => css)
  if (sheets.length === 0) return undefined
  const selectors = sheets
    .map((css) => css.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\{[^}]*\}/g, '{}'))
    .join('\n')
  const attributes = new Set(
    [...selectors.matchAll(/\[\s*([\w-]+)/g)].map(([, name = '']) => name.toLowerCase()),
  )
  return { attributes, dependsOnOrder: /[:+~]/.test(selectors.replace(/\[[^\]]*\]/g, '')) }
}

/** Whether the template has `mj-html-attributes`, which makes MJML parse and write the whole body again. */
export function rewritesBody(nodes: readonly TemplateNode[]): boolean {
  for (const node of walk(nodes))
    if (node.kind === 'text' && node.text.includes('<mj-html-attributes')) return true
  return false
}

/** Returns findings for expressions that can't be bound after MJML because of their position. The compiler verifies the rest. */
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
          'this partial calls itself, and only the data decides how often',
          'repeat with {{#each}}; a partial that calls itself must do so within {{#if}} or {{#each}}, so that it ends with the data',
        )
      : finding(
          node,
          'only the data decides which partial this is',
          'use a fixed name, or choose with {{#if}}',
        )
  switch (position.at) {
    case 'between':
      return finding(node, 'MJML drops text between components', 'put it inside mj-text or mj-raw')
    case 'tag':
      return finding(
        node,
        `it is in the tag <${position.tag}>, outside a quoted value`,
        'quote the attribute value',
      )
    case 'content':
      if (position.component === 'mj-breakpoint')
        return finding(node, 'MJML uses it in a computation', 'use a fixed width')
      if (position.component === 'mj-style' && styles !== undefined)
        return finding(
          node,
          'it may be part of styles that MJML inlines',
          'use it in an mj-style without inline="inline", or in an attribute',
        )
      if (styles !== undefined && node.kind === 'value' && node.inside === 'tag')
        return finding(node, 'inline styles depend on its tag', 'quote the attribute value')
      return []
    default:
      return []
  }
}

/** MJML also copies the title into an attribute, which markup in it would end. */
function checkContent(node: AttributeNode, component: string): Finding[] {
  const markup = [...walk(node.value)].some((part) => part.kind === 'text' && part.text.includes('<'))
  if (component !== 'mj-title' || !markup) return []
  return finding(
    node,
    'the title contains markup, and MJML copies it into an attribute',
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
    // Inlining styles parses and writes the document again, which drops an empty value.
    node.checks.present = true
    return []
  }
  if (!isCopied(tag, attribute))
    return finding(
      node,
      `MJML uses ${attribute} of ${tag} in a computation`,
      `use a fixed ${attribute}, or choose between two fixed values with {{#if}} around the component`,
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
      'it opens an element without closing it, or closes one without opening it',
      'open and close each element in the same block',
    )
  if (styles?.dependsOnOrder)
    return finding(
      node,
      'inline styles depend on which elements exist',
      'use mj-style without inline="inline"',
    )
  if (facts.around === undefined) {
    if (facts.position.at === 'tag')
      return finding(
        node,
        'it is in the tag of a component',
        'put it inside the quoted value of an attribute',
      )
    return checkContentBlock(node, facts.position, styles)
  }
  if (!ALLOWS_BLOCKS.has(facts.around))
    return finding(
      node,
      `MJML processes all children of ${facts.around === '' ? 'the document' : facts.around} together`,
      `put the block inside the content of a component`,
    )
  if (changesWidths(node, facts))
    return finding(
      node,
      'MJML computes widths from the number of columns',
      'give every column next to it a width, or put the block inside the columns',
    )
  if (node.type === 'call')
    return finding(
      node,
      'the helper receives components and may change them',
      'use {{#if}} or {{#each}} around components',
    )
  return []
}

/** MJML computes widths from the number of columns, unless all columns have one, or a single column is shown or hidden. */
function changesWidths({ type }: BlockNode, { columns }: BlockStructure): boolean {
  if (columns === undefined || columns.inside === 0 || columns.all.withoutWidth === 0) return false
  return columns.all.count > 1 || (type !== 'if' && type !== 'unless')
}

function checkContentBlock(node: BlockNode, position: Position, styles: InlineStyles | undefined): Finding[] {
  if (position.at !== 'content') return []
  if (position.component === 'mj-breakpoint')
    return finding(node, 'MJML uses it in a computation', 'use a fixed width')
  if (position.component === 'mj-style' && styles !== undefined)
    return finding(node, 'it may be part of styles that MJML inlines', 'use mj-style without inline="inline"')
  return []
}

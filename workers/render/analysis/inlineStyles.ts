import { walk } from '../template/parseTemplate.js'
import type { TemplateNode } from '../template/tree.js'

/** What the selectors of `mj-style inline="inline"` look at: MJML applies them to the finished document. */
export interface InlineStyles {
  /** Names of attributes in selectors such as `[href]`. */
  asksFor: ReadonlySet<string>
  /** `:first-child`, `a + b`: which elements are there, and in which order. */
  asksForOrder: boolean
}

/** Attributes of HTML in which MJML puts those of its components. */
const CARRIERS = ['style', 'class', 'bgcolor', 'align', 'valign', 'width', 'height', 'border', 'background']

/** Whether the styles may apply otherwise when an attribute has another value. */
export function dependOn({ asksFor }: InlineStyles, attribute: string, component: boolean): boolean {
  const name = attribute.toLowerCase()
  if (name === 'css-class' || asksFor.has(name)) return true
  if (component) return CARRIERS.some((carrier) => asksFor.has(carrier))
  return name === 'class' || name === 'id' || name === 'style'
}

const INLINE = /<mj-style\b[^>]*\binline\s*=\s*["']inline["'][^>]*>([\s\S]*?)(?:<\/mj-style|$)/g

/** The inline styles of a template, if it has any. */
export function inlineStylesOf(nodes: readonly TemplateNode[]): InlineStyles | undefined {
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

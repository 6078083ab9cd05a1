import type { TemplateNode } from '../template/tree.js'
import { walk } from '../template/trees.js'

/** What the selectors of `mj-style inline="inline"` look at: MJML applies them to the finished document. */
export interface InlineStyles {
  /** `[href]`: attributes other than class, id and style. */
  asksForAttributes: boolean
  /** `:first-child`, `a + b`: which elements are there, and in which order. */
  asksForOrder: boolean
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
  return { asksForAttributes: selectors.includes('['), asksForOrder: /[:+~]/.test(selectors) }
}

/** `mj-html-attributes` makes MJML read and write the whole body again. */
export function rewritesBody(nodes: readonly TemplateNode[]): boolean {
  for (const node of walk(nodes))
    if (node.kind === 'text' && node.text.includes('<mj-html-attributes')) return true
  return false
}

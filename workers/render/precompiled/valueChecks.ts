import { NeedsPerMessageRendering } from '../bind/bindingRun.js'
import { escapeHtml, rejectMjml, rejectScheme } from '../bind/values.js'
import type { AttributeChecks, AttributeNode, EdgeCheck, ValueNode } from '../template/tree.js'

/**
 * Checks that the output equals that of rendering per message. MJML inspects some of the values that it copies. A value
 * that it would treat specially makes this one message render with MJML.
 */
export interface CheckContext {
  /** Matches text that MJML would react to: a font that is not linked yet. */
  suspect: RegExp
  /** With inline styles, MJML reads the finished document, so raw values must not contain tags. */
  readsDocument: boolean
  /** Schemes that bound URLs may have. */
  urlSchemes: readonly string[]
}

/** MJML links a font if its name appears near `font-family`, whatever its origin. */
export function unlinkedFontPattern(html: string, fonts: Iterable<string>): RegExp {
  const head = html.slice(0, html.indexOf('</head>'))
  const unlinked = [...fonts].filter((font) => !linksFont(head, font))
  return new RegExp(['font-family', ...unlinked.map(escapeRegExp)].join('|'), 'i')
}

function linksFont(head: string, font: string): boolean {
  return head.includes(`<link href="`) && head.includes(font.replaceAll(' ', '+'))
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

export function checkedEscape({
  suspect,
  urlSchemes,
}: CheckContext): (text: string, node: ValueNode) => string {
  return (text, node) => {
    if (node.edge) checkEdges(text, node.edge)
    if (node.loose) rejectScheme(text, node, urlSchemes)
    if (suspect.test(text)) throw new NeedsPerMessageRendering('a value names a font')
    return escapeHtml(text)
  }
}

const EDGE_SPACE = /^\s|\s$|^$/
const UNUSUAL_EDGE_SPACE = /^[ \t\n\r\f]*[^\S \t\n\r\f]|[^\S \t\n\r\f][ \t\n\r\f]*$/

function checkEdges(text: string, check: EdgeCheck): void {
  if ((check === 'unusual' ? UNUSUAL_EDGE_SPACE : EDGE_SPACE).test(text))
    throw new NeedsPerMessageRendering('MJML trims this value')
}

/** A raw value must be complete in itself: every tag and quote closed, no comments, no element that swallows the HTML after it. */
export function checkedRaw(context: CheckContext): (html: string, node: ValueNode) => string {
  return (html, node) => {
    rejectMjml(html, node.at)
    if (node.loose) rejectScheme(html, node, context.urlSchemes)
    if (context.suspect.test(html)) throw new NeedsPerMessageRendering('a raw value names a font')
    if (node.edge) checkEdges(html, node.edge)
    if (node.inside !== 'text') {
      if (/[<>"'`]|--|\]\]/.test(html))
        throw new NeedsPerMessageRendering('a raw value ends the tag around it')
      return html
    }
    if (!html.includes('<')) return html
    if (context.readsDocument) throw new NeedsPerMessageRendering('inline styles apply to a raw value')
    if (!isWhole(html)) throw new NeedsPerMessageRendering('a raw value is not whole HTML')
    return html
  }
}

const TAG =
  /<(?:\/?[a-z][^\s"'<>/]*(?:\s+[^\s"'<>=/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+))?)*\s*\/?>)/giy
const SWALLOWS =
  /<\/?(?:script|style|title|textarea|xmp|plaintext|iframe|noembed|noframes|svg|math|html|body|head)\b/i

function isWhole(html: string): boolean {
  if (SWALLOWS.test(html)) return false
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at)) {
    TAG.lastIndex = at
    const tag = TAG.exec(html)
    if (tag === null) return false
    at += tag[0].length
  }
  return true
}

const SPECIAL_WORDS = new Set(['', 'true', 'false', 'none'])
const SHORT_COLOR = /^#(\w)(\w)(\w)$/
const PLAIN = /^[\w#.,%/:?&;@+ -]*$/

/** Returns an attribute value as MJML would write it. @throws NeedsPerMessageRendering if only MJML can tell */
export function checkedAttribute(value: string, node: AttributeNode): string {
  const { checks } = node
  if (checks.content) return checkedContent(value.trim(), checks)
  if (/["<>]/.test(value)) throw new NeedsPerMessageRendering('a raw value ends the attribute around it')
  if (checks.present && SPECIAL_WORDS.has(value.trim()))
    throw new NeedsPerMessageRendering('MJML tests this value')
  if (checks.copied && value.includes('$'))
    throw new NeedsPerMessageRendering('MJML interprets a $ in this value')
  if (checks.plain && !PLAIN.test(value)) throw new NeedsPerMessageRendering('inline styles read this value')
  if (checks.tidy && /\s\s|[^\S ]|^\s|\s$/.test(value))
    throw new NeedsPerMessageRendering('MJML collapses white space here')
  if (checks.color) return value.replace(SHORT_COLOR, '#$1$1$2$2$3$3')
  if (checks.suffix !== undefined)
    return value
      .split(' ')
      .map((name) => `${name}${checks.suffix ?? ''}`)
      .join(' ')
  return value
}

function checkedContent(content: string, { present, quotes }: AttributeChecks): string {
  if (!quotes && content.includes('"'))
    throw new NeedsPerMessageRendering('MJML copies this value into quotes')
  if (present && content === '') throw new NeedsPerMessageRendering('MJML tests this content')
  return content
}

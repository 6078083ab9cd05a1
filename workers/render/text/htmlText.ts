import type { FormatCallback } from 'html-to-text'
import { whileLoading } from '../../heartbeat.js'
import { OP, withoutMarks } from './layout.js'

/** HTML to text that still holds its layout marks: see {@link layOut}. */
export type HtmlText = (html: string) => string

/** Elements nested deeper than any mail's become an ellipsis: the conversion calls itself for each level. */
const MAX_DEPTH = 500

let loaded: Promise<HtmlText> | undefined

/** The one door to html-to-text. */
export function loadHtmlText(): Promise<HtmlText> {
  loaded ??= whileLoading(() => import('html-to-text')).then(({ compile }) => {
    const convert = compile({
      wordwrap: false,
      limits: { maxInputLength: 1 << 26, maxDepth: MAX_DEPTH },
      formatters,
      selectors: [
        { selector: '*', format: 'inline' },
        ...[
          'head',
          'style',
          'script',
          'title',
          'template',
          'noscript',
          '[style^="display:none"]',
          '[aria-hidden="true"]',
        ].map((selector) => ({
          selector,
          format: 'skip',
        })),
        ...[
          'div',
          'section',
          'article',
          'header',
          'footer',
          'main',
          'nav',
          'aside',
          'form',
          'address',
          'dl',
          'dt',
          'dd',
          'figure',
          'figcaption',
          'center',
          'body',
          'table',
          'tbody',
          'thead',
          'tfoot',
          'caption',
        ].map((selector) => ({ selector, format: 'line' })),
        ...['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'pre'].map((selector) => ({
          selector,
          format: 'paragraph',
        })),
        { selector: 'tr', format: 'row' },
        { selector: 'td', format: 'cell' },
        { selector: 'th', format: 'cell' },
        { selector: 'ul', format: 'bullets' },
        { selector: 'ol', format: 'numbers' },
        { selector: 'li', format: 'item' },
        { selector: 'br', format: 'newline' },
        { selector: 'hr', format: 'rule' },
        { selector: 'a', format: 'link' },
        { selector: 'img', format: 'alt' },
      ],
    })
    return (html) => convert(withoutMarks(html))
  })
  return loaded
}

const around =
  (open: string, close: string): FormatCallback =>
  (element, walk, builder) => {
    builder.addLiteral(open)
    walk(element.children, builder)
    builder.addLiteral(close)
  }

const formatters: Record<string, FormatCallback> = {
  line: around(OP.line, OP.line),
  paragraph: around(OP.paragraph, OP.paragraph),
  row: around(OP.line, OP.line),
  cell: around('', OP.cell),
  bullets: around(OP.bullets, OP.listEnd),
  numbers: around(OP.numbers, OP.listEnd),
  item: around(OP.item, OP.line),
  newline: (_element, _walk, builder) => builder.addLiteral(OP.newline),
  rule: (_element, _walk, builder) => builder.addLiteral(OP.rule),
  link: (element, walk, builder) => {
    const href = (element.attribs as Record<string, string> | undefined)?.['href'] ?? ''
    if (href === '') return walk(element.children, builder)
    builder.addLiteral(OP.link)
    walk(element.children, builder)
    builder.addLiteral(OP.linkTo)
    builder.addLiteral(href)
    builder.addLiteral(OP.linkEnd)
  },
  alt: (element, _walk, builder) => {
    const alt = (element.attribs as Record<string, string> | undefined)?.['alt'] ?? ''
    if (alt !== '') builder.addInline(alt, {})
  },
}

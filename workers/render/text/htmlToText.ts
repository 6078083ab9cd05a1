import type { FormatCallback } from 'html-to-text'
import { whileLoading } from '../../heartbeat.js'
import { LAYOUT, stripLayoutMarks } from './layout.js'

/** Converts HTML to text with layout marks: see {@link layOutText}. */
export type HtmlToText = (html: string) => string

/** Elements nested deeper than this become an ellipsis, because the conversion is recursive. */
const MAX_DEPTH = 500

let loaded: Promise<HtmlToText> | undefined

/** Loads html-to-text. This is its only importer. */
export function loadHtmlToText(): Promise<HtmlToText> {
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
    return (html) => convert(stripLayoutMarks(html))
  })
  return loaded
}

const surround =
  (open: string, close: string): FormatCallback =>
  (element, walk, builder) => {
    builder.addLiteral(open)
    walk(element.children, builder)
    builder.addLiteral(close)
  }

const formatters: Record<string, FormatCallback> = {
  line: surround(LAYOUT.line, LAYOUT.line),
  paragraph: surround(LAYOUT.paragraph, LAYOUT.paragraph),
  row: surround(LAYOUT.line, LAYOUT.line),
  cell: surround('', LAYOUT.cell),
  bullets: surround(LAYOUT.bullets, LAYOUT.listEnd),
  numbers: surround(LAYOUT.numbers, LAYOUT.listEnd),
  item: surround(LAYOUT.item, LAYOUT.line),
  newline: (_element, _walk, builder) => builder.addLiteral(LAYOUT.newline),
  rule: (_element, _walk, builder) => builder.addLiteral(LAYOUT.rule),
  link: (element, walk, builder) => {
    const href = (element.attribs as Record<string, string> | undefined)?.['href'] ?? ''
    if (href === '') return walk(element.children, builder)
    builder.addLiteral(LAYOUT.link)
    walk(element.children, builder)
    builder.addLiteral(LAYOUT.linkTo)
    builder.addLiteral(href)
    builder.addLiteral(LAYOUT.linkEnd)
  },
  alt: (element, _walk, builder) => {
    const alt = (element.attribs as Record<string, string> | undefined)?.['alt'] ?? ''
    if (alt !== '') builder.addInline(alt, {})
  },
}

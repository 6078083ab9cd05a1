import type { FormatCallback } from 'html-to-text'
import { whileLoading } from '../../heartbeat.js'
import { LAYOUT, stripLayoutMarks } from './layoutMarks.js'
import { loadLimitNesting } from './limitNesting.js'

/** Converts HTML to text with layout marks: see {@link layOutText}. */
export type HtmlToText = (html: string) => string

/** Elements nested deeper than this become an ellipsis, because the conversion is recursive. */
const MAX_DEPTH = 500

/** html-to-text looks up the names of elements in an object, which has this name without being given it. */
const INHERITED_NAME = /<(\/?)constructor(?=[\s/>])/gi

let loaded: Promise<HtmlToText> | undefined

/** Loads html-to-text. This is its only importer. */
export function loadHtmlToText(): Promise<HtmlToText> {
  loaded ??= Promise.all([whileLoading(() => import('html-to-text')), loadLimitNesting()]).then(
    ([{ compile }, limitNesting]) => {
      const convert = compile({
        wordwrap: false,
        limits: { maxInputLength: 1 << 26, maxDepth: MAX_DEPTH },
        formatters,
        selectors: [
          { selector: '*', format: 'children' },
          ...['head', 'style', 'script', 'title', 'template', 'noscript', '[aria-hidden="true"]'].map(
            (selector) => ({
              selector,
              format: 'skip',
            }),
          ),
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
          ...['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote'].map((selector) => ({
            selector,
            format: 'paragraph',
          })),
          { selector: 'pre', format: 'preformatted' },
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
      return (html) => convert(limitNesting(stripLayoutMarks(html).replace(INHERITED_NAME, '<$1span')))
    },
  )
  return loaded
}

type Element = Parameters<FormatCallback>[0]

function attributeOf({ attribs }: Element, name: string): string | undefined {
  return (attribs as Record<string, string> | undefined)?.[name]
}

/** Whether mail clients show nothing of an element. */
function isHidden(element: Element): boolean {
  if (attributeOf(element, 'hidden') !== undefined) return true
  const style = attributeOf(element, 'style')
  return style !== undefined && HIDING.test(style)
}

/** A declaration that hides its element; nothing else may be between it and the semicolons around it. */
const HIDING =
  /(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|max-height\s*:\s*0[a-z%.0]*)\s*(?:!\s*important\s*)?(?:;|$)/i

function unlessHidden(format: FormatCallback): FormatCallback {
  return (element, walk, builder, options) => {
    if (!isHidden(element)) format(element, walk, builder, options)
  }
}

/** Replaces the white space in the texts of an element with marks, so that it survives the conversion. */
function keepSpace(element: Element): void {
  const open = [element]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.type === 'text')
      node.data = (node.data as string).replace(
        /\r\n?|[\n \t]/g,
        (space) => KEPT_SPACE[space] ?? LAYOUT.keptBreak,
      )
    for (const child of (node.children as Element[] | undefined) ?? []) open.push(child)
  }
}

const KEPT_SPACE: Record<string, string> = { ' ': LAYOUT.keptSpace, '\t': LAYOUT.keptTab }

const surround =
  (open: string, close: string): FormatCallback =>
  (element, walk, builder) => {
    builder.addLiteral(open)
    walk(element.children, builder)
    builder.addLiteral(close)
  }

const visible: Record<string, FormatCallback> = {
  children: surround('', ''),
  line: surround(LAYOUT.line, LAYOUT.line),
  paragraph: surround(LAYOUT.paragraph, LAYOUT.paragraph),
  row: surround(LAYOUT.line, LAYOUT.line),
  cell: surround('', LAYOUT.cell),
  bullets: surround(LAYOUT.bullets, LAYOUT.listEnd),
  numbers: (element, walk, builder) => {
    const start = attributeOf(element, 'start')
    if (start !== undefined) builder.addLiteral(LAYOUT.start + start)
    builder.addLiteral(LAYOUT.numbers)
    walk(element.children, builder)
    builder.addLiteral(LAYOUT.listEnd)
  },
  preformatted: (element, walk, builder) => {
    keepSpace(element)
    builder.addLiteral(LAYOUT.preformatted)
    walk(element.children, builder)
    builder.addLiteral(LAYOUT.preformattedEnd)
  },
  item: surround(LAYOUT.item, LAYOUT.line),
  newline: (_element, _walk, builder) => builder.addLiteral(LAYOUT.newline),
  rule: (_element, _walk, builder) => builder.addLiteral(LAYOUT.rule),
  link: (element, walk, builder) => {
    const href = attributeOf(element, 'href') ?? ''
    if (href === '') return walk(element.children, builder)
    builder.addLiteral(LAYOUT.link)
    walk(element.children, builder)
    builder.addLiteral(LAYOUT.linkTo)
    builder.addLiteral(href)
    builder.addLiteral(LAYOUT.linkEnd)
  },
  alt: (element, _walk, builder) => {
    const alt = attributeOf(element, 'alt') ?? ''
    if (alt !== '') builder.addInline(alt, {})
  },
}

const formatters: Record<string, FormatCallback> = Object.fromEntries(
  Object.entries(visible).map(([name, format]) => [name, unlessHidden(format)]),
)

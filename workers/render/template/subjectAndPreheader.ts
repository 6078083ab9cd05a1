import type { TemplateNode, TextNode } from './tree.js'

/** Marks the start of a title. Of several titles the last one counts, as in MJML. */
const TITLE_START = '\uFDD0'

/**
 * Returns the part of a template inside one element (`mj-title`, `mj-preview`), with the blocks around it. Text is
 * decoded, because a header of a mail is not HTML. The element contains text only: the next end tag is its own.
 * @param startTag its start tag, as a regular expression
 * @returns undefined if the template has no such element
 */
export function extractElement(nodes: readonly TemplateNode[], startTag: string): TemplateNode[] | undefined {
  const extractor = new ElementExtractor(startTag)
  const extracted = extractor.nodes(nodes)
  return extractor.found ? extracted : undefined
}

class ElementExtractor {
  found = false
  #inside = false
  readonly #open: RegExp
  #close = ''

  constructor(startTag: string) {
    this.#open = new RegExp(`<!--[\\s\\S]*?(?:-->|$)|${startTag}`, 'gi')
  }

  nodes(nodes: readonly TemplateNode[]): TemplateNode[] {
    return nodes.flatMap((node) => this.#extract(node))
  }

  #extract(node: TemplateNode): TemplateNode[] {
    switch (node.kind) {
      case 'text':
        return this.#text(node)
      case 'value':
      case 'partial':
        return this.#inside ? [node] : []
      case 'attribute':
        return this.#inside ? this.nodes(node.value) : []
      case 'anchor':
      case 'anchored':
      case 'scope': {
        const body = this.nodes(node.body)
        return body.length === 0 ? [] : [{ ...node, body }]
      }
      case 'block': {
        const before = this.#inside
        const body = this.nodes(node.body)
        const after = this.#inside
        this.#inside = before
        const inverse = this.nodes(node.inverse)
        if (inverse.length === 0) this.#inside = after
        return body.length + inverse.length === 0 ? [] : [{ ...node, body, inverse }]
      }
    }
  }

  #text(node: TextNode): TemplateNode[] {
    let out = ''
    let at = 0
    while (at < node.text.length) {
      if (this.#inside) {
        const end = node.text.indexOf(this.#close, at)
        out += decodeEntities(node.text.slice(at, end < 0 ? undefined : end))
        if (end < 0) break
        this.#inside = false
        at = end + this.#close.length
        continue
      }
      this.#open.lastIndex = at
      const open = this.#open.exec(node.text)
      if (open === null) break
      at = open.index + open[0].length
      if (open[0].startsWith('<!--') || open[0].endsWith('/>')) continue
      this.#inside = true
      this.#close = `</${/^<([\w-]+)/.exec(open[0])?.[1] ?? ''}`
      this.found = true
      out += TITLE_START
    }
    return out === '' ? [] : [{ ...node, text: out }]
  }
}

/** Maximum characters of a bound subject or preheader, the same as for the `subject` of a message. */
const MAX_LINE = 998
const LINE_BREAK = /[\r\n\u0085\u2028\u2029]/
const TABULATOR = /[\t\v\f]/g
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

/**
 * Returns one line, which a header can hold: line breaks, with the space around them, become one space, a tabulator becomes a
 * space, and every other control character is dropped. A line of more than 998 characters is cut and ends in an ellipsis.
 */
export function toOneLine(text: string): string {
  const last = text.slice(text.lastIndexOf(TITLE_START) + 1)
  const lines = last.split(LINE_BREAK).map((line) => line.trim())
  const line = lines.filter((each) => each !== '').join(' ')
  return truncate(line.replace(TABULATOR, ' ').replace(CONTROL, '').toWellFormed())
}

function truncate(line: string): string {
  if (line.length <= MAX_LINE) return line
  const cut = line.slice(0, MAX_LINE - 1)
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  euro: '€',
  pound: '£',
  zwnj: '\u200c',
  zwj: '\u200d',
  shy: '\u00ad',
}

/** Decodes the character references that are common in titles. Unknown ones stay unchanged. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(
    /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi,
    (all, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return NAMED[name] ?? all
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
      return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
        ? String.fromCodePoint(code)
        : all
    },
  )
}

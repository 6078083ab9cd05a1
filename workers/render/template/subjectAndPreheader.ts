import type { TemplateNode, TextNode } from './tree.js'

/** Stands where a title begins; of several titles the last one counts, as in MJML. */
const TITLE_START = '\uFDD0'

/**
 * The part of a template inside one element (`mj-title`, `mj-preview`), with the blocks around it. Text is decoded:
 * what a mail's header says is no HTML.
 * @returns nothing if the template has no such element.
 */
export function extractElement(nodes: readonly TemplateNode[], tag: string): TemplateNode[] | undefined {
  const projection = new Projection(tag)
  const projected = projection.nodes(nodes)
  return projection.found ? projected : undefined
}

class Projection {
  found = false
  #inside = false
  readonly #open: RegExp
  readonly #close: string

  constructor(tag: string) {
    this.#open = new RegExp(`<!--[\\s\\S]*?(?:-->|$)|<${tag}(?:\\s[^>]*)?>`, 'g')
    this.#close = `</${tag}`
  }

  nodes(nodes: readonly TemplateNode[]): TemplateNode[] {
    return nodes.flatMap((node) => this.#one(node))
  }

  #one(node: TemplateNode): TemplateNode[] {
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
      this.found = true
      out += TITLE_START
    }
    return out === '' ? [] : [{ ...node, text: out }]
  }
}

/** Characters of a bound subject or preheader, as of a subject that a mail brings along. */
const MAX_LINE = 998
const LINE_BREAK = /[\r\n\u0085\u2028\u2029]/

/**
 * Returns one line, which a header can hold: line breaks, with the space around them, become one space. A line of more
 * than 998 characters is cut and ends in an ellipsis.
 */
export function toOneLine(text: string): string {
  const last = text.slice(text.lastIndexOf(TITLE_START) + 1)
  const lines = last.split(LINE_BREAK).map((line) => line.trim())
  return shortened(lines.filter((line) => line !== '').join(' '))
}

function shortened(line: string): string {
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

/** The references people write in titles; what is not known stays as it is written. */
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

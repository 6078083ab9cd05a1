/**
 * Marks for the layout of a text part: noncharacters of Unicode, which no text may contain. The text is laid out after
 * the data is bound, because only then it is known which lines, items and links there are.
 */
export const OP = {
  line: '\uFDD1',
  paragraph: '\uFDD2',
  newline: '\uFDD3',
  cell: '\uFDD4',
  rule: '\uFDD5',
  bullets: '\uFDD6',
  numbers: '\uFDD7',
  item: '\uFDD8',
  listEnd: '\uFDD9',
  link: '\uFDDA',
  linkTo: '\uFDDB',
  linkEnd: '\uFDDC',
} as const

const MARK = /[\uFDD0-\uFDEF]/g
const SPLIT = /([\uFDD0-\uFDEF])/
const SPACES = /[\t\n\r\f\u200b]| {2}/
const RUN_OF_SPACES = /[ \t\n\r\f\u200b]+/g
const RULE = '-'.repeat(40)

/** Takes the marks out of a bound value, which so can't lay anything out. */
export function withoutMarks(text: string): string {
  return text.replace(MARK, '')
}

/** Follows the marks: lines and paragraphs collapse, cells are set apart, links show their address once. */
export function layOut(marked: string): string {
  const page = new Page()
  for (const part of marked.split(SPLIT)) page.take(part)
  return page.finish()
}

class Page {
  #text = ''
  /** Line breaks that stand before the next visible character. */
  #breaks = 0
  #space = ''
  /** Right after an item's sign: what it holds begins on the same line. */
  #atItem = false
  readonly #lists: { next?: number }[] = []
  /** Where the open link's own text begins, and its address once that is being read. */
  #link: { start: number; address?: string } | undefined

  take(part: string): void {
    switch (part) {
      case '':
        return
      case OP.line:
        return this.#break(1)
      case OP.paragraph:
        return this.#break(2)
      case OP.newline:
        this.#breaks = Math.min(3, this.#breaks + 1)
        return
      case OP.cell:
        this.#space = '  '
        return
      case OP.rule:
        this.#break(1)
        this.#write(RULE)
        return this.#break(1)
      case OP.bullets:
        this.#lists.push({})
        return this.#break(this.#lists.length === 1 ? 2 : 1)
      case OP.numbers:
        this.#lists.push({ next: 1 })
        return this.#break(this.#lists.length === 1 ? 2 : 1)
      case OP.item:
        return this.#item()
      case OP.listEnd:
        this.#lists.pop()
        return this.#break(this.#lists.length === 0 ? 2 : 1)
      case OP.link:
        this.#link = { start: -1 }
        return
      case OP.linkTo:
        this.#link = { start: this.#link?.start ?? -1, address: '' }
        return
      case OP.linkEnd:
        return this.#endLink()
      default:
        return this.#words(part)
    }
  }

  finish(): string {
    return this.#text === '' ? '' : `${this.#text}\n`
  }

  #break(lines: number): void {
    if (!this.#atItem) this.#breaks = Math.max(this.#breaks, lines)
  }

  #words(text: string): void {
    if (this.#link?.address !== undefined) {
      this.#link.address += text
      return
    }
    // A no-break space is no white space here: it stays where its author put it.
    const trimmed = text.replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, '')
    if (/^[ \t\r\n\f]/.test(text)) this.#space ||= ' '
    if (trimmed === '') return
    this.#write(SPACES.test(trimmed) ? trimmed.replace(RUN_OF_SPACES, ' ') : trimmed)
    if (/[ \t\r\n\f]$/.test(text)) this.#space = ' '
  }

  #write(text: string): void {
    if (this.#text === '') this.#breaks = 0
    else if (this.#breaks > 0) this.#text += '\n'.repeat(this.#breaks)
    else this.#text += this.#space
    if (this.#link?.start === -1) this.#link.start = this.#text.length
    this.#text += text
    this.#breaks = 0
    this.#space = ''
    this.#atItem = false
  }

  #item(): void {
    this.#atItem = false
    this.#break(1)
    const list = this.#lists.at(-1)
    const sign = list?.next === undefined ? '-' : `${list.next++}.`
    this.#write(`${'  '.repeat(Math.max(0, this.#lists.length - 1))}${sign}`)
    this.#space = ' '
    this.#atItem = true
  }

  #endLink(): void {
    const link = this.#link
    this.#link = undefined
    if (link?.address === undefined) return
    const address = link.address.trim()
    const label = link.start < 0 ? '' : this.#text.slice(link.start).trim()
    if (
      address === '' ||
      address.startsWith('#') ||
      label === address ||
      `mailto:${label}` === address ||
      `tel:${label}` === address
    )
      return
    if (label !== '') this.#space ||= ' '
    this.#write(label === '' ? address : `[${address}]`)
  }
}

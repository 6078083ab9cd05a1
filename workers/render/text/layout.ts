import type { Piece } from '../bind/bindingRun.js'

/**
 * Layout marks of a text part: Unicode noncharacters, which a text must not contain. The text is laid out after the data
 * is bound, because the lines, items and links depend on the data.
 */
export const LAYOUT = {
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

const MARK = /[\uFDD0-\uFDEF]/
const MARKS = /[\uFDD0-\uFDEF]/g
const SPLIT = /([\uFDD0-\uFDEF])/
const SPACES = /[\t\n\r\f\u200b]| {2}/
const RUN_OF_SPACES = /[ \t\n\r\f\u200b]+/g
const RULE = '-'.repeat(40)
/** Lists nested deeper than this are not indented further. */
const MAX_INDENT = 10
const BREAKS = ['', '\n', '\n\n', '\n\n\n']

/** Removes layout marks from a bound value, so that data can't affect the layout. */
export function stripLayoutMarks(text: string): string {
  return MARK.test(text) ? text.replace(MARKS, '') : text
}

/** The effect of a part of the text on the page. Computed once for parts that are the same for every message. */
export type LayoutStep = { breaks: 1 | 2 } | { mark: string } | Words

interface Words {
  /** Unchanged, for the address of a link. */
  whole: string
  /** Trimmed, with white space collapsed to single spaces. */
  text: string
  before: boolean
  after: boolean
}

/** Splits a text with layout marks into steps. Adjacent line and paragraph breaks become one. */
export function parseLayout(marked: string): LayoutStep[] {
  const steps: LayoutStep[] = []
  for (const part of marked.split(SPLIT)) {
    const step = stepOf(part)
    if (step === undefined) continue
    const last = steps.at(-1)
    if ('breaks' in step && last !== undefined && 'breaks' in last) {
      if (step.breaks > last.breaks) steps[steps.length - 1] = step
    } else steps.push(step)
  }
  return steps
}

function stepOf(part: string): LayoutStep | undefined {
  switch (part) {
    case '':
      return undefined
    case LAYOUT.line:
      return { breaks: 1 }
    case LAYOUT.paragraph:
      return { breaks: 2 }
    default:
      return MARK.test(part) ? { mark: part } : wordsOf(part)
  }
}

/** A no-break space does not count as white space: it stays in place. */
function wordsOf(whole: string): Words {
  const before = isSpace(whole.charCodeAt(0))
  const after = isSpace(whole.charCodeAt(whole.length - 1))
  const text = before || after ? withoutEdges(whole) : whole
  return { whole, text: SPACES.test(text) ? text.replace(RUN_OF_SPACES, ' ') : text, before, after }
}

function withoutEdges(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13 && code !== 11)
}

/** Lays out a text with layout marks: breaks collapse, cells are separated, and links show their address once. */
export function layOutText(marked: string): string {
  const page = new Page()
  page.follow(parseLayout(marked))
  return page.finish()
}

/** Like `layOutText`, for a row of values and constants. The steps of the constants are known. */
export function layOutPieces(row: readonly Piece[], steps: readonly (readonly LayoutStep[])[]): string {
  const page = new Page()
  for (const piece of row) {
    if (typeof piece === 'number') page.follow(steps[piece]!)
    else if (MARK.test(piece)) page.follow(parseLayout(piece))
    else if (piece !== '') page.words(wordsOf(piece))
  }
  return page.finish()
}

class Page {
  #text = ''
  /** Line breaks to write before the next visible character. */
  #breaks = 0
  #space = ''
  /** Right after the bullet of an item, whose content begins on the same line. */
  #atItem = false
  readonly #lists: { next?: number }[] = []
  /** The text of the open link, and its address once that is being read. */
  #link: { label: string; address?: string } | undefined

  follow(steps: readonly LayoutStep[]): void {
    for (const step of steps) {
      if ('breaks' in step) this.#break(step.breaks)
      else if ('mark' in step) this.#apply(step.mark)
      else this.words(step)
    }
  }

  #apply(mark: string): void {
    switch (mark) {
      case LAYOUT.newline:
        this.#breaks = Math.min(3, this.#breaks + 1)
        return
      case LAYOUT.cell:
        this.#space = '  '
        return
      case LAYOUT.rule:
        this.#break(1)
        this.#write(RULE)
        return this.#break(1)
      case LAYOUT.bullets:
        this.#lists.push({})
        return this.#break(this.#lists.length === 1 ? 2 : 1)
      case LAYOUT.numbers:
        this.#lists.push({ next: 1 })
        return this.#break(this.#lists.length === 1 ? 2 : 1)
      case LAYOUT.item:
        return this.#item()
      case LAYOUT.listEnd:
        this.#lists.pop()
        return this.#break(this.#lists.length === 0 ? 2 : 1)
      case LAYOUT.link:
        this.#link = { label: '' }
        return
      case LAYOUT.linkTo:
        this.#link = { label: this.#link?.label ?? '', address: '' }
        return
      case LAYOUT.linkEnd:
        return this.#endLink()
    }
  }

  finish(): string {
    return this.#text === '' ? '' : `${this.#text}\n`
  }

  #break(lines: number): void {
    if (!this.#atItem) this.#breaks = Math.max(this.#breaks, lines)
  }

  words({ whole, text, before, after }: Words): void {
    if (this.#link?.address !== undefined) {
      this.#link.address += whole
      return
    }
    if (before) this.#space ||= ' '
    if (text === '') return
    this.#write(text)
    if (after) this.#space = ' '
  }

  #write(text: string): void {
    const gap = this.#text === '' ? '' : this.#breaks > 0 ? BREAKS[this.#breaks]! : this.#space
    if (this.#link !== undefined) this.#link.label += this.#link.label === '' ? text : gap + text
    this.#text += gap === '' ? text : gap + text
    this.#breaks = 0
    this.#space = ''
    this.#atItem = false
  }

  #item(): void {
    this.#atItem = false
    this.#break(1)
    const list = this.#lists.at(-1)
    const bullet = list?.next === undefined ? '-' : `${list.next++}.`
    this.#write(`${'  '.repeat(Math.max(0, Math.min(this.#lists.length - 1, MAX_INDENT)))}${bullet}`)
    this.#space = ' '
    this.#atItem = true
  }

  #endLink(): void {
    const link = this.#link
    this.#link = undefined
    if (link?.address === undefined) return
    const address = link.address.trim()
    const label = link.label.trim()
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

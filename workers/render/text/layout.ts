import type { Piece } from '../bind/bindingRun.js'
import { LAYOUT, type LayoutStep, MARK, parseLayout, type Words, wordsOf } from './layoutMarks.js'

const RULE = '-'.repeat(40)
/** Lists nested deeper than this are not indented further. */
const MAX_INDENT = 10
const BREAKS = ['', '\n', '\n\n', '\n\n\n']

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

const KEPT: Record<string, string> = {
  [LAYOUT.keptBreak]: '\n',
  [LAYOUT.keptSpace]: ' ',
  [LAYOUT.keptTab]: '\t',
}

/** A link that is being read, or the last one while nothing follows it. */
interface Link {
  /** White space between the text before it and the link. */
  gap: string
  label: string
  address: string
}

class Page {
  #text = ''
  /** Line breaks to write before the next visible character. */
  #breaks = 0
  #space = ''
  /** Right after the bullet of an item, whose content begins on the same line. */
  #atItem = false
  readonly #lists: { next?: number }[] = []
  #link: Link | undefined
  /** The last link, until something else follows. A link with the same address right behind it doesn't repeat the address. */
  #done: Link | undefined
  /** Receives words that are not text: the address of a link, or the first number of a list. */
  #read: { of: 'address' | 'start'; words: string } | undefined
  /** White space inside preformatted text, until a word follows. */
  #kept: string | undefined

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
      case LAYOUT.start:
        this.#read = { of: 'start', words: '' }
        return
      case LAYOUT.numbers: {
        const start = Number.parseInt(this.#read?.words ?? '1', 10)
        this.#read = undefined
        this.#lists.push({ next: Number.isSafeInteger(start) ? start : 1 })
        return this.#break(this.#lists.length === 1 ? 2 : 1)
      }
      case LAYOUT.preformatted:
        this.#break(2)
        this.#kept = ''
        return
      case LAYOUT.preformattedEnd:
        this.#kept = undefined
        return this.#break(2)
      case LAYOUT.keptBreak:
      case LAYOUT.keptSpace:
      case LAYOUT.keptTab:
        return this.#keep(KEPT[mark]!)
      case LAYOUT.item:
        return this.#item()
      case LAYOUT.listEnd:
        this.#lists.pop()
        return this.#break(this.#lists.length === 0 ? 2 : 1)
      case LAYOUT.link:
        this.#endLink()
        this.#link = { gap: '', label: '', address: '' }
        return
      case LAYOUT.linkTo:
        this.#read = { of: 'address', words: '' }
        return
      case LAYOUT.linkEnd:
        return this.#endLink()
    }
  }

  finish(): string {
    this.#endLink()
    this.#commit()
    return this.#text === '' ? '' : `${this.#text}\n`
  }

  #break(lines: number): void {
    if (!this.#atItem) this.#breaks = Math.max(this.#breaks, lines)
  }

  words({ whole, text, before, after }: Words): void {
    if (this.#read !== undefined) {
      this.#read.words += whole
      return
    }
    if (this.#kept !== undefined) return this.#keep(whole)
    if (before) this.#space ||= ' '
    if (text === '') return
    this.#write(text)
    if (after) this.#space = ' '
  }

  /** Adds preformatted text, whose own white space remains. */
  #keep(text: string): void {
    const before = this.#kept ?? ''
    const words = text.trimEnd()
    if (words === '') this.#kept = before + text
    else {
      const kept = `${before}${text.slice(0, words.length)}`
      // A block begins and ends with its first and last word's line.
      const isFirst = this.#breaks > 0
      this.#kept = text.slice(words.length)
      this.#write(isFirst ? kept.slice(kept.lastIndexOf('\n', kept.search(/\S/)) + 1) : kept)
    }
  }

  #write(text: string): void {
    const isFirst = this.#text === '' && this.#done === undefined && !this.#link?.label
    const gap = isFirst ? '' : this.#breaks > 0 ? BREAKS[this.#breaks]! : this.#space
    if (this.#link === undefined) {
      this.#commit()
      this.#text += gap + text
    } else if (this.#link.label === '') {
      this.#link.gap = gap
      this.#link.label = text
    } else this.#link.label += gap + text
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
    if (link === undefined) return
    this.#link = undefined
    const address = this.#read?.words.trim() ?? ''
    this.#read = undefined
    const isShown = !(
      address === '' ||
      address.startsWith('#') ||
      link.label === address ||
      `mailto:${link.label}` === address ||
      `tel:${link.label}` === address
    )
    if (isShown) link.address = address
    if (link.label === '') {
      if (!isShown) return
      const isFirst = this.#text === '' && this.#done === undefined
      link.gap = isFirst ? '' : this.#breaks > 0 ? BREAKS[this.#breaks]! : this.#space
      this.#breaks = 0
      this.#space = ''
      this.#atItem = false
    }
    this.#add(link)
  }

  #add(link: Link): void {
    const last = this.#done
    if (last === undefined || last.address === '' || last.address !== link.address) {
      this.#commit()
      this.#done = link
    } else if (last.label === '') last.label = link.label
    else if (link.label !== '' && link.label !== last.label) last.label += link.gap + link.label
  }

  #commit(): void {
    if (this.#done === undefined) return
    const { gap, label, address } = this.#done
    this.#done = undefined
    this.#text += gap + label
    if (address !== '') this.#text += label === '' ? address : ` [${address}]`
  }
}

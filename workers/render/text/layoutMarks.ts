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
  /** The number of the first item follows, then `numbers`. */
  start: '\uFDDD',
  preformatted: '\uFDDE',
  preformattedEnd: '\uFDDF',
  keptBreak: '\uFDE0',
  keptSpace: '\uFDE1',
  keptTab: '\uFDE2',
} as const

export const MARK = /[\uFDD0-\uFDEF]/
const MARKS = /[\uFDD0-\uFDEF]/g
const SPLIT = /([\uFDD0-\uFDEF])/
const SPACES = /[\t\n\r\f\u200b]| {2}/
const RUN_OF_SPACES = /[ \t\n\r\f\u200b]+/g

/** Removes layout marks from a bound value, so that data can't affect the layout. */
export function stripLayoutMarks(text: string): string {
  return MARK.test(text) ? text.replace(MARKS, '') : text
}

/** The effect of a part of the text on the page. Computed once for parts that are the same for every message. */
export type LayoutStep = { breaks: 1 | 2 } | { mark: string } | Words

export interface Words {
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
export function wordsOf(whole: string): Words {
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

import { Tokenizer } from '../analysis/tokenizer.js'

/** Far beyond the depth at which the text ends: see MAX_DEPTH in htmlToText.ts. */
const MAX_NESTING = 2_000

/** Elements that end where one of these begins right inside them, even without an end tag. */
const IMPLIED_ENDS = new Map([
  ['p', ['p']],
  ['li', ['li']],
  ['dt', ['dt', 'dd']],
  ['dd', ['dt', 'dd']],
  ['tr', ['tr', 'td', 'th']],
  ['td', ['td', 'th']],
  ['th', ['th']],
  ['option', ['option']],
])

const VOID = new Set(
  'area base br col embed hr img input link meta param source track wbr basefont frame isindex keygen'.split(
    ' ',
  ),
)

/**
 * Removes the start tags of HTML that are nested too deep, and keeps their contents. The parser of html-to-text (htmlparser2) moves
 * all open elements whenever one begins or ends, which takes quadratic time.
 *
 * As far as the tokenizer finds the same tags as the parser, every element that is open there is open here, too: only the innermost element is closed, and only by a tag that closes it
 * for the parser as well. So a tag without its counterpart counts to the end, which is at worst a removal too many.
 */
export function limitNesting(html: string): string {
  if (!hasManyTags(html)) return html
  const open: string[] = []
  const kept: string[] = []
  let from = 0
  const tokenizer = new Tokenizer()
  tokenizer.feed(html, {
    open(name, _selfClosing, end, start) {
      const ends = IMPLIED_ENDS.get(name)
      while (ends?.includes(open.at(-1) ?? '')) open.pop()
      if (VOID.has(name)) return
      // A script without its start tag would be text.
      if (open.length < MAX_NESTING || tokenizer.mode === 'verbatim') return void open.push(name)
      kept.push(html.slice(from, start))
      from = end + 1
    },
    close(name) {
      if (open.at(-1) === name) open.pop()
    },
    valueStart() {},
    valueEnd() {},
    words() {},
  })
  return kept.join('') + html.slice(from)
}

function hasManyTags(html: string): boolean {
  let tags = 0
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at + 1))
    if (++tags > MAX_NESTING) return true
  return false
}

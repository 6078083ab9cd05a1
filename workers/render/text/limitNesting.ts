import { whileLoading } from '../../heartbeat.js'

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
/** Elements whose contents are not tags. Without its start tag, a script would be text. */
const VERBATIM = new Set(['script', 'style', 'title', 'textarea', 'xmp'])

const ignored = (): void => undefined

/**
 * Loads what removes the start tags of HTML that are nested too deep, and keeps their contents. The parser of html-to-text (htmlparser2)
 * moves all open elements whenever one begins or ends, which takes quadratic time.
 *
 * Its own tokenizer finds the tags. Every element that is open for the parser is open here, too: only the innermost element is closed,
 * and only by a tag that closes it for the parser as well. So a tag without its counterpart counts to the end, which is at worst a
 * removal too many.
 */
export async function loadLimitNesting(): Promise<(html: string) => string> {
  const { Tokenizer } = await whileLoading(() => import('htmlparser2'))
  return (html) => {
    if (!hasManyTags(html)) return html
    const open: string[] = []
    const kept: string[] = []
    let from = 0
    let start = 0
    let name = ''
    const element = (end: number, verbatim: boolean): void => {
      const ends = IMPLIED_ENDS.get(name)
      while (ends?.includes(open.at(-1) ?? '')) open.pop()
      if (VOID.has(name)) return
      if (open.length < MAX_NESTING || verbatim) return void open.push(name)
      kept.push(html.slice(from, start))
      from = end + 1
    }
    const tokenizer = new Tokenizer(
      { decodeEntities: false },
      {
        onopentagname(begins, ends) {
          start = begins - 1
          name = html.slice(begins, ends).toLowerCase()
        },
        onopentagend: (end) => element(end, VERBATIM.has(name)),
        onselfclosingtag: (end) => element(end, false),
        onclosetag(begins, ends) {
          if (open.at(-1) === html.slice(begins, ends).toLowerCase()) open.pop()
        },
        onattribname: ignored,
        onattribdata: ignored,
        onattribentity: ignored,
        onattribend: ignored,
        oncdata: ignored,
        oncomment: ignored,
        ondeclaration: ignored,
        onprocessinginstruction: ignored,
        ontext: ignored,
        ontextentity: ignored,
        onend: ignored,
      },
    )
    tokenizer.write(html)
    tokenizer.end()
    return kept.join('') + html.slice(from)
  }
}

function hasManyTags(html: string): boolean {
  let tags = 0
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at + 1))
    if (++tags > MAX_NESTING) return true
  return false
}

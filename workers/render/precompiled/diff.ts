/**
 * Whether two documents of MJML's say the same: after insignificant white space, adjacent conditionals for Outlook
 * and generated ids are made alike. The head may hold CSS that only absent blocks would have needed.
 * @returns where they part, or nothing.
 */
export function diff(first: string, late: string): { first: string; late: string } | undefined {
  const [firstHead, firstBody] = splitHead(likeEachOther(first))
  const [lateHead, lateBody] = splitHead(likeEachOther(late))
  if (firstBody !== lateBody) return around(firstBody, lateBody)
  return headDifference(headLines(firstHead), headLines(lateHead))
}

const INLINE =
  'a|abbr|b|big|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|u|var'
/** Space beside a tag that breaks the line anyway. */
const AROUND_BLOCKS = new RegExp(`\\s*(<(?!/?(?:${INLINE})[\\s/>])[^>]*>)\\s*`, 'gi')

function likeEachOther(html: string): string {
  return renumberIds(html)
    .replace(/<!\[endif\]-->\s*<!--\[if mso \| IE\]>/g, '')
    .replace(/\s+/g, ' ')
    .replace(AROUND_BLOCKS, '$1')
}

/** The ids of navigation bars and carousels are random. */
function renumberIds(html: string): string {
  const numbers = new Map<string, number>()
  return html.replace(/\b[0-9a-f]{16}\b/g, (id) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size)
    return `id${numbers.get(id) ?? 0}`
  })
}

function splitHead(html: string): [head: string, body: string] {
  const end = html.indexOf('</head>')
  return end < 0 ? ['', html] : [html.slice(0, end), html.slice(end)]
}

/** Rules and elements of a head; a rule for several classes counts once for each. */
function headLines(head: string): string[] {
  return head
    .replace(/([^{}>]+)\{([^{}]*)\}/g, (_, selectors: string, rule: string) =>
      selectors
        .split(',')
        .map((selector) => `\n${selector.trim()} {${rule.trim()}}\n`)
        .join(''),
    )
    .replace(/(<[^>]*>|@import[^;]*;)/g, '\n$1\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** Everything binding first has must be there; what is more must be CSS, or what it comes in. */
function headDifference(
  first: readonly string[],
  late: readonly string[],
): { first: string; late: string } | undefined {
  const there = new Set(late)
  const absent = first.find((line) => !there.has(line))
  if (absent !== undefined) return { first: absent, late: '' }
  const known = new Set(first)
  const more = late.find(
    (line) => !known.has(line) && !/\{.*\}$|^@|^<\/?(?:style|link)\b|^<!|^\}$|\{$|^-->/.test(line),
  )
  return more === undefined ? undefined : { first: '', late: more }
}

function around(first: string, late: string): { first: string; late: string } {
  let at = 0
  while (at < first.length && first[at] === late[at]) at++
  const from = Math.max(0, at - 60)
  return { first: first.slice(from, at + 120), late: late.slice(from, at + 120) }
}

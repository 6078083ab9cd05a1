import type { MailContents } from '../web/parseMime.js'

export interface MailLink {
  url: string
  /** What a reader sees of it; the URL itself in a mail without HTML. */
  text: string
}

/** Bytes of HTML, or of text, in which links are looked for. */
const LOOKED_AT = 1024 * 1024
const MOST_LINKS = 1000
/** Characters of a link's text. */
const TEXT_SHOWN = 200

// Every repetition is bounded, so that a hostile mail costs no more than a long one.
const ANCHOR =
  /<a\s[^<>]{0,4000}?\bhref\s{0,9}=\s{0,9}(?:"([^"<>]{0,8000})"|'([^'<>]{0,8000})'|([^\s"'<>]{1,8000}))/gi
const IN_TEXT = /\bhttps?:\/\/[^\s<>"']{1,8000}/gi
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** The links of a mail in their order, each URL once, at most 1,000: those of its HTML, or else those of its text. */
export function linksOf({ html, text }: Pick<MailContents, 'html' | 'text'>): MailLink[] {
  const links = new Map<string, MailLink>()
  for (const { url, text: label } of html === undefined ? linksInText(text ?? '') : linksInHtml(html)) {
    if (url === '' || url.startsWith('#') || links.has(url)) continue
    links.set(url, { url, text: label() })
    if (links.size === MOST_LINKS) break
  }
  return [...links.values()]
}

interface Found {
  url: string
  /** Looked for only where it is wanted. */
  text: () => string
}

function* linksInText(text: string): Generator<Found> {
  for (const [match] of text.slice(0, LOOKED_AT).matchAll(IN_TEXT)) {
    // A sentence may end right behind it.
    const url = match.replace(/[.,;:!?)\]]{1,9}$/, '')
    yield { url, text: () => url }
  }
}

function* linksInHtml(source: string): Generator<Found> {
  const html = source.slice(0, LOOKED_AT)
  for (const match of html.matchAll(ANCHOR)) {
    const end = match.index + match[0].length
    const url = decode(match[1] ?? match[2] ?? match[3] ?? '').trim()
    yield { url, text: () => readable(html.slice(end, end + 4000)) }
  }
}

/** From within the opening tag to the end of the element. */
function readable(rest: string): string {
  const open = rest.indexOf('>')
  const close = rest.search(/<\/a\b/i)
  const inner = rest.slice(open + 1, close === -1 ? rest.length : close)
  const alt = /<img\b[^<>]{0,2000}?\balt="([^"<>]{1,200})"/i.exec(inner)?.[1] ?? ''
  const text = inner.replace(/<[^<>]*>/g, ' ').trim()
  return decode(text === '' ? alt : text)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, TEXT_SHOWN)
}

function decode(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,6}));/gi,
    (entity, decimal, hex, name: string) => {
      const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
      if (!Number.isNaN(code)) return code <= 0x10ffff ? String.fromCodePoint(code) : entity
      return ENTITIES[name.toLowerCase()] ?? entity
    },
  )
}

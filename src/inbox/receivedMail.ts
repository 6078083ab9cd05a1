import type { InboxAttachment, MailContents } from '../web/parseMime.js'
import type { RawMail } from './mailStore.js'

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

/** What one can ask of a mail; each complains in a sentence that names what there is instead. */
export interface MailReading {
  /** The links in their order, each URL once: those of the HTML, or else those of the text. */
  links(): MailLink[]
  /**
   * The first link whose URL or text fits: a part of it, or a pattern.
   * @throws Error when there is none
   */
  link(which: string | RegExp): MailLink
  /**
   * The attachment of this name, or the first whose name fits the pattern.
   * @throws Error when there is none
   */
  attachment(name: string | RegExp): InboxAttachment
  /** The value of a header, unfolded; the first of several. */
  header(name: string): string | undefined
}

/** A mail and what it says. */
export type ReceivedMail = RawMail & MailContents & MailReading

/** Puts together what came and what it says. */
export function toReceivedMail(raw: RawMail, contents: MailContents): ReceivedMail {
  return {
    ...raw,
    ...contents,
    links: () => linksOf(contents),
    link: (which) => {
      const links = linksOf(contents)
      const fits = (text: string) =>
        typeof which === 'string' ? text.includes(which) : text.search(which) !== -1
      const link = links.find(({ url, text }) => fits(url) || fits(text))
      return (
        link ??
        missing(
          'link',
          which,
          contents,
          links.map(({ url }) => url),
        )
      )
    },
    attachment: (name) => {
      const fits = (text: string) => (typeof name === 'string' ? text === name : text.search(name) !== -1)
      const file = contents.attachments.find(({ filename = '' }) => fits(filename))
      return file ?? missing('attachment', name, contents, contents.attachments.map(nameOf))
    },
    header: (name) =>
      contents.headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value,
  }
}

function nameOf({ filename, contentType }: InboxAttachment): string {
  return filename ?? `one of ${contentType} without a name`
}

function missing(
  what: string,
  which: string | RegExp,
  { subject }: MailContents,
  there: readonly string[],
): never {
  const wanted = typeof which === 'string' ? JSON.stringify(which) : String(which)
  const found = there.length === 0 ? `it has no ${what}s` : `it has ${there.join(', ')}`
  throw new Error(`The mail '${subject}' has no ${what} ${wanted}: ${found}`)
}

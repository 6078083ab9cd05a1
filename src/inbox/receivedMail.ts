import type { InboxAttachment, MailContents } from '../mime/parseMime.js'
import type { RawMail } from './mailStore.js'

export interface MailLink {
  url: string
  /** The visible text; the URL itself in a message without HTML. */
  text: string
}

/** Characters of HTML or text that are searched for links. */
const MAX_SEARCHED = 1024 * 1024
const MAX_LINKS = 1000
/** Maximum characters of a link's text. */
const MAX_LINK_TEXT = 200

// Every repetition is bounded, so that the search takes linear time for a hostile message, too.
const ANCHOR =
  /<a\s[^<>]{0,4000}?\bhref\s{0,9}=\s{0,9}(?:"([^"<>]{0,8000})"|'([^'<>]{0,8000})'|([^\s"'<>]{1,8000}))/gi
const IN_TEXT = /\bhttps?:\/\/[^\s<>"']{1,8000}/gi
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** The links of a message in order, each URL once, at most 1,000: those of the HTML, or of the text if there is no HTML. */
export function linksOf({ html, text }: Pick<MailContents, 'html' | 'text'>): MailLink[] {
  const links = new Map<string, MailLink>()
  for (const { url, text: label } of html === undefined ? linksInText(text ?? '') : linksInHtml(html)) {
    if (url === '' || url.startsWith('#') || links.has(url)) continue
    links.set(url, { url, text: label() })
    if (links.size === MAX_LINKS) break
  }
  return [...links.values()]
}

interface FoundLink {
  url: string
  /** Computed only for the links that are returned. */
  text: () => string
}

function* linksInText(text: string): Generator<FoundLink> {
  for (const [match] of text.slice(0, MAX_SEARCHED).matchAll(IN_TEXT)) {
    // Punctuation at the end belongs to the sentence, not to the URL.
    const url = match.replace(/[.,;:!?)\]]{1,9}$/, '')
    yield { url, text: () => url }
  }
}

function* linksInHtml(source: string): Generator<FoundLink> {
  const html = source.slice(0, MAX_SEARCHED)
  for (const match of html.matchAll(ANCHOR)) {
    const end = match.index + match[0].length
    const url = decode(match[1] ?? match[2] ?? match[3] ?? '').trim()
    yield { url, text: () => linkText(html.slice(end, end + 4000)) }
  }
}

/** @param rest the HTML from inside the opening tag on */
function linkText(rest: string): string {
  const open = rest.indexOf('>')
  const close = rest.search(/<\/a\b/i)
  const inner = rest.slice(open + 1, close === -1 ? rest.length : close)
  const alt = /<img\b[^<>]{0,2000}?\balt="([^"<>]{1,200})"/i.exec(inner)?.[1] ?? ''
  const text = inner.replace(/<[^<>]*>/g, ' ').trim()
  return decode(text === '' ? alt : text)
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_LINK_TEXT)
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

/** Methods that read a message. An error names what the message has instead. */
export interface MailReading {
  /** Returns the links in order, each URL once: those of the HTML, or of the text if there is no HTML. */
  links(): MailLink[]
  /**
   * Returns the first link whose URL or text contains a string or matches a pattern.
   * @throws Error if there is none
   */
  link(which: string | RegExp): MailLink
  /**
   * Returns the attachment with this name, or the first one whose name matches a pattern.
   * @throws Error if there is none
   */
  attachment(name: string | RegExp): InboxAttachment
  /** Returns the value of a header field, unfolded; the first one if there are several. */
  header(name: string): string | undefined
}

/** A received message with its parsed contents. */
export type ReceivedMail = RawMail & MailContents & MailReading

/** Combines a message with its parsed contents. */
export function toReceivedMail(raw: RawMail, contents: MailContents): ReceivedMail {
  return {
    ...raw,
    ...contents,
    links: () => linksOf(contents),
    link: (which) => {
      const links = linksOf(contents)
      const matches = (text: string) =>
        typeof which === 'string' ? text.includes(which) : text.search(which) !== -1
      const link = links.find(({ url, text }) => matches(url) || matches(text))
      return (
        link ??
        throwMissing(
          'link',
          which,
          contents,
          links.map(({ url }) => url),
        )
      )
    },
    attachment: (name) => {
      const matches = (text: string) => (typeof name === 'string' ? text === name : text.search(name) !== -1)
      const file = contents.attachments.find(({ filename = '' }) => matches(filename))
      return file ?? throwMissing('attachment', name, contents, contents.attachments.map(nameOf))
    },
    header: (name) =>
      contents.headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value,
  }
}

function nameOf({ filename, contentType }: InboxAttachment): string {
  return filename ?? `an unnamed ${contentType}`
}

function throwMissing(
  what: string,
  which: string | RegExp,
  { subject }: MailContents,
  there: readonly string[],
): never {
  const wanted = typeof which === 'string' ? JSON.stringify(which) : String(which)
  const found = there.length === 0 ? `it has no ${what}s` : `it has ${there.join(', ')}`
  throw new Error(`The mail '${subject}' has no ${what} ${wanted}: ${found}`)
}

/** A message as a list shows it. Bounded, whatever the message. */
export interface MailSummary extends Omit<RawMail, 'raw'> {
  subject: string
  /** Number of attachments. */
  files: number
  /** The beginning of the text. */
  snippet: string
}

/** Characters of the subject in a list. */
const LISTED_SUBJECT = 1_000

export function summaryOf({
  id,
  envelope,
  receivedAt,
  subject,
  attachments,
  text = '',
}: ReceivedMail): MailSummary {
  return {
    id,
    envelope,
    receivedAt,
    subject: subject.slice(0, LISTED_SUBJECT),
    files: attachments.filter(({ inline }) => !inline).length,
    snippet: text.slice(0, 400).replace(/\s+/g, ' ').trim().slice(0, 140),
  }
}

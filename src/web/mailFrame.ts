import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Response } from 'express'
import { cidReferences, type InboxAttachment, MAX_SHOWN_HTML } from '../mime/parseMime.js'

/** Maximum number of different images of one mail in a frame. */
const MAX_IMAGES = 200

/** Sandbox of the frame element: links may open a new tab. */
export const FRAME_SANDBOX = 'allow-popups allow-popups-to-escape-sandbox'

const IMAGES = /^image\/(png|jpe?g|gif|webp|avif|bmp|svg\+xml)$/i

/** A document for a frame, and the content security policy that it must be served with. */
export interface FrameDocument {
  html: string
  policy: string
}

/** Whether an attachment may be shown as an image. */
export function isImage({ contentType }: Pick<InboxAttachment, 'contentType'>): boolean {
  return IMAGES.test(contentType)
}

/**
 * Elements that connect despite the policy: `<link rel="preconnect">`, and frames, for which browsers may connect before they check the
 * policy. They are replaced by elements without effect. They are renamed instead of removed, because removing `<iframe>` from
 * `<ifr<iframe>ame>` would create a new one.
 */
const REPLACEMENTS: Readonly<Record<string, string>> = {
  link: 'meta',
  embed: 'wbr',
  frame: 'wbr',
  iframe: 'x-iframe',
  frameset: 'x-frameset',
  fencedframe: 'x-fencedframe',
  object: 'x-object',
  portal: 'x-portal',
}
/** The length of a match is bounded, so that replacing takes linear time. */
const CONNECTING = new RegExp(`<(/?)(${Object.keys(REPLACEMENTS).join('|')})(?=[\\s/>])`, 'gi')

/**
 * Converts a mail's HTML to a document for a frame, in one pass. Each image has one URL, however often the HTML refers to it.
 * @param urlOf returns the URL of an attachment by its index, relative to the document's URL
 */
export function frameDocument(
  source: string,
  attachments: readonly InboxAttachment[] = [],
  urlOf: (index: number) => string = String,
): FrameDocument {
  const shown = beginningOf(source)
  const { text, images } = withImages(shown, attachments, urlOf)
  const safe = withoutConnectingElements(text)
  // Never before the doctype: that would switch the browser to quirks mode.
  const at = startOfHead(safe)
  return {
    html: `${safe.slice(0, at)}<base target="_blank">${safe.slice(at)}`,
    policy: framePolicy(images > 0),
  }
}

/**
 * The policy of the framed document: no scripts, forms or frames, and nothing loaded except its own images. It also applies if the
 * URL is opened outside the frame. A document without images of its own may not request anything from this server.
 */
function framePolicy(images: boolean): string {
  return [
    "default-src 'none'",
    images ? "img-src 'self' data:" : 'img-src data:',
    "style-src 'unsafe-inline'",
    'font-src data:',
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'self'",
    `sandbox ${FRAME_SANDBOX}`,
  ].join('; ')
}

/** The part that is shown, which never ends inside a tag. */
function beginningOf(source: string): string {
  if (source.length <= MAX_SHOWN_HTML) return source
  const cut = source.slice(0, MAX_SHOWN_HTML)
  const tag = cut.lastIndexOf('<')
  return tag > cut.lastIndexOf('>') ? cut.slice(0, tag) : cut
}

function withImages(
  source: string,
  attachments: readonly InboxAttachment[],
  urlOf: (index: number) => string,
): { text: string; images: number } {
  const indexes = new Map<string, number>()
  for (const [index, attachment] of attachments.entries()) {
    const { cid } = attachment
    if (cid !== undefined && isImage(attachment) && !indexes.has(cid)) indexes.set(cid, index)
  }
  const urls = new Map<number, string>()
  const pieces: string[] = []
  let done = 0
  for (const { start, end, cids } of indexes.size === 0 ? [] : cidReferences(source)) {
    const index = indexes.get(cids[0]) ?? indexes.get(cids[1])
    if (index === undefined) continue
    let url = urls.get(index)
    if (url === undefined) {
      if (urls.size >= MAX_IMAGES) continue
      urls.set(index, (url = urlOf(index)))
    }
    pieces.push(source.slice(done, start), url)
    done = end
  }
  pieces.push(source.slice(done))
  return { text: pieces.join(''), images: urls.size }
}

function withoutConnectingElements(source: string): string {
  return source.replace(
    CONNECTING,
    (_tag, slash: string, name: string) => `<${slash}${REPLACEMENTS[name.toLowerCase()] ?? ''}`,
  )
}

/** Position where the contents of the head begin. Everything before it is scanned once. */
function startOfHead(source: string): number {
  let at = 0
  for (;;) {
    const space = /\S/.exec(source.slice(at))
    const next = space === null ? source.length : at + space.index
    if (source.startsWith('<!--', next)) {
      const end = source.indexOf('-->', next + 2)
      if (end === -1) return at
      at = end + 3
    } else if (source.startsWith('<!', next) || source.startsWith('<?', next)) {
      const end = source.indexOf('>', next)
      if (end === -1) return at
      at = end + 1
    } else {
      const name = /^<(html|head)[\s/>]/i.exec(source.slice(next, next + '<html>'.length))?.[1]
      const end = name === undefined ? -1 : endOfTag(source, next)
      if (end === -1) return at
      at = end
      if (name?.toLowerCase() === 'head') return at
    }
  }
}

/** Position after the `>` that ends a tag, skipping quoted values (HTML standard, section 13.2.5). */
function endOfTag(source: string, start: number): number {
  const delimiter = /["'>]/g
  delimiter.lastIndex = start
  for (let match = delimiter.exec(source); match !== null; match = delimiter.exec(source)) {
    if (match[0] === '>') return delimiter.lastIndex
    // A quote starts a value only after an equals sign.
    if (!/=\s*$/.test(source.slice(Math.max(start, match.index - 20), match.index))) continue
    const end = source.indexOf(match[0], delimiter.lastIndex)
    if (end === -1) return -1
    delimiter.lastIndex = end + 1
  }
  return -1
}

/** Maximum number of characters of a text that a page shows. */
const SHOWN_TEXT = 256 * 1024

/** The beginning of a text, and a note if it was cut. */
export interface Excerpt {
  text: string
  note?: string
}

/** @param what the kind of content, as it appears in the note: `'text'` */
export function shownText(text: string, what: string, most = SHOWN_TEXT): Excerpt {
  if (text.length <= most) return { text }
  return { text: text.slice(0, most), note: truncationNote(what, most) }
}

/** A note if the frame doesn't show all of the HTML. */
export function htmlNote(html: string): string | undefined {
  return html.length > MAX_SHOWN_HTML ? truncationNote('HTML', MAX_SHOWN_HTML) : undefined
}

/** @param most bytes or characters, which are about the same for this purpose */
export function truncationNote(what: string, most: number): string {
  return `Only the first ${most / 1024} KB of the ${what} are shown. Download the raw mail to see the rest.`
}

/** The headers that a page shows. */
export function shownHeaders<H extends { name: string; value: string }>(
  headers: readonly H[],
): { headers: H[]; note?: string } {
  let left = SHOWN_TEXT
  const shown = headers.filter(({ name, value }) => (left -= name.length + value.length) >= 0)
  return shown.length === headers.length
    ? { headers: shown }
    : { headers: shown, note: truncationNote('header', SHOWN_TEXT) }
}

/** Milliseconds for which the URLs stay the same, so that browsers can cache images. They remain valid for at least as long again. */
const PERIOD = 15 * 60_000

/**
 * Signed URLs of the images in mails. A framed mail has an opaque origin, so browsers send no cookies with requests for its images: the
 * URL itself is the permission. It is valid for one image of one message, for 15 to 30 minutes.
 */
export class ImageLinks {
  readonly #key: Uint8Array

  /** @param key a secret of this server; processes behind one address must share it */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** @returns the URL, relative to the framed document: `images/0/TICKET` */
  addressOf(message: string, index: number): string {
    const end = Math.floor(Date.now() / PERIOD) + 2
    return `images/${index}/${end}-${this.#sign(message, index, end)}`
  }

  /** Whether a ticket is for this image and has not expired. */
  allows(message: string, index: number, ticket: string): boolean {
    const [, end = '', signature = ''] = /^(\d{1,12})-([\w-]{22})$/.exec(ticket) ?? []
    const expected = Buffer.from(this.#sign(message, index, Number(end)))
    const presented = Buffer.from(signature)
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) return false
    return Number(end) * PERIOD > Date.now()
  }

  #sign(message: string, index: number, end: number): string {
    const text = JSON.stringify([message, index, end])
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, 22)
  }
}

/** Sends an image of a mail. Its policy keeps an SVG that is opened by itself from running scripts. */
export function sendImage(response: Response, { contentType, content }: InboxAttachment): void {
  response.set({
    'Content-Type': contentType,
    'Content-Security-Policy':
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    // The frame has an opaque origin, so its requests are cross-site.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Cache-Control': `private, max-age=${PERIOD / 1000}, immutable`,
  })
  response.end(content)
}

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Response } from 'express'
import { cidReferences, type InboxAttachment, MAX_SHOWN_HTML } from './parseMime.js'

/** Different images of one mail that a frame shows. */
const MOST_IMAGES = 200

/** What the frame element allows: links open in a tab of their own. */
export const FRAME_SANDBOX = 'allow-popups allow-popups-to-escape-sandbox'

const IMAGES = /^image\/(png|jpe?g|gif|webp|avif|bmp|svg\+xml)$/i

/** A document to be shown in a frame, with the policy that it must be served with. */
export interface FrameDocument {
  html: string
  policy: string
}

/** Whether a part may be shown as an image. */
export function isImage({ contentType }: Pick<InboxAttachment, 'contentType'>): boolean {
  return IMAGES.test(contentType)
}

/**
 * What a policy does not stop: `<link rel="preconnect">`, and a browser that connects to where a frame would load from
 * before it looks at the policy. So these become elements that do nothing. Renamed, not removed: taking `<iframe>` out
 * of `<ifr<iframe>ame>` would make a new one.
 */
const HARMLESS: Readonly<Record<string, string>> = {
  link: 'meta',
  embed: 'wbr',
  frame: 'wbr',
  iframe: 'x-iframe',
  frameset: 'x-frameset',
  fencedframe: 'x-fencedframe',
  object: 'x-object',
  portal: 'x-portal',
}
/** Each match is of bounded length, so that it is one pass. */
const CONNECTING = new RegExp(`<(/?)(${Object.keys(HARMLESS).join('|')})(?=[\\s/>])`, 'gi')

/**
 * A mail's HTML as a document of its own, in one pass. Its images have addresses of their own, however often it refers to
 * them.
 * @param addressOf the address of an attachment, by its index, relative to the document's
 */
export function frameDocument(
  source: string,
  attachments: readonly InboxAttachment[] = [],
  addressOf: (index: number) => string = String,
): FrameDocument {
  const shown = beginningOf(source)
  const { text, images } = withImages(shown, attachments, addressOf)
  const harmless = withoutConnections(text)
  // Never before the doctype: that would switch the browser to quirks mode.
  const at = startOfHead(harmless)
  return {
    html: `${harmless.slice(0, at)}<base target="_blank">${harmless.slice(at)}`,
    policy: framePolicy(images > 0),
  }
}

/**
 * The policy of the framed document: no script, no form, no frame, nothing loaded but its own images. It holds even when the
 * address is opened outside the frame. A document without images of its own may ask this server for nothing at all.
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

/** As much as is shown, and never half a tag. */
function beginningOf(source: string): string {
  if (source.length <= MAX_SHOWN_HTML) return source
  const cut = source.slice(0, MAX_SHOWN_HTML)
  const tag = cut.lastIndexOf('<')
  return tag > cut.lastIndexOf('>') ? cut.slice(0, tag) : cut
}

function withImages(
  source: string,
  attachments: readonly InboxAttachment[],
  addressOf: (index: number) => string,
): { text: string; images: number } {
  const indexes = new Map<string, number>()
  for (const [index, attachment] of attachments.entries()) {
    const { cid } = attachment
    if (cid !== undefined && isImage(attachment) && !indexes.has(cid)) indexes.set(cid, index)
  }
  const addresses = new Map<number, string>()
  const pieces: string[] = []
  let done = 0
  for (const { start, end, cids } of indexes.size === 0 ? [] : cidReferences(source)) {
    const index = indexes.get(cids[0]) ?? indexes.get(cids[1])
    if (index === undefined) continue
    let address = addresses.get(index)
    if (address === undefined) {
      if (addresses.size >= MOST_IMAGES) continue
      addresses.set(index, (address = addressOf(index)))
    }
    pieces.push(source.slice(done, start), address)
    done = end
  }
  pieces.push(source.slice(done))
  return { text: pieces.join(''), images: addresses.size }
}

function withoutConnections(source: string): string {
  return source.replace(
    CONNECTING,
    (_tag, slash: string, name: string) => `<${slash}${HARMLESS[name.toLowerCase()] ?? ''}`,
  )
}

/** Where the head's contents begin: behind what may come before them, which is looked at once. */
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

/** Behind the `>` that ends a tag: one in a quoted value does not (HTML standard, section 13.2.5). */
function endOfTag(source: string, start: number): number {
  const delimiter = /["'>]/g
  delimiter.lastIndex = start
  for (let match = delimiter.exec(source); match !== null; match = delimiter.exec(source)) {
    if (match[0] === '>') return delimiter.lastIndex
    // A quote begins a value only behind an equals sign.
    if (!/=\s*$/.test(source.slice(Math.max(start, match.index - 20), match.index))) continue
    const end = source.indexOf(match[0], delimiter.lastIndex)
    if (end === -1) return -1
    delimiter.lastIndex = end + 1
  }
  return -1
}

/** Characters of a text that a page shows. */
const SHOWN_TEXT = 256 * 1024

/** The beginning of what may be long, and a sentence where that is not all. */
export interface Excerpt {
  text: string
  note?: string
}

/** @param what as a sentence names it: `'text'` */
export function shownText(text: string, what: string, most = SHOWN_TEXT): Excerpt {
  if (text.length <= most) return { text }
  return { text: text.slice(0, most), note: truncationNote(what, most) }
}

/** Undefined where a frame shows all of the HTML. */
export function htmlNote(html: string): string | undefined {
  return html.length > MAX_SHOWN_HTML ? truncationNote('HTML', MAX_SHOWN_HTML) : undefined
}

/** @param most bytes or characters, which are about the same to a reader */
export function truncationNote(what: string, most: number): string {
  return `The ${what} is shown up to ${most / 1024} KB. Download the raw mail for the rest.`
}

/** Headers as far as a page shows them. */
export function shownHeaders<H extends { name: string; value: string }>(
  headers: readonly H[],
): { headers: H[]; note?: string } {
  let left = SHOWN_TEXT
  const shown = headers.filter(({ name, value }) => (left -= name.length + value.length) >= 0)
  return shown.length === headers.length
    ? { headers: shown }
    : { headers: shown, note: truncationNote('header', SHOWN_TEXT) }
}

/** Milliseconds for which addresses stay the same, so that a browser keeps what it has loaded. They hold at least as long again. */
const PERIOD = 15 * 60_000

/**
 * Addresses of the images of mails. A framed mail has an origin of its own, so a browser sends no cookie for its images:
 * the address itself is the permission. It is signed, for one image of one message, and holds for 15 to 30 minutes.
 */
export class ImageLinks {
  readonly #key: Uint8Array

  /** @param key a secret of this server's; processes behind one address share it */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** @returns the address, relative to that of the framed document: `images/0/TICKET` */
  addressOf(message: string, index: number): string {
    const end = Math.floor(Date.now() / PERIOD) + 2
    return `images/${index}/${end}-${this.#sign(message, index, end)}`
  }

  /** Whether the ticket of such an address is for this image, and still holds. */
  allows(message: string, index: number, ticket: string): boolean {
    const [, end = '', given = ''] = /^(\d{1,12})-([\w-]{22})$/.exec(ticket) ?? []
    const expected = Buffer.from(this.#sign(message, index, Number(end)))
    const presented = Buffer.from(given)
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) return false
    return Number(end) * PERIOD > Date.now()
  }

  #sign(message: string, index: number, end: number): string {
    const text = JSON.stringify([message, index, end])
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, 22)
  }
}

/** Answers with an image of a mail, as nothing but an image: opened by itself, an SVG could run no script. */
export function sendImage(response: Response, { contentType, content }: InboxAttachment): void {
  response.set({
    'Content-Type': contentType,
    'Content-Security-Policy':
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    // The frame has an origin of its own, and is thus of another site.
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'Cache-Control': `private, max-age=${PERIOD / 1000}, immutable`,
  })
  response.end(content)
}

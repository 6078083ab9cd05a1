import { createHash } from 'node:crypto'

/** The content of a `data:` URL (RFC 2397). */
export interface DataContent {
  content: Uint8Array
  /** Media type without parameters; undefined if the URL has none. */
  contentType: string | undefined
}

/** @returns undefined if the text is not a `data:` URL */
export function parseDataUrl(text: string): DataContent | undefined {
  const comma = text.indexOf(',')
  if (!/^data:/i.test(text) || comma < 0) return undefined
  const [type = '', ...parameters] = text.slice('data:'.length, comma).split(';')
  const encoded = text.slice(comma + 1)
  const base64 = parameters.some((parameter) => parameter.trim().toLowerCase() === 'base64')
  return {
    content: base64
      ? Buffer.from(percentDecode(encoded).toString('latin1'), 'base64')
      : percentDecode(encoded),
    contentType: type.trim() === '' ? undefined : type.trim(),
  }
}

/** An invalid percent sign stands for itself. */
function percentDecode(text: string): Buffer {
  if (!text.includes('%')) return Buffer.from(text)
  const parts = text.split(/%([0-9A-Fa-f]{2})/)
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  )
}

/** An image that was embedded in HTML. */
export interface EmbeddedImage {
  filename: string
  content: Uint8Array
  contentType: string
  cid: string
}

/** `src` with a `data:` URL of an image, quoted or not. Each part is bounded by the next, so it runs in linear time. */
const IMAGE = /(\ssrc\s{0,8}=\s{0,8}["']?)(data:image\/([\w.+-]{1,64})[^"'<>\s,]{0,200},[^"'<>\s]*)/gi

/** Turns the `data:` images of HTML into attachments that it refers to by `cid:`. The same image is attached once. */
export function extractDataImages(html: string): { html: string; images: EmbeddedImage[] } {
  const images = new Map<string, EmbeddedImage>()
  const replaced = html.replace(
    IMAGE,
    (match: string, start: string, url: string, type: string, at: number) => {
      // Markup in the URL, such as an SVG that is not encoded: where it ends is unknown.
      if (html[at + match.length] === '<') return match
      const parsed = parseDataUrl(url)
      if (parsed?.contentType === undefined) return match
      const hash = createHash('sha256').update(parsed.content).digest('hex').slice(0, 24)
      const image = images.get(hash) ?? {
        filename: `image-${images.size + 1}.${(type.split('+', 1)[0] ?? type).toLowerCase()}`,
        content: parsed.content,
        contentType: parsed.contentType,
        cid: `${hash}@embedded.invalid`,
      }
      images.set(hash, image)
      return `${start}cid:${image.cid}`
    },
  )
  return { html: replaced, images: [...images.values()] }
}

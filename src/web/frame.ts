import type { InboxAttachment } from './parse.js'

/**
 * The policy of the framed document: no script, no form, no frame, nothing loaded from anywhere. Links open in a tab
 * of their own. It holds even when the address is opened outside the frame.
 */
export const FRAME_POLICY = [
  "default-src 'none'",
  'img-src data:',
  "style-src 'unsafe-inline'",
  'font-src data:',
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'self'",
  'sandbox allow-popups allow-popups-to-escape-sandbox',
].join('; ')

/** What the frame element allows: the same. */
export const FRAME_SANDBOX = 'allow-popups allow-popups-to-escape-sandbox'

const IMAGES = /^image\/(png|jpe?g|gif|webp|avif|bmp|svg\+xml)$/i

/**
 * What a policy does not stop: `<link rel="preconnect">`, and a browser that connects to where a frame would load from
 * before it looks at the policy. So these become elements that do nothing. Renamed, not removed: taking `<iframe>` out
 * of `<ifr<iframe>ame>` would make a new one.
 */
const HARMLESS: Record<string, string> = {
  link: 'meta',
  embed: 'wbr',
  frame: 'wbr',
  iframe: 'x-iframe',
  frameset: 'x-frameset',
  fencedframe: 'x-fencedframe',
  object: 'x-object',
  portal: 'x-portal',
}
const CONNECTING = new RegExp(`<(/?)(${Object.keys(HARMLESS).join('|')})(?=[\\s/>])`, 'gi')

/** A mail's HTML as a document of its own, its inline images put in. */
export function frameDocument(source: string, attachments: readonly InboxAttachment[]): string {
  const inlined = inlineImages(source, attachments).replace(
    CONNECTING,
    (_tag, slash: string, name: string) => `<${slash}${HARMLESS[name.toLowerCase()] ?? ''}`,
  )
  const base = '<base target="_blank">'
  // Never before the doctype: that would switch the browser to quirks mode.
  const at =
    /<head\b[^>]*>/i.exec(inlined) ?? /<html\b[^>]*>/i.exec(inlined) ?? /^\s*<!doctype[^>]*>/i.exec(inlined)
  if (at === null) return base + inlined
  const end = at.index + at[0].length
  return inlined.slice(0, end) + base + inlined.slice(end)
}

function inlineImages(source: string, attachments: readonly InboxAttachment[]): string {
  const images = new Map(
    attachments
      .filter(({ cid, contentType }) => cid !== undefined && IMAGES.test(contentType))
      .map((image) => [image.cid, image]),
  )
  if (images.size === 0) return source
  return source.replace(/cid:([^"'\s<>()]+)/gi, (reference, name: string) => {
    const image = images.get(name) ?? images.get(decode(name))
    if (image === undefined) return reference
    return `data:${image.contentType};base64,${Buffer.from(image.content).toString('base64')}`
  })
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Response } from 'express'
import type { InboxAttachment } from './parseMime.js'

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

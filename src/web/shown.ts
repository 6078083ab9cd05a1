import { SHOWN_HTML } from './references.js'

/** Characters of a text that a page shows. */
const SHOWN_TEXT = 256 * 1024

/** The beginning of what may be long, and a sentence where that is not all. */
export interface Shown {
  text: string
  note?: string
}

/** @param what as a sentence names it: `'text'` */
export function shownText(text: string, what: string, most = SHOWN_TEXT): Shown {
  if (text.length <= most) return { text }
  return { text: text.slice(0, most), note: partNote(what, most) }
}

/** Undefined where a frame shows all of the HTML. */
export function htmlNote(html: string): string | undefined {
  return html.length > SHOWN_HTML ? partNote('HTML', SHOWN_HTML) : undefined
}

/** @param most bytes or characters, which are about the same to a reader */
export function partNote(what: string, most: number): string {
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
    : { headers: shown, note: partNote('header', SHOWN_TEXT) }
}

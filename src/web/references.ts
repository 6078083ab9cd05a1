/** Characters of a mail's HTML that a frame shows. Gmail clips at a tenth of it. */
export const SHOWN_HTML = 1024 * 1024

/** One place in HTML or CSS that refers to a part by its Content-ID (RFC 2392). */
export interface Reference {
  /** Where `cid:` begins, and where the reference ends. */
  start: number
  end: number
  /** The Content-ID as written, and with its percent signs decoded. */
  cids: readonly [written: string, decoded: string]
}

/** Characters of a Content-ID. A longer one refers to nothing. */
const LONGEST = 1_000
const END = /["'\s<>()]/

/** Finds `cid:` in attributes and in styles, in one pass. */
export function* cidReferences(source: string): Generator<Reference> {
  const begins = /(?<![a-z\d.+-])cid:/gi
  for (let match = begins.exec(source); match !== null; match = begins.exec(source)) {
    const from = match.index + 'cid:'.length
    const text = source.slice(from, from + LONGEST)
    const length = text.search(END)
    const written = (length === -1 ? text : text.slice(0, length)).replaceAll('&amp;', '&')
    const end = from + (length === -1 ? text.length : length)
    if (end > from) yield { start: match.index, end, cids: [written, decoded(written)] }
    begins.lastIndex = end
  }
}

/** Every Content-ID that the HTML refers to, as far as a frame shows it. */
export function referencesIn(source: string): Set<string> {
  const cids = new Set<string>()
  for (const reference of cidReferences(source.slice(0, SHOWN_HTML)))
    for (const cid of reference.cids) cids.add(cid)
  return cids
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

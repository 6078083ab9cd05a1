import { addressParser, decodeWords } from 'postal-mime'
import { decodeBody, parameterOf, textOf } from './mimeBody.js'
import {
  type HeaderField,
  type LeafPart,
  MAX_DEPTH,
  MAX_FIELDS,
  MAX_PARTS,
  parseStructuredField,
  parseStructure,
  valueOf,
} from './mimeStructure.js'

export { decodeWords }

/** Maximum number of characters of a mail's HTML that a frame shows. Gmail clips at a tenth of that. */
export const MAX_SHOWN_HTML = 1024 * 1024

/** A reference in HTML or CSS to a part by its Content-ID (RFC 2392). */
interface Reference {
  /** Positions where `cid:` begins and where the reference ends. */
  start: number
  end: number
  /** The Content-ID as written, and percent-decoded. */
  cids: readonly [written: string, decoded: string]
}

/** Maximum length of a Content-ID. */
const MAX_CID = 1_000
const END = /["'\s<>()]/

/** Finds `cid:` references in attributes and styles, in one pass. */
export function* cidReferences(source: string): Generator<Reference> {
  const begins = /(?<![a-z\d.+-])cid:/gi
  for (let match = begins.exec(source); match !== null; match = begins.exec(source)) {
    const from = match.index + 'cid:'.length
    const text = source.slice(from, from + MAX_CID)
    const length = text.search(END)
    const written = (length === -1 ? text : text.slice(0, length)).replaceAll('&amp;', '&')
    const end = from + (length === -1 ? text.length : length)
    if (end > from) yield { start: match.index, end, cids: [written, decoded(written)] }
    begins.lastIndex = end
  }
}

/** Every Content-ID that the shown part of the HTML refers to. */
function referencesIn(source: string): Set<string> {
  const cids = new Set<string>()
  for (const reference of cidReferences(source.slice(0, MAX_SHOWN_HTML)))
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

export interface InboxAddress {
  /** The display name, or ''. */
  name: string
  address: string
}

export interface InboxAttachment {
  /** The name that the sender chose. Never use it as a path. */
  filename?: string
  contentType: string
  /** Content-ID without angle brackets, to which `cid:` in the HTML refers. */
  cid?: string
  /** Whether the HTML shows it as an inline image, so that readers don't see it as an attachment. */
  inline: boolean
  content: Uint8Array
}

/** The content of a mail. */
export interface MailContents {
  subject: string
  from?: InboxAddress
  to: InboxAddress[]
  cc: InboxAddress[]
  bcc: InboxAddress[]
  replyTo: InboxAddress[]
  /** With angle brackets. */
  messageId?: string
  /** ISO 8601, or the header's value if it is not a valid date. */
  date?: string
  /** All headers in their original order, unfolded but not decoded. */
  headers: { name: string; value: string }[]
  html?: string
  text?: string
  /** At most 1,000. */
  attachments: InboxAttachment[]
  /** Sentences about parts that were left out because of a limit. Empty for nearly every mail. */
  leftOut: string[]
}

/** Maximum length of an address list in characters, and maximum number of its addresses. */
const MAX_LIST = 64 * 1024
const MAX_ADDRESSES = 1_000

/**
 * Parses a mail in one pass and in linear time. Any input is accepted: broken parts result in less content, never in an error. An
 * attached mail (`message/rfc822`) is treated as a file.
 */
export function parseMime(raw: Uint8Array): MailContents {
  const { header, parts, leftOut } = parseStructure(raw)
  const decoded = (name: string) => {
    const value = valueOf(header, name)
    return value === undefined ? undefined : decodeWords(value)
  }
  const { html, text, files } = bodiesOf(parts)
  const shown = referencesIn(html ?? '')
  return {
    subject: decoded('subject') ?? '',
    ...optional('from', addressesOf(header, 'from')[0]),
    to: addressesOf(header, 'to'),
    cc: addressesOf(header, 'cc'),
    bcc: addressesOf(header, 'bcc'),
    replyTo: addressesOf(header, 'reply-to'),
    ...optional('messageId', decoded('message-id')),
    ...optional('date', dateOf(valueOf(header, 'date'))),
    headers: header,
    ...optional('html', html),
    ...optional('text', text),
    attachments: files.map((part) => attachmentOf(part, shown)),
    leftOut: [
      ...(leftOut.has('headers')
        ? [`The header is too long: at most its first ${MAX_FIELDS} fields are shown.`]
        : []),
      ...(leftOut.has('parts')
        ? [`The mail has too many parts: at most the first ${MAX_PARTS} are shown.`]
        : []),
      ...(leftOut.has('depth')
        ? [`The mail has parts within parts, more than ${MAX_DEPTH} deep: the deepest are shown as files.`]
        : []),
    ],
  }
}

/** A readable passage of the mail, as HTML, text, or both. */
interface Passage {
  html: string
  text: string
}

/**
 * Separates the readable content from the files. The parts of one multipart/alternative form one passage; every other part is a
 * passage of its own, so that a footer added to a mail comes after it.
 */
function bodiesOf(parts: readonly LeafPart[]): { html?: string; text?: string; files: LeafPart[] } {
  const passages = new Map<number | LeafPart, Passage>()
  const files: LeafPart[] = []
  for (const part of parts) {
    const kind = part.type.value
    if ((kind !== 'text/html' && kind !== 'text/plain') || dispositionOf(part) === 'attachment') {
      files.push(part)
      continue
    }
    const place = part.within.findLast(({ subtype }) => subtype === 'alternative')?.id ?? part
    const passage = passages.get(place) ?? { html: '', text: '' }
    passages.set(place, passage)
    const content = withLastLineEnded(textOf(contentOf(part), part.type), part)
    if (kind === 'text/html') passage.html += content
    else passage.text += content
  }
  const all = [...passages.values()]
  const html = all.some((passage) => passage.html !== '')
    ? all
        .map((passage) => passage.html || (passage.text && `<pre>${escaped(passage.text)}</pre>\n`))
        .join('\n')
    : undefined
  const text = all.map((passage) => passage.text).filter((passage) => passage !== '')
  return { ...optional('html', html), ...(text.length === 0 ? {} : { text: text.join('\n') }), files }
}

/** Restores the line break at the end, which belongs to the delimiter (RFC 2046 section 5.1.1), unless the part is base64. */
function withLastLineEnded(text: string, { header }: LeafPart): string {
  const encoding = valueOf(header, 'content-transfer-encoding')?.trim().toLowerCase()
  return text === '' || text.endsWith('\n') || encoding === 'base64' ? text : `${text}\n`
}

function attachmentOf(part: LeafPart, shown: ReadonlySet<string>): InboxAttachment {
  const disposition = valueOf(part.header, 'content-disposition')
  const filename =
    (disposition === undefined ? undefined : parameterOf(parseStructuredField(disposition), 'filename')) ??
    parameterOf(part.type, 'name')
  const cid = valueOf(part.header, 'content-id')?.trim().replace(/^<|>$/g, '')
  return {
    ...optional('filename', filename),
    contentType: part.type.value,
    ...optional('cid', cid),
    inline: cid !== undefined && shown.has(cid),
    content: contentOf(part),
  }
}

function contentOf({ header, body }: LeafPart): Uint8Array {
  return decodeBody(body, valueOf(header, 'content-transfer-encoding') ?? '')
}

function dispositionOf({ header }: LeafPart): string {
  return parseStructuredField(valueOf(header, 'content-disposition') ?? '').value
}

/** The addresses of a header. Groups are replaced by their members. */
export function addressesOf(header: readonly HeaderField[], name: string): InboxAddress[] {
  const value = header
    .filter((field) => field.name.toLowerCase() === name)
    .map((field) => field.value)
    .join(', ')
  return addressParser(value.slice(0, MAX_LIST))
    .flatMap((entry) => entry.group ?? [entry])
    .slice(0, MAX_ADDRESSES)
    .map((entry) => ({ name: entry.name, address: entry.address }))
}

function dateOf(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const time = Date.parse(value.slice(0, 100))
  return Number.isNaN(time) ? value : new Date(time).toISOString()
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function optional<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

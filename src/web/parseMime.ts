import { addressParser, decodeWords } from 'postal-mime'
import { decodeBody, parameterOf, textOf } from './mimeBody.js'
import {
  type HeaderField,
  type LeafPart,
  MAX_FIELDS,
  MAX_PARTS,
  parseStructuredField,
  parseStructure,
  valueOf,
} from './mimeStructure.js'

/** Characters of a mail's HTML that a frame shows. Gmail clips at a tenth of it. */
export const MAX_SHOWN_HTML = 1024 * 1024

/** One place in HTML or CSS that refers to a part by its Content-ID (RFC 2392). */
interface Reference {
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
  /** As the sender named it: never use it as a path. */
  filename?: string
  contentType: string
  /** Content-ID without its angle brackets: what `cid:` in the HTML refers to. */
  cid?: string
  /** Whether the HTML shows it (an inline image), so that it is no attachment to the reader. */
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
  /** With its angle brackets. */
  messageId?: string
  /** ISO 8601, or the header's value where it is no date. */
  date?: string
  /** All headers in their order, unfolded but not decoded. */
  headers: { name: string; value: string }[]
  html?: string
  text?: string
  /** At most 1,000. */
  attachments: InboxAttachment[]
  /** What was left out because there is too much of it, in sentences; empty for nearly every mail. */
  leftOut: string[]
}

/** Characters of one list of addresses, and addresses in it, that are looked at. */
const LIST_LENGTH = 64 * 1024
const MOST_ADDRESSES = 1_000

/**
 * Parses a mail in one pass, in time that grows with its size only. Anything is a mail: what is broken gives less, never an
 * error. An attached mail (`message/rfc822`) is a file like others.
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
    ...given('from', addressesOf(header, 'from')[0]),
    to: addressesOf(header, 'to'),
    cc: addressesOf(header, 'cc'),
    bcc: addressesOf(header, 'bcc'),
    replyTo: addressesOf(header, 'reply-to'),
    ...given('messageId', decoded('message-id')),
    ...given('date', dateOf(valueOf(header, 'date'))),
    headers: header,
    ...given('html', html),
    ...given('text', text),
    attachments: files.map((part) => attachmentOf(part, shown)),
    leftOut: [
      ...(leftOut.has('headers')
        ? [`The header is too long: its first ${MAX_FIELDS} fields are shown at most.`]
        : []),
      ...(leftOut.has('parts')
        ? [`The mail has too many parts: only the first of them, ${MAX_PARTS} at most, are shown.`]
        : []),
    ],
  }
}

/** One place in the mail where there is something to read, in one form or in both. */
interface Passage {
  html: string
  text: string
}

/**
 * What there is to read, and what there is beside it. The forms of one multipart/alternative are one passage; else each part
 * is its own, so that a footer that was added to a mail is read after it.
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
  return { ...given('html', html), ...(text.length === 0 ? {} : { text: text.join('\n') }), files }
}

/** The line break before a delimiter belongs to the delimiter; lines that are not encoded end all the same. */
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
    ...given('filename', filename),
    contentType: part.type.value,
    ...given('cid', cid),
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

/** Groups are replaced by their members. */
function addressesOf(header: readonly HeaderField[], name: string): InboxAddress[] {
  const value = header
    .filter((field) => field.name.toLowerCase() === name)
    .map((field) => field.value)
    .join(', ')
  return addressParser(value.slice(0, LIST_LENGTH))
    .flatMap((entry) => entry.group ?? [entry])
    .slice(0, MOST_ADDRESSES)
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

function given<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

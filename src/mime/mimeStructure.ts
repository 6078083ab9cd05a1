/** Maximum number of leaf parts that are read; later ones are only in the raw mail. */
export const MAX_PARTS = 1_000
/** Maximum nesting of multiparts; a deeper one is treated as a file. */
export const MAX_DEPTH = 30
/** Maximum size in bytes of the mail's header, and of a part's header. */
const MAX_HEADER = 256 * 1024
const MAX_PART_HEADER = 16 * 1024
/** Maximum number of fields in the mail's header. */
export const MAX_FIELDS = 1_000
/** Maximum number of lines that look like delimiters but aren't; the rest of the mail is then not parsed. */
const MAX_LOOKALIKES = 200_000
/** Maximum length of a boundary. RFC 2046 section 5.1.1 allows 70. */
const MAX_BOUNDARY = 200
/** Maximum number of characters of a structured field that are read. */
const MAX_FIELD_LENGTH = 8_192

export interface HeaderField {
  name: string
  /** Unfolded, not decoded. */
  value: string
}

/** The value and the parameters of a field such as Content-Type (RFC 2045 section 5.1). */
export interface StructuredField {
  /** In lower case. */
  value: string
  /** By name in lower case. Parameters split into sections (RFC 2231) are not joined yet. */
  parameters: Map<string, string>
}

/** A part without parts of its own. */
export interface LeafPart {
  header: readonly HeaderField[]
  type: StructuredField
  /** Still encoded: a view of the mail's bytes. */
  body: Uint8Array
  /** The enclosing multiparts, outermost first, with their ordinal numbers and subtypes. */
  within: readonly { id: number; subtype: string }[]
}

export interface MimeStructure {
  header: HeaderField[]
  parts: LeafPart[]
  /** The kinds of content that exceeded the limits above, and are incomplete. */
  leftOut: Set<'headers' | 'parts' | 'depth'>
}

interface Multipart {
  id: number
  subtype: string
  boundary: string
}

interface Delimiter {
  /** Position of the line break before it, which belongs to the delimiter (RFC 2046 section 5.1.1). */
  start: number
  /** Position of the next line. */
  end: number
  level: number
  closing: boolean
}

/**
 * Splits a mail into its parts in one pass: each line is read once, whatever the nesting. Any input is accepted; a broken structure
 * results in fewer parts, never in an error.
 */
export function parseStructure(raw: Uint8Array): MimeStructure {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const top = headerAt(bytes, 0, [], MAX_HEADER)
  const structure: MimeStructure = { header: top.fields.slice(0, MAX_FIELDS), parts: [], leftOut: new Set() }
  if (top.cut || top.fields.length > MAX_FIELDS) structure.leftOut.add('headers')

  const open: Multipart[] = []
  let header = top.fields
  let body = top.end
  const lookalikes = { left: MAX_LOOKALIKES }
  let multiparts = 0
  let inPart = true
  for (;;) {
    const type = parseStructuredField(valueOf(header, 'content-type') ?? defaultType(open))
    const boundary = type.parameters.get('boundary') ?? ''
    const nested =
      inPart && type.value.startsWith('multipart/') && boundary !== '' && boundary.length <= MAX_BOUNDARY
    const branches = nested && open.length < MAX_DEPTH
    if (nested && !branches) structure.leftOut.add('depth')
    if (branches) open.push({ id: ++multiparts, subtype: type.value.slice('multipart/'.length), boundary })

    const delimiter = nextDelimiter(bytes, body, open, lookalikes)
    if (inPart && !branches) {
      if (structure.parts.length >= MAX_PARTS) {
        structure.leftOut.add('parts')
        return structure
      }
      const within = open.map(({ id, subtype }) => ({ id, subtype }))
      const end = Math.max(body, delimiter?.start ?? bytes.length)
      structure.parts.push({ header, type, body: bytes.subarray(body, end), within })
    }
    if (delimiter === undefined) {
      if (lookalikes.left < 0) structure.leftOut.add('parts')
      return structure
    }
    open.length = delimiter.closing ? delimiter.level : delimiter.level + 1
    // An epilogue, between the end of a multipart and the next delimiter, is ignored.
    inPart = !delimiter.closing
    if (inPart) {
      const next = headerAt(bytes, delimiter.end, open, MAX_PART_HEADER)
      header = next.fields
      body = next.end
    } else body = delimiter.end
  }
}

export function valueOf(header: readonly HeaderField[], name: string): string | undefined {
  return header.find((field) => field.name.toLowerCase() === name)?.value
}

/** Parses a field such as `text/plain; charset="utf-8"`. */
export function parseStructuredField(field: string): StructuredField {
  const text = field.slice(0, MAX_FIELD_LENGTH)
  const end = text.indexOf(';')
  const value = (end === -1 ? text : text.slice(0, end)).replace(/\(.*/s, '').trim().toLowerCase()
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, token = ''] of text.matchAll(
    /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/gs,
  )) {
    const key = name.toLowerCase()
    if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/gs, '$1') ?? token)
  }
  return { value, parameters }
}

function defaultType(open: readonly Multipart[]): string {
  return open.at(-1)?.subtype === 'digest' ? 'message/rfc822' : 'text/plain'
}

/** Reads a header, which ends at an empty line, at a delimiter of an enclosing multipart, or at the end of the mail. */
function headerAt(
  bytes: Buffer,
  start: number,
  open: readonly Multipart[],
  limit: number,
): { fields: HeaderField[]; end: number; cut: boolean } {
  const lines: string[][] = []
  let at = start
  let cut = false
  while (at < bytes.length) {
    const feed = bytes.indexOf(LF, at)
    const next = feed === -1 ? bytes.length : feed + 1
    const end = feed > at && bytes[feed - 1] === CR ? feed - 1 : feed === -1 ? bytes.length : feed
    if (end === at) return { fields: lines.map(fieldOf), end: next, cut }
    if (delimiterOf(bytes, at, end, open) !== undefined) break
    if (end - start > limit) cut = true
    else {
      const line = bytes.toString('utf8', at, end)
      if (/^[ \t]/.test(line)) lines.at(-1)?.push(line)
      else lines.push([line])
    }
    at = next
  }
  return { fields: lines.map(fieldOf), end: at, cut }
}

/** Parses a field. A line without a colon becomes a field with that name and no value, so that it is shown. */
function fieldOf(lines: readonly string[]): HeaderField {
  const [first = ''] = lines
  const colon = first.indexOf(':')
  if (colon === -1) return { name: first.trim(), value: '' }
  const rest = [first.slice(colon + 1), ...lines.slice(1)].map((line) => line.trim())
  return { name: first.slice(0, colon).trim(), value: rest.join(' ').trim() }
}

const LF = 0x0a
const CR = 0x0d
const DASH = 0x2d
const NEXT_LOOKALIKE = Buffer.from('\n--')

function nextDelimiter(
  bytes: Buffer,
  from: number,
  open: readonly Multipart[],
  lookalikes: { left: number },
): Delimiter | undefined {
  if (open.length === 0) return undefined
  // The first line may be a delimiter; its line break was the last character before `from`.
  let line = from
  while (line < bytes.length) {
    if (bytes[line] === DASH && bytes[line + 1] === DASH) {
      const feed = bytes.indexOf(LF, line)
      const end = feed === -1 ? bytes.length : feed
      const found = delimiterOf(bytes, line, end, open)
      if (found !== undefined) {
        const before = line > from ? line - 1 : line
        const start = before > from && bytes[before - 1] === CR ? before - 1 : before
        return { ...found, start, end: Math.min(end + 1, bytes.length) }
      }
    }
    const next = bytes.indexOf(NEXT_LOOKALIKE, line)
    if (next === -1 || lookalikes.left-- <= 0) return undefined
    line = next + 1
  }
  return undefined
}

/** The multipart that a delimiter line ends or continues: the innermost one with that boundary. */
function delimiterOf(
  bytes: Buffer,
  start: number,
  end: number,
  open: readonly Multipart[],
): { level: number; closing: boolean } | undefined {
  if (bytes[start] !== DASH || bytes[start + 1] !== DASH) return undefined
  // The third character rules out most lines that begin with dashes.
  if (!open.some(({ boundary }) => boundary.charCodeAt(0) === bytes[start + 2])) return undefined
  let last = end
  // Padding (RFC 2046 section 5.1.1), and the CR of the line break.
  while (last > start && (bytes[last - 1] === 0x20 || bytes[last - 1] === 0x09 || bytes[last - 1] === CR))
    last--
  if (last - start > MAX_BOUNDARY + 4) return undefined
  const name = bytes.toString('latin1', start + 2, last)
  for (let level = open.length - 1; level >= 0; level--) {
    const { boundary } = open[level]!
    if (name === boundary) return { level, closing: false }
    if (name.length === boundary.length + 2 && name.endsWith('--') && name.startsWith(boundary))
      return { level, closing: true }
  }
  return undefined
}

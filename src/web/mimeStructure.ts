/** Leaf parts of one mail that are looked at; later ones are in the raw mail only. */
export const MAX_PARTS = 1_000
/** Multiparts inside one another; a deeper one is taken as a file. */
const MOST_LEVELS = 30
/** Bytes of the mail's own header, and of a part's, that are looked at. */
const HEADER_BYTES = 256 * 1024
const PART_HEADER_BYTES = 16 * 1024
/** Fields of the mail's own header. */
export const MAX_FIELDS = 1_000
/** Lines between parts that look like delimiters and are none; behind them the mail is not taken apart any further. */
const MOST_LOOKALIKES = 200_000
/** Characters of a boundary. RFC 2046 section 5.1.1 allows 70. */
const BOUNDARY_LENGTH = 200
/** Characters of a structured field that are looked at. */
const FIELD_LENGTH = 8_192

export interface HeaderField {
  name: string
  /** Unfolded, not decoded. */
  value: string
}

/** The value and the parameters of a field such as Content-Type (RFC 2045 section 5.1). */
export interface StructuredField {
  /** In lower case. */
  value: string
  /** By name in lower case; parameters in several sections (RFC 2231) are still in these. */
  parameters: Map<string, string>
}

/** A part that has no parts in it. */
export interface LeafPart {
  header: readonly HeaderField[]
  type: StructuredField
  /** Still encoded: a view of the mail's bytes. */
  body: Uint8Array
  /** Ordinal numbers of the multiparts around it, outermost first, with their subtypes. */
  within: readonly { id: number; subtype: string }[]
}

export interface MimeStructure {
  header: HeaderField[]
  parts: LeafPart[]
  /** What the limits above kept out. */
  leftOut: Set<'headers' | 'parts'>
}

interface Multipart {
  id: number
  subtype: string
  boundary: string
}

interface Delimiter {
  /** Where the line break before it begins, which belongs to it (RFC 2046 section 5.1.1). */
  start: number
  /** Where the line after it begins. */
  end: number
  level: number
  closing: boolean
}

/**
 * Takes a mail apart in one pass: each line is looked at once, whatever the nesting. Anything is a mail; broken structure
 * gives fewer parts, never an error.
 */
export function parseStructure(raw: Uint8Array): MimeStructure {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  const top = headerAt(bytes, 0, [], HEADER_BYTES)
  const structure: MimeStructure = { header: top.fields.slice(0, MAX_FIELDS), parts: [], leftOut: new Set() }
  if (top.cut || top.fields.length > MAX_FIELDS) structure.leftOut.add('headers')

  const open: Multipart[] = []
  let header = top.fields
  let body = top.end
  const lookalikes = { left: MOST_LOOKALIKES }
  let multiparts = 0
  let inPart = true
  for (;;) {
    const type = parseStructuredField(valueOf(header, 'content-type') ?? defaultType(open))
    const boundary = type.parameters.get('boundary') ?? ''
    const branches =
      inPart &&
      type.value.startsWith('multipart/') &&
      boundary !== '' &&
      boundary.length <= BOUNDARY_LENGTH &&
      open.length < MOST_LEVELS
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
    // Between the end of a multipart and the next delimiter is an epilogue, which is nothing to anybody.
    inPart = !delimiter.closing
    if (inPart) {
      const next = headerAt(bytes, delimiter.end, open, PART_HEADER_BYTES)
      header = next.fields
      body = next.end
    } else body = delimiter.end
  }
}

export function valueOf(header: readonly HeaderField[], name: string): string | undefined {
  return header.find((field) => field.name.toLowerCase() === name)?.value
}

/** Reads a field such as `text/plain; charset="utf-8"`. */
export function parseStructuredField(field: string): StructuredField {
  const text = field.slice(0, FIELD_LENGTH)
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

/** A header ends at an empty line, at a delimiter of a multipart around it, or with the mail. */
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

/** A line without a colon is a field of this name without a value, so that it is seen. */
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
  // The first line may be one already; its line break was the last of what came before.
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

/** Which multipart a line ends or goes on with; the innermost of those with the same boundary. */
function delimiterOf(
  bytes: Buffer,
  start: number,
  end: number,
  open: readonly Multipart[],
): { level: number; closing: boolean } | undefined {
  if (bytes[start] !== DASH || bytes[start + 1] !== DASH) return undefined
  // Most lines that begin with dashes are no delimiters, which their third character tells.
  if (!open.some(({ boundary }) => boundary.charCodeAt(0) === bytes[start + 2])) return undefined
  let last = end
  // Padding (RFC 2046 section 5.1.1), and the CR of the line break.
  while (last > start && (bytes[last - 1] === 0x20 || bytes[last - 1] === 0x09 || bytes[last - 1] === CR))
    last--
  if (last - start > BOUNDARY_LENGTH + 4) return undefined
  const name = bytes.toString('latin1', start + 2, last)
  for (let level = open.length - 1; level >= 0; level--) {
    const { boundary } = open[level]!
    if (name === boundary) return { level, closing: false }
    if (name.length === boundary.length + 2 && name.endsWith('--') && name.startsWith(boundary))
      return { level, closing: true }
  }
  return undefined
}

import { decodeWords } from 'postal-mime'
import type { StructuredField } from './mimeStructure.js'

/** Decodes a Content-Transfer-Encoding (RFC 2045 section 6). Invalid sequences are kept unchanged. */
export function decodeBody(body: Uint8Array, encoding: string): Uint8Array {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  switch (encoding.trim().toLowerCase()) {
    case 'base64':
      return new Uint8Array(Buffer.from(bytes.toString('latin1'), 'base64'))
    case 'quoted-printable':
      return decodeQuotedPrintable(bytes)
    default:
      return body
  }
}

/** Maximum number of characters of a flowed text whose lines are joined. */
const FLOWED = 1024 * 1024

/** Decodes the text of a part, with `\n` as line break. */
export function textOf(content: Uint8Array, { value, parameters }: StructuredField): string {
  const text = decoderOf(parameters.get('charset')).decode(content).replaceAll('\r\n', '\n')
  const flowed = value === 'text/plain' && parameters.get('format')?.toLowerCase() === 'flowed'
  if (!flowed) return text
  return unflow(text.slice(0, FLOWED), parameters.get('delsp')?.toLowerCase() === 'yes') + text.slice(FLOWED)
}

/** A parameter, with its sections joined and decoded (RFC 2231). Encoded words are decoded too: RFC 2047 forbids them here, but mails have them. */
export function parameterOf({ parameters }: StructuredField, name: string): string | undefined {
  const plain = parameters.get(name)
  if (plain !== undefined) return decodeWords(plain)
  const single = parameters.get(`${name}*`)
  if (single !== undefined) {
    const { charset, text } = extendedOf(single)
    return decoderOf(charset).decode(percentDecoded(text))
  }
  const pieces: Uint8Array[] = []
  let charset: string | undefined
  for (let section = 0; ; section++) {
    const literal = parameters.get(`${name}*${section}`)
    const encoded = parameters.get(`${name}*${section}*`)
    if (literal !== undefined) pieces.push(Buffer.from(literal))
    else if (encoded !== undefined) {
      const extended = section === 0 ? extendedOf(encoded) : { charset, text: encoded }
      charset = extended.charset
      pieces.push(percentDecoded(extended.text))
    } else break
  }
  return pieces.length === 0 ? undefined : decoderOf(charset).decode(Buffer.concat(pieces))
}

/** `utf-8'en'text` */
function extendedOf(value: string): { charset: string | undefined; text: string } {
  const [charset, language, ...text] = value.split("'")
  return language === undefined || text.length === 0
    ? { charset: undefined, text: value }
    : { charset, text: text.join("'") }
}

function percentDecoded(text: string): Uint8Array {
  return Buffer.from(
    text
      .replace(/[^\x00-\xff]/g, '?')
      .replace(/%([\da-f]{2})/gi, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}

/** For an unknown charset, each byte becomes one character, so that ASCII is readable. */
function decoderOf(charset = 'utf-8'): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset.trim().slice(0, 40))
  } catch {
    return new TextDecoder('windows-1252')
  }
}

const EQUALS = 0x3d
const CR = 0x0d
const LF = 0x0a

function decodeQuotedPrintable(bytes: Buffer): Uint8Array {
  const decoded = new Uint8Array(bytes.length)
  let length = 0
  /** Start of the white space at the end of the line, which was added in transit (RFC 2045 section 6.7, rule 3). */
  let solid = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === EQUALS) {
      const high = hexOf(bytes[at + 1])
      const low = hexOf(bytes[at + 2])
      if (high >= 0 && low >= 0) {
        decoded[length++] = high * 16 + low
        solid = length
        at += 2
        continue
      }
      const soft = bytes[at + 1] === CR && bytes[at + 2] === LF ? 2 : bytes[at + 1] === LF ? 1 : 0
      if (soft > 0 || at + 1 === bytes.length) {
        at += soft
        solid = length
        continue
      }
    }
    if (byte === LF || (byte === CR && bytes[at + 1] === LF)) length = solid
    decoded[length++] = byte
    if (byte !== 0x20 && byte !== 0x09) solid = length
  }
  return decoded.subarray(0, length)
}

function hexOf(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Joins the lines of each paragraph (RFC 3676): lines that end with a space and have the same quote depth as the next. */
function unflow(text: string, deletesSpace: boolean): string {
  const lines: string[] = []
  let paragraph: string[] = []
  let depth = 0
  for (const line of text.split('\n')) {
    let quotes = 0
    while (line.charCodeAt(quotes) === 0x3e) quotes++
    const content = line.startsWith(' ', quotes) ? line.slice(quotes + 1) : line.slice(quotes)
    const flows = content.endsWith(' ') && content !== '-- '
    if (paragraph.length > 0 && quotes === depth && content !== '-- ') paragraph.push(content)
    else {
      if (paragraph.length > 0) lines.push(paragraph.join(''))
      paragraph = [quotes === 0 ? content : `${'>'.repeat(quotes)} ${content}`]
    }
    depth = quotes
    if (flows) {
      if (deletesSpace) paragraph.push(paragraph.pop()!.slice(0, -1))
    } else {
      lines.push(paragraph.join(''))
      paragraph = []
    }
  }
  if (paragraph.length > 0) lines.push(paragraph.join(''))
  return lines.join('\n')
}

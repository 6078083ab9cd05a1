/** Text of header fields: folding (RFC 5322 section 2.2.3) and encoded words (RFC 2047). */

/** RFC 5322 section 2.1.1: a line should have at most 78 characters, and must have at most 998 octets. */
const LINE = 76
const HARD_LINE = 998
/** Characters of an encoded word; leaves room for a field name on the same line. */
const MAX_WORD = 64
const WORD_START = '=?UTF-8?Q?'
const WORD_END = '?='
/** Printable ASCII without anything that looks like an encoded word. */
const PLAIN = /^[\x20-\x7e]*$/
/** Characters that stay as they are in an encoded word, even in a phrase (RFC 2047 section 5). */
const LITERAL = /^[A-Za-z0-9!*+/-]$/

export function isPlain(text: string): boolean {
  return PLAIN.test(text) && !text.includes('=?')
}

/**
 * Writes a field. Lines break before white space only, so unfolding restores the value exactly, and each line contains a word:
 * a line of nothing but white space would be obsolete syntax, which some servers take for the end of the header.
 */
export function field(name: string, value: string): string {
  const line = `${name}: ${value}`
  if (line.length <= LINE) return `${line}\r\n`
  let text = ''
  let column = 0
  for (const segment of segmentsOf(line)) {
    if (column > 0 && column + segment.length > LINE && text !== `${name}:`) {
      text += '\r\n'
      column = 0
    }
    text += segment
    column += segment.length
  }
  return `${text}\r\n`
}

/**
 * Writes a field with parameters (RFC 2045 section 5.1). Lines break between parameters only: some parsers keep a line break
 * inside a quoted string.
 */
export function parameterized(name: string, value: string): string {
  const parameters = value.match(/(?:"(?:[^"\\]|\\.)*"|[^;"])+/g) ?? []
  let text = `${name}:`
  let column = text.length
  for (const [index, parameter] of parameters.entries()) {
    const segment = ` ${parameter.trim()}${index === parameters.length - 1 ? '' : ';'}`
    if (index > 0 && column + segment.length > LINE) {
      text += '\r\n'
      column = 0
    }
    text += segment
    column += segment.length
  }
  return `${text}\r\n`
}

/** Splits a text into words with the white space before them. White space at the end belongs to the last word. */
function segmentsOf(text: string): string[] {
  const segments = text.split(/(?<=[^ \t])(?=[ \t])/)
  const last = segments.at(-1)
  if (segments.length < 2 || last === undefined || /[^ \t]/.test(last)) return segments
  return [...segments.slice(0, -2), `${segments.at(-2) ?? ''}${last}`]
}

/** Writes a field of free text (RFC 5322 section 2.2.1). What doesn't fit a header line as it is becomes encoded words. */
export function unstructured(name: string, value: string): string {
  if (isPlain(value) && fitsLines(name, value)) return field(name, value)
  return field(name, encodedWords(value))
}

function fitsLines(name: string, value: string): boolean {
  if (name.length + 2 + value.length <= HARD_LINE) return true
  return segmentsOf(`${name}: ${value}`).every(({ length }) => name.length + 2 + length <= HARD_LINE)
}

/** Encodes a text as encoded words of whole characters. Decoders drop the spaces between them, so the text is kept exactly. */
export function encodedWords(text: string): string {
  const words: string[] = []
  let word = ''
  for (const character of text.toWellFormed()) {
    const encoded = encodeCharacter(character)
    if (WORD_START.length + word.length + encoded.length + WORD_END.length > MAX_WORD) {
      words.push(word)
      word = ''
    }
    word += encoded
  }
  words.push(word)
  return words.map((each) => `${WORD_START}${each}${WORD_END}`).join(' ')
}

function encodeCharacter(character: string): string {
  if (character === ' ') return '_'
  if (LITERAL.test(character)) return character
  return Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '=$&')
}

/** A display name or another phrase (RFC 5322 section 3.2.5): plain words, a quoted string, or encoded words. */
export function phrase(text: string): string {
  if (/^[\w]+(?: [\w]+)*$/.test(text)) return text
  return isPlain(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : encodedWords(text)
}

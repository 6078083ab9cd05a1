const ENCODED_WORD = /=\?([^?\s]{1,40})\?([bq])\?([^?\s]{0,2000})\?=/gi
/** White space between two encoded words is not part of the text (RFC 2047 section 6.2). */
const BETWEEN = /(\?=)[ \t]{1,100}(?==\?)/g

/** Decodes the encoded words of a header value (RFC 2047). A word in an unknown charset stays as it is. */
export function decodeEncodedWords(value: string): string {
  if (!value.includes('=?')) return value
  return value
    .replace(BETWEEN, '$1')
    .replace(ENCODED_WORD, (word, charset: string, encoding: string, text: string) => {
      const octets = encoding.toLowerCase() === 'b' ? Buffer.from(text, 'base64') : fromQ(text)
      try {
        return new TextDecoder(charset.replace(/\*.*/, '')).decode(octets)
      } catch {
        return word
      }
    })
}

function fromQ(text: string): Buffer {
  const octets = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(octets, 'latin1')
}

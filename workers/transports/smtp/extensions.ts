/** What the server offers, read from its reply to the last EHLO (RFC 5321 section 4.1.1.1). */
export interface Extensions {
  /** RFC 2920. */
  pipelining: boolean
  /** RFC 6152. */
  eightBitMime: boolean
  /** RFC 6531. */
  smtpUtf8: boolean
  /** RFC 1870. */
  size: boolean
  /** Octets a message may have at most; 0 where the server doesn't say. */
  maxSize: number
  /** Keywords as announced, upper case, without the server's name. */
  keywords: string[]
}

/** @param reply the whole reply to EHLO, or to HELO, which offers nothing */
export function parseExtensions(reply: string): Extensions {
  const lines = reply
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.slice(4).trim().toUpperCase())
    .filter((line) => line !== '')
  const has = (keyword: string): boolean =>
    lines.some((line) => line === keyword || line.startsWith(`${keyword} `))
  const maxSize = Number(
    lines.map((line) => /^SIZE +(\d{1,15})$/.exec(line)?.[1]).find((digits) => digits !== undefined) ?? 0,
  )
  return {
    pipelining: has('PIPELINING'),
    eightBitMime: has('8BITMIME'),
    smtpUtf8: has('SMTPUTF8'),
    size: has('SIZE'),
    maxSize,
    keywords: lines,
  }
}

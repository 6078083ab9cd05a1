/** The extensions that a message requires of a server, and their parameters of MAIL. */
import { isAsciiText, isWireAddress } from '../../../src/protocol/addressForms.js'
import { unsupported } from '../sendResults.js'
import type { Envelope, SendResult } from '../transport.js'
import type { Extensions } from './connect.js'
import type { MailData } from './mailData.js'

/**
 * Returns the result of a message that must not be sent to a server with these extensions; undefined for any other.
 * @param to the recipients that the server can be asked about
 */
export function unmetRequirement(
  { from, to: all }: Envelope,
  to: readonly string[],
  data: MailData,
  { maxSize, eightBitMime, smtpUtf8 }: Extensions,
): SendResult | undefined {
  const unsafe = (from === '' ? all : [from, ...all]).find((address) => !isWireAddress(address))
  if (unsafe !== undefined)
    return unsupported('INVALID_MESSAGE', `${JSON.stringify(unsafe)} is not a valid address.`)
  if (maxSize > 0 && data.size > maxSize)
    return unsupported(
      'SIZE_EXCEEDED',
      `The message is ${data.size} bytes long; the server accepts at most ${maxSize}.`,
    )
  if (!smtpUtf8 && needsUtf8(from, to, data))
    return unsupported(
      'SMTPUTF8_UNSUPPORTED',
      'An address or a header contains non-ASCII characters, and the server does not support them (SMTPUTF8).',
    )
  if (!eightBitMime && data.eightBit && !data.utf8Header)
    return unsupported(
      '8BITMIME_UNSUPPORTED',
      'The body contains non-ASCII characters, and the server does not support them (8BITMIME).',
    )
  return undefined
}

/** Returns the parameters of MAIL, each with the space in front of it. */
export function mailParameters(
  { from }: Envelope,
  to: readonly string[],
  data: MailData,
  { size, eightBitMime }: Extensions,
): string {
  return [
    size ? ` SIZE=${data.size}` : '',
    eightBitMime && data.eightBit ? ' BODY=8BITMIME' : '',
    needsUtf8(from, to, data) ? ' SMTPUTF8' : '',
  ].join('')
}

function needsUtf8(from: string, to: readonly string[], { utf8Header }: MailData): boolean {
  return utf8Header || !isAsciiText(from) || to.length === 0 || !to.every(isAsciiText)
}

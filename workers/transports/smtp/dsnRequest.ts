import { isAsciiText } from '../../../src/protocol/addressForms.js'
import type { Envelope, OutgoingMail } from '../transport.js'
import type { Extensions } from './connect.js'

/** The envelope of a mail, with its id if the transport asks for delivery status notifications. */
export function envelopeOf({ envelope, payload }: OutgoingMail, { dsn }: { dsn?: true }): Envelope {
  return dsn === true ? { ...envelope, envid: payload.id } : envelope
}

/**
 * MAIL, and one RCPT per recipient. Where the server offers DSN (RFC 3461), they ask for notifications that name the message and the
 * recipient as it was given to us; without a reverse-path, nobody could receive them.
 * @param parameters of MAIL
 */
export function envelopeCommands(
  { from, envid }: Envelope,
  to: readonly string[],
  { dsn }: Pick<Extensions, 'dsn'>,
  parameters: string,
): string[] {
  const asks = dsn && envid !== undefined && from !== ''
  return [
    `MAIL FROM:<${from}>${parameters}${asks ? ` RET=HDRS ENVID=${envid}` : ''}\r\n`,
    ...to.map((address) => `RCPT TO:<${address}>${asks ? notifyParameters(address) : ''}\r\n`),
  ]
}

function notifyParameters(address: string): string {
  const original = isAsciiText(address) ? ` ORCPT=rfc822;${xtext(address)}` : ''
  return ` NOTIFY=SUCCESS,FAILURE,DELAY${original}`
}

/** RFC 3461 section 4: everything but printable ASCII without `+` and `=` is a `+` and two digits. */
function xtext(text: string): string {
  return text.replace(
    /[^!-*,-<>-~]/g,
    (character) => `+${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

import type { Letter } from '../../src/wire/tasks.js'
import { composeWithNodemailer } from './composer.js'
import { buildMessage, type MessageParts } from './message.js'
import type { Lease } from './octets.js'

/** A message (RFC 5322) as octets, with CRLF line ends. */
export interface Composed {
  bytes: Buffer
  /**
   * It is known to be in the form in which it follows a 354: ASCII, every line ended by CRLF, none beginning with a
   * dot. False where nobody has looked.
   */
  transparent: boolean
  /** Of the memory in which they stand, if it can be used again. */
  lease?: Lease
}

/**
 * What has no attachment is built here, at a small part of the cost; everything else goes through nodemailer's
 * composer.
 */
export function compose(letter: Letter, parts: MessageParts): Composed | Promise<Composed> {
  if (letter.attachments.length === 0) return buildMessage(letter, parts)
  return composeWithNodemailer(letter, parts).then((bytes) => ({ bytes, transparent: false }))
}

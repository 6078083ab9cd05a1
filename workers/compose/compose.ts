import type { Letter } from '../../src/wire.js'
import { composeWithNodemailer } from './composer.js'
import { buildMessage, type MessageParts } from './message.js'

/**
 * The message as octets, with CRLF line ends. What has no attachment is built here, at a small part of the cost;
 * everything else goes through nodemailer's composer.
 */
export function compose(letter: Letter, parts: MessageParts): Buffer | Promise<Buffer> {
  if (letter.attachments.length === 0) return buildMessage(letter, parts)
  return composeWithNodemailer(letter, parts)
}

import { isAsciiText } from '../../src/protocol/addressForms.js'
import { unsupported } from './sendResults.js'
import type { OutgoingMail, SendResult } from './transport.js'

/** Whether the addresses of the sender are ASCII. */
function hasAsciiSender({ envelope: { from }, payload }: OutgoingMail): boolean {
  const { sender } = payload
  const own = [payload.from, ...(sender === undefined ? [] : [sender]), ...payload.replyTo]
  return [from, ...own.map(({ address }) => address)].every(isAsciiText)
}

/** Whether all addresses of a message are ASCII, so that every service can send it. */
export function isAsciiOnly(mail: OutgoingMail): boolean {
  return mail.envelope.to.every(isAsciiText) && hasAsciiSender(mail)
}

/**
 * Sends through a service that has no SMTPUTF8: the ASCII version, without the recipients that it can't take. Those fail alone;
 * a sender that it can't take fails the message.
 */
export async function sendInAscii(
  mail: OutgoingMail,
  send: (mail: OutgoingMail) => Promise<SendResult>,
): Promise<SendResult> {
  const { envelope, asciiVersion } = mail
  const to = envelope.to.filter(isAsciiText)
  if (to.length === 0 || !hasAsciiSender(mail))
    return unsupported(
      'SMTPUTF8_UNSUPPORTED',
      'The local part of an address contains non-ASCII characters, and the service does not support them.',
    )
  if (to.length === envelope.to.length && asciiVersion === undefined) return send(mail)
  const composed = asciiVersion ?? mail.composed
  const result = await send({ ...mail, composed, envelope: { ...envelope, to } })
  if (result.recipients.length !== to.length) return result
  const refused = envelope.to.filter((address) => !isAsciiText(address))
  return {
    ...result,
    recipients: [
      ...result.recipients,
      ...refused.map((address) => ({
        address,
        result: 'rejected' as const,
        code: 'SMTPUTF8_UNSUPPORTED' as const,
      })),
    ],
  }
}

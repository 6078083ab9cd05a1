import { isAsciiText } from '../../src/protocol/addressForms.js'
import { unsupported } from './sendResults.js'
import type { OutgoingMail, SendResult } from './transport.js'

/**
 * Sends through a service that has no SMTPUTF8: the ASCII version, without the recipients that it can't take. Those fail alone;
 * a sender that it can't take fails the message.
 */
export async function sendInAscii(
  mail: OutgoingMail,
  send: (mail: OutgoingMail) => Promise<SendResult>,
): Promise<SendResult> {
  const { envelope, payload, asciiVersion } = mail
  const to = envelope.to.filter(isAsciiText)
  const own = [payload.from, ...(payload.sender === undefined ? [] : [payload.sender]), ...payload.replyTo]
  if (to.length === 0 || ![envelope.from, ...own.map(({ address }) => address)].every(isAsciiText))
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

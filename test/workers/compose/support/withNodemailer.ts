import MailComposer from 'nodemailer/lib/mail-composer'
import type { MessagePayload } from '../../../../src/protocol/tasks.js'
import { mailOptions } from '../../../../workers/transports/pluginSender.js'

/** The same message, as nodemailer's composer builds it. */
export function composeWithNodemailer(
  letter: MessagePayload,
  parts: { subject: string; html: string; text: string },
): Promise<Buffer> {
  return new MailComposer(mailOptions(letter, parts)).compile().build()
}

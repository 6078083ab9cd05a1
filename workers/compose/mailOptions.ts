import type { MailComposerOptions } from 'nodemailer/lib/mail-composer'
import type { MessagePayload, Mailbox } from '../../src/protocol/tasks.js'
import { unsubscribeFields } from './headerFields.js'

/** The message as nodemailer describes one, for its transport plugins. */
export function mailOptions(
  letter: MessagePayload,
  parts: { subject: string; html: string; text: string },
): MailComposerOptions {
  return {
    from: mailbox(letter.from),
    to: letter.to.map(mailbox),
    cc: letter.cc.map(mailbox),
    replyTo: letter.replyTo.map(mailbox),
    subject: letter.subject ?? parts.subject,
    messageId: letter.messageId,
    date: new Date(letter.date),
    ...(letter.inReplyTo === undefined ? {} : { inReplyTo: letter.inReplyTo }),
    references: letter.references,
    headers: [...letter.headers, ...unsubscribeFields(letter.listUnsubscribe)].map(([key, value]) => ({
      key,
      value,
    })),
    ...(parts.text === '' ? {} : { text: parts.text }),
    ...(parts.html === '' ? {} : { html: parts.html }),
    attachments: letter.attachments.map(({ filename, content, contentType, cid }) => ({
      content:
        typeof content === 'string'
          ? content
          : Buffer.from(content.buffer, content.byteOffset, content.byteLength),
      filename: filename ?? false,
      ...(contentType === undefined ? {} : { contentType }),
      ...(cid === undefined ? {} : { cid }),
    })),
    textEncoding: 'quoted-printable',
    baseBoundary: letter.id,
    newline: 'windows',
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function mailbox({ name, address }: Mailbox): { name: string; address: string } {
  return { name: name ?? '', address }
}

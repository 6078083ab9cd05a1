import MailComposer, { type MailComposerOptions } from 'nodemailer/lib/mail-composer'
import type { Letter, ListUnsubscribe, Mailbox } from '../../src/wire/tasks.js'

/**
 * Builds any message (RFC 5322, RFC 2045) as octets with CRLF line ends. The same letter and parts give the same
 * octets at every attempt: Message-ID and Date are the letter's, the boundary follows from its id.
 */
export function composeWithNodemailer(
  letter: Letter,
  parts: { subject: string; html: string; text: string },
): Promise<Buffer> {
  return new MailComposer(mailOptions(letter, parts)).compile().build()
}

/** The message as nodemailer describes one. */
export function mailOptions(
  letter: Letter,
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

/** RFC 2369; with RFC 8058 for the one click. */
export function unsubscribeFields(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const places = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = places.flatMap((place) => (place === undefined ? [] : [`<${place}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}

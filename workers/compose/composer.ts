import MailComposer from 'nodemailer/lib/mail-composer'
import type { Letter, ListUnsubscribe, Mailbox } from '../../src/wire.js'

/**
 * Builds any message (RFC 5322, RFC 2045) as octets with CRLF line ends. The same letter and parts give the same
 * octets at every attempt: Message-ID and Date are the letter's, the boundary follows from its id.
 */
export function composeWithNodemailer(
  letter: Letter,
  parts: { subject: string; html: string; text: string },
): Promise<Buffer> {
  const composer = new MailComposer({
    from: mailbox(letter.from),
    to: letter.to.map(mailbox),
    cc: letter.cc.map(mailbox),
    replyTo: letter.replyTo.map(mailbox),
    subject: letter.subject ?? parts.subject,
    messageId: letter.messageId,
    date: new Date(letter.date),
    ...(letter.inReplyTo === undefined ? {} : { inReplyTo: letter.inReplyTo }),
    references: letter.references,
    headers: [...letter.headers, ...listUnsubscribe(letter.listUnsubscribe)].map(([key, value]) => ({
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
  })
  return composer.compile().build()
}

function mailbox({ name, address }: Mailbox): { name: string; address: string } {
  return { name: name ?? '', address }
}

function listUnsubscribe(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const places = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = places.flatMap((place) => (place === undefined ? [] : [`<${place}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}

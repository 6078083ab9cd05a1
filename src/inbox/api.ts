import type { ReceivedMail } from './store.js'

/** A mail as the JSON API lists it. */
export function summaryOf(mail: ReceivedMail) {
  return {
    id: mail.id,
    receivedAt: mail.receivedAt,
    envelope: mail.envelope,
    subject: mail.subject,
    from: mail.from,
    to: mail.to,
    cc: mail.cc,
    messageId: mail.messageId,
    size: mail.raw.byteLength,
    attachments: mail.attachments.length,
  }
}

/** A mail as the JSON API shows it; attachments and the raw mail have addresses of their own. */
export function detailsOf(mail: ReceivedMail) {
  return {
    ...summaryOf(mail),
    bcc: mail.bcc,
    replyTo: mail.replyTo,
    date: mail.date,
    headers: mail.headers,
    html: mail.html,
    text: mail.text,
    attachments: mail.attachments.map(({ content, ...attachment }) => ({
      ...attachment,
      size: content.byteLength,
    })),
    error: mail.error,
  }
}

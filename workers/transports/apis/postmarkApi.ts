import type { PostmarkTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  fieldsOf,
  filled,
  firstText,
  headersOf,
  metadataOf,
  person,
  subjectOf,
} from '../apiFields.js'
import type { ApiAnswer, MailServiceApi } from '../mailServiceApi.js'

/** Postmark's email API: https://postmarkapp.com/developer/api/email-api */
export function postmarkApi({ endpoint, token, messageStream }: PostmarkTransport): MailServiceApi {
  const headers = { 'x-postmark-server-token': token, accept: 'application/json' }
  const json = { ...headers, 'content-type': 'application/json' }
  return {
    limits: { name: 'Postmark', maxRecipients: 50, maxSize: 10 * 1024 * 1024 },
    secrets: [token],
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const body = {
        From: person(payload.from),
        To: to.map(person).join(', '),
        Cc: filled(cc.map(person).join(', ')),
        Bcc: filled(bcc.map(person).join(', ')),
        ReplyTo: filled(payload.replyTo.map(person).join(', ')),
        Subject: subjectOf(mail),
        HtmlBody: filled(parts.html),
        TextBody: filled(parts.text),
        // Without X-PM-KeepID, Postmark replaces the Message-ID.
        Headers: [['X-PM-KeepID', 'true'], ...headersOf(mail)].map(([Name, Value]) => ({ Name, Value })),
        ...(payload.tags === undefined ? {} : { Tag: payload.tags[0] }),
        ...(payload.metadata === undefined ? {} : { Metadata: metadataOf(payload) }),
        Attachments: attachmentsOf(payload).map(({ filename, content, contentType, cid }) => ({
          Name: filename,
          Content: content,
          ContentType: contentType,
          ...(cid === undefined ? {} : { ContentID: `cid:${cid}` }),
        })),
        MessageStream: messageStream,
      }
      const message = JSON.stringify(body)
      return { url: `${endpoint}/email`, headers: json, body: message, message }
    },
    read: ({ status, text }, body) => answerOf(status, body, text),
    // https://postmarkapp.com/developer/api/email-api#send-batch-emails: the answers are in the order of the messages.
    batch: {
      maxMessages: 500,
      maxSize: 50_000_000,
      request: (messages) => ({
        url: `${endpoint}/email/batch`,
        headers: json,
        body: `[${messages.join(',')}]`,
      }),
      read: ({ status }, body) =>
        Array.isArray(body) ? body.map((answer) => answerOf(status, answer)) : undefined,
    },
    verify: () => ({ url: `${endpoint}/server`, headers }),
  }
}

/** Each answer has an error code of its own, 0 if the message was accepted, whatever the status of the response is. */
function answerOf(status: number, answer: unknown, text = ''): ApiAnswer {
  const { MessageID, ErrorCode, Message } = fieldsOf(answer)
  if (status < 300 && (ErrorCode === undefined || ErrorCode === 0))
    return { text: firstText(MessageID, 'accepted') }
  const code = typeof ErrorCode === 'number' ? `${ErrorCode}: ` : ''
  return { status: status < 300 ? 422 : status, text: `${code}${firstText(Message, text)}` }
}

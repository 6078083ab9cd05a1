import type { PostmarkTransport } from '../../../src/protocol/transportConfig.js'
import { attachmentsOf, fieldsOf, firstText, headersOf, metadataOf, person, subjectOf } from '../apiFields.js'
import type { MailServiceApi } from '../apiSender.js'

/** Postmark's email API: https://postmarkapp.com/developer/api/email-api */
export function postmarkApi({ endpoint, token, messageStream }: PostmarkTransport): MailServiceApi {
  const headers = { 'x-postmark-server-token': token, accept: 'application/json' }
  return {
    name: 'Postmark',
    secrets: [token],
    maxRecipients: 50,
    maxSize: 10 * 1024 * 1024,
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const body = {
        From: person(payload.from),
        To: to.map(person).join(', '),
        ...(cc.length === 0 ? {} : { Cc: cc.map(person).join(', ') }),
        ...(bcc.length === 0 ? {} : { Bcc: bcc.map(person).join(', ') }),
        ...(payload.replyTo.length === 0 ? {} : { ReplyTo: payload.replyTo.map(person).join(', ') }),
        Subject: subjectOf(mail),
        ...(parts.html === '' ? {} : { HtmlBody: parts.html }),
        ...(parts.text === '' ? {} : { TextBody: parts.text }),
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
        ...(messageStream === undefined ? {} : { MessageStream: messageStream }),
      }
      return {
        url: `${endpoint}/email`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }
    },
    read({ status, text }, body) {
      const { MessageID, ErrorCode, Message } = fieldsOf(body)
      if (status < 300 && (ErrorCode === undefined || ErrorCode === 0))
        return { text: firstText(MessageID, 'accepted') }
      const explanation = firstText(Message, text)
      // An error code with a status of success: the message was not accepted.
      return {
        status: status < 300 ? 422 : status,
        text: `${typeof ErrorCode === 'number' ? `${ErrorCode}: ` : ''}${explanation}`,
      }
    },
    verify: () => ({ url: `${endpoint}/server`, headers }),
  }
}

import type { Mailbox } from '../../../src/protocol/tasks.js'
import type { MailjetTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  basic,
  fieldsOf,
  firstText,
  headerObject,
  metadataOf,
  subjectOf,
} from '../apiFields.js'
import type { MailServiceApi } from '../apiSender.js'

/** Mailjet's Send API v3.1: https://dev.mailjet.com/email/reference/send-emails/ */
export function mailjetApi({ endpoint, apiKey, secretKey, sandbox }: MailjetTransport): MailServiceApi {
  const headers = { authorization: basic(apiKey, secretKey) }
  return {
    name: 'Mailjet',
    secrets: [secretKey, apiKey],
    maxRecipients: 50,
    maxSize: 15 * 1024 * 1024,
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const [replyTo] = payload.replyTo
      const [tag] = payload.tags ?? []
      const files = attachmentsOf(payload).map(({ filename, content, contentType, cid }) => ({
        Filename: filename,
        ContentType: contentType,
        Base64Content: content,
        ...(cid === undefined ? {} : { ContentID: cid }),
      }))
      const message = {
        From: personOf(payload.from),
        To: to.map(personOf),
        ...(cc.length === 0 ? {} : { Cc: cc.map(personOf) }),
        ...(bcc.length === 0 ? {} : { Bcc: bcc.map(personOf) }),
        ...(replyTo === undefined ? {} : { ReplyTo: personOf(replyTo) }),
        Subject: subjectOf(mail),
        ...(parts.html === '' ? {} : { HTMLPart: parts.html }),
        ...(parts.text === '' ? {} : { TextPart: parts.text }),
        Headers: headerObject(mail),
        CustomID: payload.id,
        ...(tag === undefined ? {} : { CustomCampaign: tag }),
        ...(payload.metadata === undefined ? {} : { EventPayload: JSON.stringify(metadataOf(payload)) }),
        Attachments: files.filter((file) => !('ContentID' in file)),
        InlinedAttachments: files.filter((file) => 'ContentID' in file),
      }
      return {
        url: `${endpoint}/v3.1/send`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ Messages: [message], ...(sandbox === true ? { SandboxMode: true } : {}) }),
      }
    },
    read({ status, text }, body) {
      const { Messages, ErrorMessage } = fieldsOf(body)
      const message = fieldsOf(Array.isArray(Messages) ? Messages[0] : undefined)
      if (status < 300 && message['Status'] !== 'error') {
        const { To } = message
        const first = fieldsOf(Array.isArray(To) ? To[0] : undefined)
        const id = first['MessageID']
        return { text: typeof id === 'number' ? String(id) : firstText(id, first['MessageUUID'], 'accepted') }
      }
      const errors = Array.isArray(message['Errors']) ? message['Errors'].map(fieldsOf) : []
      const explanation = errors.map(
        (error) => `${firstText(error['ErrorCode'])}: ${firstText(error['ErrorMessage'])}`,
      )
      return {
        status: status < 300 ? 400 : status,
        text: firstText(explanation.join('; '), ErrorMessage, text),
      }
    },
    verify: () => ({ url: `${endpoint}/v3/REST/myprofile`, headers }),
  }
}

function personOf({ name, address }: Mailbox): { Email: string; Name?: string } {
  return name === undefined || name === '' ? { Email: address } : { Email: address, Name: name }
}

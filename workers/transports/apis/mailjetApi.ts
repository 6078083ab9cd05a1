import type { Mailbox } from '../../../src/protocol/tasks.js'
import type { MailjetTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  basic,
  fieldsOf,
  filled,
  firstText,
  headerObject,
  metadataOf,
  subjectOf,
} from '../apiFields.js'
import type { ApiRequest } from '../httpClient.js'
import type { ApiAnswer, MailServiceApi } from '../mailServiceApi.js'

/** Mailjet's Send API v3.1: https://dev.mailjet.com/email/reference/send-emails/ */
export function mailjetApi({ endpoint, apiKey, secretKey, sandbox }: MailjetTransport): MailServiceApi {
  const headers = { authorization: basic(apiKey, secretKey) }
  const requestOf = (messages: readonly string[]): ApiRequest => ({
    url: `${endpoint}/v3.1/send`,
    headers: { ...headers, 'content-type': 'application/json' },
    body: `{"Messages":[${messages.join(',')}]${sandbox === true ? ',"SandboxMode":true' : ''}}`,
  })
  return {
    limits: { name: 'Mailjet', maxRecipients: 50, maxSize: 15 * 1024 * 1024 },
    secrets: [secretKey, apiKey],
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
      const fields = {
        From: personOf(payload.from),
        To: to.map(personOf),
        Cc: filled(cc.map(personOf)),
        Bcc: filled(bcc.map(personOf)),
        ...(replyTo === undefined ? {} : { ReplyTo: personOf(replyTo) }),
        Subject: subjectOf(mail),
        HTMLPart: filled(parts.html),
        TextPart: filled(parts.text),
        Headers: headerObject(mail),
        CustomID: payload.id,
        CustomCampaign: tag,
        ...(payload.metadata === undefined ? {} : { EventPayload: JSON.stringify(metadataOf(payload)) }),
        Attachments: files.filter((file) => !('ContentID' in file)),
        InlinedAttachments: files.filter((file) => 'ContentID' in file),
      }
      const message = JSON.stringify(fields)
      return { ...requestOf([message]), message }
    },
    read({ status, text }, body) {
      const { Messages, ErrorMessage } = body
      const answer = answerOf(status, Array.isArray(Messages) ? Messages[0] : undefined)
      if (answer.status === 200) return answer
      return { status: status < 300 ? 400 : status, text: firstText(answer.text, ErrorMessage, text) }
    },
    batch: {
      maxMessages: 50,
      maxSize: 15_000_000,
      request: requestOf,
      read({ status }, body) {
        const { Messages } = fieldsOf(body)
        if (Array.isArray(Messages)) return Messages.map((message) => answerOf(status, message))
        // Some of the messages may have been accepted.
        return status === 400 && body === undefined ? [] : undefined
      },
    },
    verify: () => ({ url: `${endpoint}/v3/REST/myprofile`, headers }),
  }
}

/** Each message has a status of its own, whatever that of the response is. */
function answerOf(status: number, message: unknown): ApiAnswer {
  const { Status, To, Errors } = fieldsOf(message)
  if (Status === 'success' || (status < 300 && Status !== 'error')) {
    const first = fieldsOf(Array.isArray(To) ? To[0] : undefined)
    const id = first['MessageID']
    return {
      status: 200,
      text: typeof id === 'number' ? String(id) : firstText(id, first['MessageUUID'], 'accepted'),
    }
  }
  const errors = Array.isArray(Errors) ? Errors.map(fieldsOf) : []
  const code = Number(errors[0]?.['StatusCode'])
  const explanation = errors.map(
    (error) => `${firstText(error['ErrorCode'])}: ${firstText(error['ErrorMessage'])}`,
  )
  // Other statuses than these would concern the whole transport.
  return { status: code === 429 || code >= 500 ? code : 400, text: explanation.join('; ') }
}

function personOf({ name, address }: Mailbox): { Email: string; Name?: string } {
  return name === undefined || name === '' ? { Email: address } : { Email: address, Name: name }
}

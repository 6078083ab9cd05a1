import type { Mailbox } from '../../../src/protocol/tasks.js'
import type { BrevoTransport } from '../../../src/protocol/transportConfig.js'
import { attachmentsOf, fieldsOf, firstText, headerObject, metadataOf, subjectOf } from '../apiFields.js'
import type { MailServiceApi } from '../mailServiceApi.js'

/** Brevo's API: https://developers.brevo.com/reference/sendtransacemail */
export function brevoApi({ endpoint, apiKey, sandbox }: BrevoTransport): MailServiceApi {
  const headers = { 'api-key': apiKey, accept: 'application/json' }
  return {
    name: 'Brevo',
    secrets: [apiKey],
    maxRecipients: 99,
    maxSize: 20 * 1024 * 1024,
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const attachments = attachmentsOf(payload)
      const [replyTo] = payload.replyTo
      const body = {
        sender: personOf(payload.from),
        to: to.map(personOf),
        ...(cc.length === 0 ? {} : { cc: cc.map(personOf) }),
        ...(bcc.length === 0 ? {} : { bcc: bcc.map(personOf) }),
        ...(replyTo === undefined ? {} : { replyTo: personOf(replyTo) }),
        subject: subjectOf(mail),
        ...(parts.html === '' ? {} : { htmlContent: parts.html }),
        ...(parts.text === '' ? {} : { textContent: parts.text }),
        headers: {
          ...headerObject(mail),
          ...(payload.metadata === undefined
            ? {}
            : { 'X-Mailin-custom': JSON.stringify(metadataOf(payload)) }),
          ...(sandbox === true ? { 'X-Sib-Sandbox': 'drop' } : {}),
        },
        ...(payload.tags === undefined ? {} : { tags: payload.tags }),
        ...(attachments.length === 0
          ? {}
          : { attachment: attachments.map(({ filename, content }) => ({ name: filename, content })) }),
      }
      return {
        url: `${endpoint}/v3/smtp/email`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }
    },
    read({ status, text }, body) {
      const { messageId, code, message } = fieldsOf(body)
      if (status < 300) return { text: firstText(messageId, 'accepted') }
      return { text: firstText([code, message].filter((part) => typeof part === 'string').join(': '), text) }
    },
    verify: () => ({ url: `${endpoint}/v3/account`, headers }),
  }
}

function personOf({ name, address }: Mailbox): { email: string; name?: string } {
  return name === undefined || name === '' ? { email: address } : { email: address, name }
}

import type { BrevoTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  filled,
  firstText,
  headerObject,
  metadataOf,
  personObject,
  subjectOf,
} from '../apiFields.js'
import type { MailServiceApi } from '../mailServiceApi.js'
import { parseRetryAfter } from '../serviceResults.js'

/** Brevo's API: https://developers.brevo.com/reference/sendtransacemail */
export function brevoApi({ endpoint, apiKey, sandbox }: BrevoTransport): MailServiceApi {
  const headers = { 'api-key': apiKey, accept: 'application/json' }
  return {
    limits: { name: 'Brevo', maxRecipients: 99, maxSize: 20 * 1024 * 1024 },
    secrets: [apiKey],
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const attachments = attachmentsOf(payload)
      const [replyTo] = payload.replyTo
      const body = {
        sender: personObject(payload.from),
        to: to.map(personObject),
        cc: filled(cc.map(personObject)),
        bcc: filled(bcc.map(personObject)),
        ...(replyTo === undefined ? {} : { replyTo: personObject(replyTo) }),
        subject: subjectOf(mail),
        htmlContent: filled(parts.html),
        textContent: filled(parts.text),
        headers: {
          ...headerObject(mail),
          ...(payload.metadata === undefined
            ? {}
            : { 'X-Mailin-custom': JSON.stringify(metadataOf(payload)) }),
          ...(sandbox === true ? { 'X-Sib-Sandbox': 'drop' } : {}),
        },
        tags: payload.tags,
        attachment: filled(attachments.map(({ filename, content }) => ({ name: filename, content }))),
      }
      return {
        url: `${endpoint}/v3/smtp/email`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }
    },
    read({ status, header, text }, body) {
      const { messageId, code, message } = body
      if (status < 300) return { text: firstText(messageId, 'accepted') }
      const explanation = [code, message].filter((part) => typeof part === 'string').join(': ')
      const retryAfter = parseRetryAfter(header('x-sib-ratelimit-reset'))
      return { text: firstText(explanation, text), ...(retryAfter === undefined ? {} : { retryAfter }) }
    },
    verify: () => ({ url: `${endpoint}/v3/account`, headers }),
  }
}

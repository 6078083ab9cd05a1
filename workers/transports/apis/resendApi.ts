import type { ResendTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  fieldsOf,
  firstText,
  headerObject,
  metadataOf,
  person,
  subjectOf,
} from '../apiFields.js'
import type { MailServiceApi } from '../apiSender.js'

/** Resend's API: https://resend.com/docs/api-reference/emails/send-email */
export function resendApi({ endpoint, apiKey }: ResendTransport): MailServiceApi {
  const headers = { authorization: `Bearer ${apiKey}` }
  return {
    name: 'Resend',
    secrets: [apiKey],
    maxRecipients: 50,
    maxSize: 40 * 1024 * 1024,
    // https://resend.com/docs/dashboard/emails/idempotency-keys: the same key returns the first response, for 24 hours.
    idempotent: true,
    request(mail, { to, cc, bcc }, key) {
      const { payload, parts } = mail
      const tags = [
        ...(payload.tags ?? []).map((tag) => [tag, 'true'] as const),
        ...Object.entries(metadataOf(payload)),
      ]
      const body = {
        from: person(payload.from),
        to: to.map(person),
        ...(cc.length === 0 ? {} : { cc: cc.map(person) }),
        ...(bcc.length === 0 ? {} : { bcc: bcc.map(person) }),
        ...(payload.replyTo.length === 0 ? {} : { reply_to: payload.replyTo.map(person) }),
        subject: subjectOf(mail),
        ...(parts.html === '' ? {} : { html: parts.html }),
        ...(parts.text === '' ? {} : { text: parts.text }),
        headers: headerObject(mail),
        ...(tags.length === 0
          ? {}
          : { tags: tags.map(([name, value]) => ({ name: tagOf(name), value: tagOf(value) })) }),
        attachments: attachmentsOf(payload).map(({ filename, content, contentType, cid }) => ({
          filename,
          content,
          content_type: contentType,
          ...(cid === undefined ? {} : { content_id: cid }),
        })),
      }
      return {
        url: `${endpoint}/emails`,
        headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      }
    },
    read({ status, text }, body) {
      const { id, name, message } = fieldsOf(body)
      if (status < 300) return { text: firstText(id, 'accepted') }
      const explanation = [name, message].filter((part) => typeof part === 'string').join(': ')
      // The first request with this key is still being carried out: its result comes later.
      const again = status === 409 && name === 'concurrent_idempotent_requests'
      return { status: again ? 503 : status, text: firstText(explanation, text) }
    },
    verify: () => ({ url: `${endpoint}/domains`, headers }),
    // A key that may only send can't list the domains.
    verified: ({ text }) => text.includes('restricted_api_key'),
  }
}

/** Resend allows letters, digits, underscores, and dashes, 256 of them. */
function tagOf(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 256)
}

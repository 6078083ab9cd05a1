import type { ResendTransport } from '../../../src/protocol/transportConfig.js'
import {
  attachmentsOf,
  fieldsOf,
  filled,
  firstText,
  headerObject,
  metadataOf,
  person,
  subjectOf,
} from '../apiFields.js'
import type { ApiAnswer, MailServiceApi } from '../mailServiceApi.js'

/** Resend's API: https://resend.com/docs/api-reference/emails/send-email */
export function resendApi({ endpoint, apiKey }: ResendTransport): MailServiceApi {
  const headers = { authorization: `Bearer ${apiKey}` }
  const json = { ...headers, 'content-type': 'application/json' }
  return {
    limits: { name: 'Resend', maxRecipients: 50, maxSize: 40 * 1024 * 1024 },
    secrets: [apiKey],
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
        cc: filled(cc.map(person)),
        bcc: filled(bcc.map(person)),
        reply_to: filled(payload.replyTo.map(person)),
        subject: subjectOf(mail),
        html: filled(parts.html),
        text: filled(parts.text),
        headers: headerObject(mail),
        tags: filled(tags.map(([name, value]) => ({ name: tagOf(name), value: tagOf(value) }))),
        attachments: attachmentsOf(payload).map(({ filename, content, contentType, cid }) => ({
          filename,
          content,
          content_type: contentType,
          content_id: cid,
        })),
      }
      const message = JSON.stringify(body)
      return {
        url: `${endpoint}/emails`,
        headers: { ...json, 'idempotency-key': key },
        body: message,
        message,
      }
    },
    read({ status, text }, body) {
      const { id, name, message } = body
      if (status < 300) return { text: firstText(id, 'accepted') }
      if (isBeingCarriedOut(status, name)) return undefined
      const explanation = [name, message].filter((part) => typeof part === 'string').join(': ')
      return { text: firstText(explanation, text) }
    },
    // https://resend.com/docs/api-reference/emails/send-batch-emails, which takes no attachments.
    batch: {
      maxMessages: 100,
      maxSize: 40_000_000,
      // A message that may have been sent is repeated under its own key.
      accepts: ({ payload, uncertain }) => payload.attachments.length === 0 && uncertain !== true,
      request: (messages, key) => ({
        url: `${endpoint}/emails/batch`,
        headers: { ...json, 'idempotency-key': key, 'x-batch-validation': 'permissive' },
        body: `[${messages.join(',')}]`,
      }),
      read({ status }, body) {
        const { data, errors = [], name } = fieldsOf(body)
        if (isBeingCarriedOut(status, name)) return []
        return status < 300 && Array.isArray(data) && Array.isArray(errors)
          ? answersOf(data, errors)
          : undefined
      },
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

/** Whether the first request with this key has no result yet. */
function isBeingCarriedOut(status: number, name: unknown): boolean {
  return status === 409 && name === 'concurrent_idempotent_requests'
}

/** Puts the answers in the order of the messages: `data` has those that were accepted, and `errors` the positions of the others. */
function answersOf(data: readonly unknown[], errors: readonly unknown[]): ApiAnswer[] {
  const refused = new Map(errors.map(fieldsOf).map(({ index, message }) => [index, message]))
  const accepted = data.values()
  return Array.from({ length: data.length + errors.length }, (_, index) =>
    refused.has(index)
      ? { status: 422, text: `validation_error: ${firstText(refused.get(index))}` }
      : { text: firstText(fieldsOf(accepted.next().value)['id'], 'accepted') },
  )
}

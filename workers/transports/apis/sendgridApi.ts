import { parseJson } from '../../../src/protocol/parseJson.js'
import type { MessagePayload } from '../../../src/protocol/tasks.js'
import type { SendgridTransport } from '../../../src/protocol/transportConfig.js'
import { filled, firstText, headerObject, personObject, subjectOf } from '../apiFields.js'
import type { MailServiceApi, Recipients } from '../mailServiceApi.js'
import type { OutgoingMail } from '../transport.js'

/**
 * SendGrid's v3 API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send. One response is about all recipients.
 * The limits: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations
 */
export function sendgridApi({ endpoint, apiKey, sandbox }: SendgridTransport): MailServiceApi {
  const headers = { authorization: `Bearer ${apiKey}` }
  return {
    limits: { name: 'SendGrid', maxRecipients: 1_000, maxSize: 30_000_000 },
    secrets: [apiKey],
    envelope: true,
    request: (mail, recipients) => ({
      url: `${endpoint}/v3/mail/send`,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({
        ...requestBody(mail, recipients),
        ...(sandbox === true ? { mail_settings: { sandbox_mode: { enable: true } } } : {}),
      }),
    }),
    read({ status, header, text }) {
      const retryAfter = resetOf(header('x-ratelimit-reset'))
      return {
        text: status < 300 ? firstText(header('x-message-id'), 'accepted') : errorsOf(text),
        ...(retryAfter === undefined ? {} : { retryAfter }),
      }
    },
    // Requests the scopes of the API key.
    verify: () => ({ url: `${endpoint}/v3/scopes`, headers }),
    // The key is valid, but may only send.
    verified: ({ status }) => status === 403,
  }
}

/** Converts X-RateLimit-Reset, in seconds since the epoch, to milliseconds from now. */
function resetOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{9,11}$/.test(value)
    ? Math.max(0, Number(value) * 1_000 - Date.now())
    : undefined
}

/** Formats `{ errors: [{ message, field, help }] }` as one line. */
function errorsOf(text: string): string {
  try {
    const { errors } = parseJson(text) as { errors?: { message?: unknown; field?: unknown }[] }
    if (!Array.isArray(errors)) return text
    return errors
      .map(({ message, field }) =>
        typeof field === 'string' ? `${field}: ${String(message)}` : String(message),
      )
      .join('; ')
  } catch {
    return text
  }
}

const MAX_CATEGORIES = 10

/** The body of `POST /v3/mail/send`. */
function requestBody(mail: OutgoingMail, recipients: Recipients): object {
  const { payload, parts } = mail
  const { replyTo, attachments } = payload
  return {
    personalizations: personalizationsOf(recipients),
    from: personObject(payload.from),
    reply_to_list: filled(replyTo.map(personObject)),
    subject: subjectOf(mail),
    content: [
      ...(parts.text === '' ? [] : [{ type: 'text/plain', value: parts.text }]),
      ...(parts.html === '' ? [] : [{ type: 'text/html', value: parts.html }]),
      ...attachments.flatMap(({ calendar, content }) =>
        calendar === undefined
          ? []
          : [
              {
                type: `text/calendar; charset=utf-8; method=${calendar}`,
                value: Buffer.from(content as string).toString(),
              },
            ],
      ),
    ],
    attachments: filled(attachments.map(attachmentOf)),
    headers: headerObject(mail),
    categories: filled([...new Set(payload.tags)].slice(0, MAX_CATEGORIES)),
  }
}

/** If no recipient is left for `to`, each one gets a separate message, so that recipients don't learn of each other. */
function personalizationsOf({ to, cc, bcc }: Recipients): object[] {
  if (to.length === 0) return [...cc, ...bcc].map((recipient) => ({ to: [personObject(recipient)] }))
  return [
    {
      to: to.map(personObject),
      cc: filled(cc.map(personObject)),
      bcc: filled(bcc.map(personObject)),
    },
  ]
}

function attachmentOf(
  { filename, content, contentType, cid }: MessagePayload['attachments'][number],
  index: number,
): object {
  return {
    content: Buffer.from(content as string).toString('base64'),
    filename: filename ?? `attachment-${index + 1}`,
    type: contentType,
    disposition: cid === undefined ? 'attachment' : 'inline',
    content_id: cid,
  }
}

import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { SendgridTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { headerObject } from './apiFields.js'
import { sendInAscii } from './asciiRecipients.js'
import { callApi } from './httpClient.js'
import { beyondLimits, rawUnsupported } from './sendResults.js'
import {
  parseRetryAfter,
  type ServiceResponse,
  ServiceResults,
  toTransportReport,
  VERIFY_TIMEOUT,
} from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** https://www.twilio.com/docs/sendgrid/api-reference/mail-send/limitations */
const LIMITS = { name: 'SendGrid', maxRecipients: 1_000, maxSize: 30_000_000 }

/** Sends through SendGrid's v3 API: one request per message, one response for all recipients. SendGrid builds the message. */
export class SendgridSender implements Transport {
  readonly #config: SendgridTransport
  readonly #results: ServiceResults
  readonly #calls: SingleCallSender

  constructor(config: SendgridTransport, requests: number) {
    this.#config = config
    this.#results = new ServiceResults([config.apiKey])
    this.#calls = new SingleCallSender(requests)
  }

  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    return this.#calls.run(mail, progress, deadline, (signal) =>
      sendInAscii(mail, async (ascii) => {
        if (ascii.payload.content.kind === 'raw') return rawUnsupported('SendGrid')
        const { to } = ascii.envelope
        const body = JSON.stringify(requestBody(ascii))
        const refused = beyondLimits(LIMITS, to.length, Buffer.byteLength(body))
        if (refused !== undefined) return refused
        try {
          return this.#results.fromResponse(await this.#request('/v3/mail/send', signal, body), to)
        } catch (error) {
          return this.#results.fromError(error, to)
        }
      }),
    )
  }

  /** Requests the scopes of the API key. A 403 also proves that the key is valid: it may only send. */
  verify(): Promise<TransportReport> {
    const { hostname, port, protocol } = new URL(this.#config.endpoint)
    const target = { transport: this.#config.name, host: hostname, port: portOf(port, protocol) }
    return toTransportReport(target, async () => {
      try {
        const answer = await this.#request('/v3/scopes', AbortSignal.timeout(VERIFY_TIMEOUT))
        return this.#results.fromResponse(answer.status === 403 ? { ...answer, status: 200 } : answer, [])
      } catch (error) {
        return this.#results.fromError(error, [])
      }
    })
  }

  retire(successor: Transport): Promise<void> {
    return this.#calls.retire(successor)
  }

  quit(): Promise<void> {
    return this.#calls.quit()
  }

  async #request(path: string, signal: AbortSignal, body?: string): Promise<ServiceResponse> {
    const { endpoint, apiKey, publicOnly } = this.#config
    const { status, header, text } = await callApi(
      {
        url: `${endpoint}${path}`,
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
      },
      signal,
      publicOnly,
    )
    const retryAfter = parseRetryAfter(header('retry-after')) ?? resetOf(header('x-ratelimit-reset'))
    return {
      status,
      text: status < 300 ? (header('x-message-id') ?? 'accepted') : errorsOf(text),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }
  }
}

function portOf(port: string, protocol: string): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
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
    const { errors } = JSON.parse(text) as { errors?: { message?: unknown; field?: unknown }[] }
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

/** The body of `POST /v3/mail/send`. */
function requestBody(mail: OutgoingMail): object {
  const { payload, parts, envelope } = mail
  const { subject = parts.subject, replyTo, attachments } = payload
  const headers = headerObject(mail)
  return {
    personalizations: personalizationsOf(payload, envelope.to),
    from: personOf(payload.from),
    ...(replyTo.length === 0 ? {} : { reply_to_list: replyTo.map(personOf) }),
    subject,
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
    ...(attachments.length === 0 ? {} : { attachments: attachments.map(attachmentOf) }),
    headers,
  }
}

/**
 * Lists each recipient once, because SendGrid refuses addresses that differ in nothing but letter case. If no recipient is left
 * for `to`, each one gets a separate message, so that recipients don't learn of each other.
 */
function personalizationsOf({ to, cc, bcc }: MessagePayload, remaining: readonly string[]): object[] {
  const left = new Set(remaining.map((address) => address.toLowerCase()))
  const take = (list: readonly Mailbox[]) =>
    list.filter(({ address }) => left.delete(address.toLowerCase())).map(personOf)
  const people = { to: take(to), cc: take(cc), bcc: take(bcc) }
  if (people.to.length === 0) return [...people.cc, ...people.bcc].map((person) => ({ to: [person] }))
  return [
    {
      to: people.to,
      ...(people.cc.length === 0 ? {} : { cc: people.cc }),
      ...(people.bcc.length === 0 ? {} : { bcc: people.bcc }),
    },
  ]
}

function personOf({ name, address }: Mailbox): object {
  return name === undefined || name === '' ? { email: address } : { email: address, name }
}

function attachmentOf(
  { filename, content, contentType, cid }: MessagePayload['attachments'][number],
  index: number,
): object {
  return {
    content: Buffer.from(content as string).toString('base64'),
    filename: filename ?? `attachment-${index + 1}`,
    ...(contentType === undefined ? {} : { type: contentType }),
    disposition: cid === undefined ? 'attachment' : 'inline',
    ...(cid === undefined ? {} : { content_id: cid }),
  }
}

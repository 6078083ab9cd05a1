import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { SendgridTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { unsubscribeFields } from '../../src/protocol/unsubscribeFields.js'
import { headerValue, mailbox } from '../compose/headerFields.js'
import { sendInAscii } from './asciiRecipients.js'
import { rawUnsupported } from './sendResults.js'
import {
  parseRetryAfter,
  type ServiceResponse,
  ServiceResults,
  toTransportReport,
  VERIFY_TIMEOUT,
} from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Characters of an error response that are parsed. */
const MAX_BODY = 64 * 1024

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
        try {
          const body = JSON.stringify(requestBody(ascii))
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
    const response = await fetch(`${this.#config.endpoint}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${this.#config.apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      redirect: 'manual',
      signal,
      ...(body === undefined ? {} : { body }),
    })
    const { status, headers } = response
    // The status decides the result, even if the rest of the response is cut off.
    const text = await response.text().catch(() => '')
    const retryAfter =
      parseRetryAfter(headers.get('retry-after')) ?? resetOf(headers.get('x-ratelimit-reset'))
    return {
      status,
      text: status < 300 ? (headers.get('x-message-id') ?? 'accepted') : errorsOf(text.slice(0, MAX_BODY)),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }
  }
}

function portOf(port: string, protocol: string): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

/** Converts X-RateLimit-Reset, in seconds since the epoch, to milliseconds from now. */
function resetOf(value: string | null): number | undefined {
  return value !== null && /^\d{9,11}$/.test(value)
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
function requestBody({ payload, parts, envelope }: OutgoingMail): object {
  const { subject = parts.subject, replyTo, attachments } = payload
  const headers = headersOf(payload)
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

/**
 * Sets the same Message-ID in every attempt. SendGrid sets the Date. Values are encoded as in a message, and several values of
 * one name become a list, because SendGrid takes one value for each name.
 */
function headersOf(payload: MessagePayload): Record<string, string> {
  const { sender, inReplyTo, references } = payload
  const fields: [string, string][] = [
    ['Message-ID', payload.messageId],
    ...(sender === undefined ? [] : [['Sender', mailbox(sender)] as [string, string]]),
    ...(inReplyTo === undefined ? [] : [['In-Reply-To', inReplyTo] as [string, string]]),
    ...(references.length === 0 ? [] : [['References', references.join(' ')] as [string, string]]),
    ...payload.headers.map(([name, value]): [string, string] => [name, headerValue(name, value)]),
    ...unsubscribeFields(payload.listUnsubscribe),
  ]
  const byName = new Map<string, [string, string]>()
  for (const [name, value] of fields) {
    const [first, values] = byName.get(name.toLowerCase()) ?? [name, '']
    byName.set(name.toLowerCase(), [first, values === '' ? value : `${values}, ${value}`])
  }
  return Object.fromEntries(byName.values())
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

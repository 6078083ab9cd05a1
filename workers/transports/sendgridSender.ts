import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { SendgridTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { unsubscribeFields } from '../compose/headerFields.js'
import {
  retryAfterOf,
  type ServiceResponse,
  ServiceResults,
  toTransportReport,
  VERIFY_TIMEOUT,
} from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Of an answer that is shown to people. */
const MOST_OF_BODY = 64 * 1024

/** SendGrid's v3 API: one request a message, answered for all recipients at once. It builds the message itself. */
export class SendgridSender implements Transport {
  readonly #config: SendgridTransport
  readonly #answers: ServiceResults
  readonly #handOver: SingleCallSender

  constructor(config: SendgridTransport, requests: number) {
    this.#config = config
    this.#answers = new ServiceResults([config.apiKey])
    this.#handOver = new SingleCallSender(requests)
  }

  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { to } = parcel.envelope
    return this.#handOver.run(parcel, progress, deadline, async (signal) => {
      try {
        return this.#answers.fromResponse(
          await this.#ask('/v3/mail/send', signal, JSON.stringify(mailOf(parcel))),
          to,
        )
      } catch (error) {
        return this.#answers.fromError(error, to)
      }
    })
  }

  /** Asks what the key may do. A key that may only send has no leave to ask, and is known all the same. */
  verify(): Promise<TransportReport> {
    const { hostname, port, protocol } = new URL(this.#config.endpoint)
    const place = { transport: this.#config.name, host: hostname, port: portOf(port, protocol) }
    return toTransportReport(place, async () => {
      try {
        const answer = await this.#ask('/v3/scopes', AbortSignal.timeout(VERIFY_TIMEOUT))
        return this.#answers.fromResponse(answer.status === 403 ? { ...answer, status: 200 } : answer, [])
      } catch (error) {
        return this.#answers.fromError(error, [])
      }
    })
  }

  retire(heir: Transport): Promise<void> {
    return this.#handOver.retire(heir)
  }

  quit(): Promise<void> {
    return this.#handOver.quit()
  }

  async #ask(path: string, signal: AbortSignal, body?: string): Promise<ServiceResponse> {
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
    // The status line says what became of the message; a body that breaks off changes nothing of it.
    const text = await response.text().catch(() => '')
    const retryAfter = retryAfterOf(headers.get('retry-after')) ?? resetOf(headers.get('x-ratelimit-reset'))
    return {
      status,
      text:
        status < 300 ? (headers.get('x-message-id') ?? 'accepted') : errorsOf(text.slice(0, MOST_OF_BODY)),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    }
  }
}

function portOf(port: string, protocol: string): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

/** Seconds since the epoch, at which more requests are allowed. */
function resetOf(value: string | null): number | undefined {
  return value !== null && /^\d{9,11}$/.test(value)
    ? Math.max(0, Number(value) * 1_000 - Date.now())
    : undefined
}

/** `{ errors: [{ message, field, help }] }` as one line. */
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
function mailOf({ payload, parts, envelope }: OutgoingMail): object {
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
    ],
    ...(attachments.length === 0 ? {} : { attachments: attachments.map(attachmentOf) }),
    headers,
  }
}

/**
 * Who gets it, each once: SendGrid refuses an address that stands there twice. Where nobody is left for `to`, each gets a message
 * of his own, so that nobody learns of others.
 */
function personalizationsOf({ to, cc, bcc }: MessagePayload, open: readonly string[]): object[] {
  const left = new Set(open)
  const take = (list: readonly Mailbox[]) => list.filter(({ address }) => left.delete(address)).map(personOf)
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

/** Message-ID is the letter's at every attempt; Date is SendGrid's own. */
function headersOf(letter: MessagePayload): Record<string, string> {
  return Object.fromEntries([
    ['Message-ID', letter.messageId],
    ...(letter.inReplyTo === undefined ? [] : [['In-Reply-To', letter.inReplyTo]]),
    ...(letter.references.length === 0 ? [] : [['References', letter.references.join(' ')]]),
    ...letter.headers,
    ...unsubscribeFields(letter.listUnsubscribe),
  ]) as Record<string, string>
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

import { createHash } from 'node:crypto'
import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { ApiTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { sendInAscii } from './asciiRecipients.js'
import { callApi, type ApiRequest, type ApiResponse } from './httpClient.js'
import { rawUnsupported, unsupported } from './sendResults.js'
import {
  parseRetryAfter,
  type ServiceResponse,
  ServiceResults,
  toTransportReport,
  VERIFY_TIMEOUT,
} from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** The recipients of one request, each once. */
export interface Recipients {
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
}

/** The API of a mail service as it is documented. */
export interface MailServiceApi {
  /** Its name for users. */
  readonly name: string
  /** The credentials, which no text may contain. */
  readonly secrets: readonly string[]
  /** Recipients of one request, at most. */
  readonly maxRecipients: number
  /** Bytes of one request, at most. */
  readonly maxSize: number
  /** Whether it takes finished messages. */
  readonly raw?: true
  /** Whether the recipients are part of an envelope, so that hidden ones need no visible one. */
  readonly envelope?: true
  /**
   * Whether a request with the same key is carried out once, as the documentation guarantees: then a request without a response
   * is repeated.
   */
  readonly idempotent?: true
  /** Gets what every request needs, such as an access token. @returns the result of a message if that fails */
  prepare?(signal: AbortSignal): Promise<SendResult | undefined>
  /** @param key the same for the same request */
  request(mail: OutgoingMail, recipients: Recipients, key: string): ApiRequest
  /** @returns the id of the message, or the explanation of an error, and the status if it isn't that of the response */
  read(response: ApiResponse, body: unknown): { status?: number; text: string }
  /** A request that sends nothing and needs the credentials. */
  verify(): ApiRequest
  /** Whether a response to that request shows that the credentials are valid, though it isn't 2xx. */
  verified?(response: ApiResponse): boolean
}

/** Times that a request without a response is repeated. */
const MAX_REPEATS = 2

/** Sends through a mail service's API: one request per message, unless its remaining recipients must not see each other. */
export class ApiSender implements Transport {
  readonly #config: ApiTransport
  readonly #api: MailServiceApi
  readonly #results: ServiceResults
  readonly #calls: SingleCallSender

  constructor(config: ApiTransport, api: MailServiceApi, requests: number) {
    this.#config = config
    this.#api = api
    this.#results = new ServiceResults(api.secrets)
    this.#calls = new SingleCallSender(requests)
  }

  async send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { name, raw } = this.#api
    if (mail.payload.content.kind === 'raw' && raw !== true) return rawUnsupported(name)
    if (this.#api.prepare !== undefined) {
      progress.enterPhase('connecting')
      const left = Math.max(1, Math.min(VERIFY_TIMEOUT, Math.ceil(deadline - performance.now())))
      const refused = await this.#api.prepare(AbortSignal.timeout(left))
      if (refused !== undefined) return refused
    }
    return this.#calls.run(mail, progress, deadline, (signal) =>
      sendInAscii(mail, (ascii) => {
        if (raw === true) progress.sends(ascii.composed)
        return this.#sendAll(ascii, signal)
      }),
    )
  }

  verify(): Promise<TransportReport> {
    const { hostname, port, protocol } = new URL(this.#config.endpoint)
    const target = {
      transport: this.#config.name,
      host: hostname,
      port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    }
    return toTransportReport(target, async () => {
      const signal = AbortSignal.timeout(VERIFY_TIMEOUT)
      const refused = await this.#api.prepare?.(signal)
      if (refused !== undefined) return refused
      try {
        const response = await callApi(this.#api.verify(), signal, this.#config.publicOnly)
        const read = this.#read(response)
        return this.#results.fromResponse(
          this.#api.verified?.(response) === true ? { ...read, status: 200 } : read,
          [],
        )
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

  async #sendAll(mail: OutgoingMail, signal: AbortSignal): Promise<SendResult> {
    const requests = recipientsOf(mail.payload, mail.envelope.to, this.#api.envelope === true)
    const results: SendResult[] = []
    for (const recipients of requests) results.push(await this.#sendOne(mail, recipients, signal))
    const [first] = results
    if (first === undefined || results.length === 1)
      return first ?? unsupported('INVALID_MESSAGE', 'No recipient is left.')
    const all = results.flatMap((result) => result.recipients)
    const decisive =
      results.find(({ outcome }) => outcome.result === 'sent') ??
      results.find(({ outcome }) => outcome.result === 'uncertain') ??
      first
    return { ...decisive, recipients: all }
  }

  async #sendOne(mail: OutgoingMail, recipients: Recipients, signal: AbortSignal): Promise<SendResult> {
    const { name, maxRecipients, maxSize, idempotent } = this.#api
    const given = new Map(mail.envelope.to.map((address) => [address.toLowerCase(), address]))
    const to = [...recipients.to, ...recipients.cc, ...recipients.bcc].map(
      ({ address }) => given.get(address.toLowerCase()) ?? address,
    )
    if (to.length > maxRecipients)
      return unsupported(
        'INVALID_MESSAGE',
        `The message has ${to.length} recipients, and ${name} accepts at most ${maxRecipients}.`,
      )
    const key = createHash('sha256')
      .update(JSON.stringify([mail.payload.id, to]))
      .digest('base64url')
    const request = this.#api.request(mail, recipients, key)
    const size = Buffer.byteLength(request.body ?? '')
    if (size > maxSize)
      return unsupported(
        'SIZE_EXCEEDED',
        `The request has ${size} bytes, and ${name} accepts at most ${maxSize}.`,
      )
    for (let repeats = 0; ; repeats++)
      try {
        return this.#results.fromResponse(
          this.#read(await callApi(request, signal, this.#config.publicOnly)),
          to,
        )
      } catch (error) {
        const result = this.#results.fromError(error, to)
        const uncertain = result.outcome.result === 'uncertain'
        if (!uncertain || idempotent !== true || repeats >= MAX_REPEATS || signal.aborted) return result
      }
  }

  #read(response: ApiResponse): ServiceResponse {
    const { status = response.status, text } = this.#api.read(response, parsed(response.text))
    const retryAfter =
      parseRetryAfter(response.header('retry-after')) ??
      parseRetryAfter(response.header('x-sib-ratelimit-reset'))
    return { status, text, ...(retryAfter === undefined ? {} : { retryAfter }) }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The recipients of each request. If no visible recipient is left, those of a copy take its place; hidden recipients get a
 * request each, so that they don't learn of each other, unless the service sends to an envelope.
 */
function recipientsOf(
  { to, cc, bcc }: MessagePayload,
  remaining: readonly string[],
  envelope: boolean,
): Recipients[] {
  const left = new Map(remaining.map((address) => [address.toLowerCase(), address]))
  const take = (list: readonly Mailbox[]): Mailbox[] =>
    list.filter(({ address }) => left.delete(address.toLowerCase()))
  const visible = take(to)
  const copies = take(cc)
  // A finished message names its recipients in the envelope only.
  const hidden = [...take(bcc), ...[...left.values()].map((address) => ({ address }))]
  if (envelope || visible.length > 0) return [{ to: visible, cc: copies, bcc: hidden }]
  if (copies.length > 0) return [{ to: copies, cc: [], bcc: hidden }]
  return hidden.map((only) => ({ to: [only], cc: [], bcc: [] }))
}

import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { parseJson } from '../../src/protocol/parseJson.js'
import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { ApiTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { fieldsOf } from './apiFields.js'
import { isAsciiOnly, sendInAscii } from './asciiRecipients.js'
import { type ApiRequest, type ApiResponse, callApi } from './httpClient.js'
import type { ApiAnswer, BatchApi, MailServiceApi, MessageRequest, Recipients } from './mailServiceApi.js'
import { MessageBatches } from './messageBatches.js'
import { beyondLimits, rawUnsupported, unanswered, unsupported } from './sendResults.js'
import { parseRetryAfter, ServiceResults, toTransportReport, VERIFY_TIMEOUT } from './serviceResults.js'
import { type PendingSend, SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Milliseconds before a request without a response is repeated, each time. */
const REPEAT_DELAYS = [100, 1_000]
/** Characters of a response that are read for each message of the request. */
const RESPONSE_PER_MESSAGE = 16_384

/** A message that one request sends. */
interface PreparedMessage {
  request: MessageRequest
  /** Bytes of the request. */
  size: number
  key: string
  to: readonly string[]
}

/**
 * Sends through a mail service's API: one request per message, unless its remaining recipients must not see each other. Messages
 * that are ready at the same time share a request, if the service has one for several.
 */
export class ApiSender implements Transport {
  readonly #config: ApiTransport
  readonly #api: MailServiceApi
  readonly #results: ServiceResults
  readonly #calls: SingleCallSender
  readonly #batches: MessageBatches<PreparedMessage & PendingSend> | undefined

  constructor(config: ApiTransport, api: MailServiceApi, requests: number) {
    this.#config = config
    this.#api = api
    this.#results = new ServiceResults(api.secrets)
    this.#calls = new SingleCallSender(requests)
    const { batch } = api
    if (batch !== undefined)
      this.#batches = new MessageBatches(this.#calls, batch, (messages, signal) =>
        this.#sendTogether(batch, messages, signal),
      )
  }

  async send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { limits, raw } = this.#api
    if (mail.payload.content.kind === 'raw' && raw !== true) return rawUnsupported(limits.name)
    if (this.#api.prepare !== undefined) {
      progress.enterPhase('connecting')
      const left = Math.max(1, Math.min(VERIFY_TIMEOUT, Math.ceil(deadline - performance.now())))
      const refused = await this.#api.prepare(AbortSignal.timeout(left))
      if (refused !== undefined) return refused
    }
    const prepared = this.#prepareForBatch(mail)
    if (prepared !== undefined)
      return new Promise((resolve, reject) =>
        this.#batches?.send({ ...prepared, mail, progress, deadline, resolve, reject }),
      )
    return this.#calls.run(mail, progress, deadline, (signal) =>
      sendInAscii(mail, (ascii) => {
        if (raw === true) progress.sends(ascii.composed)
        return this.#sendAlone(ascii, signal)
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
        const valid = this.#api.verified?.(response) === true
        const answer = this.#api.read(response, fieldsOf(parsed(response.text))) ?? { text: response.text }
        return this.#resultOf(response, valid ? { status: 200, text: '' } : answer, [])
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

  /** Sends a message by itself. */
  async #sendAlone(mail: OutgoingMail, signal: AbortSignal): Promise<SendResult> {
    const results: SendResult[] = []
    for (const recipients of recipientsOf(mail.payload, mail.envelope.to, this.#api.envelope === true)) {
      const prepared = this.#prepare(mail, recipients)
      results.push('request' in prepared ? await this.#sendOne(prepared, signal) : prepared)
    }
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

  /** Returns the message if it can share a request with others. */
  #prepareForBatch(mail: OutgoingMail): PreparedMessage | undefined {
    const { batch, envelope } = this.#api
    if (batch === undefined || batch.accepts?.(mail) === false || !isAsciiOnly(mail)) return undefined
    const [recipients, ...more] = recipientsOf(mail.payload, mail.envelope.to, envelope === true)
    if (recipients === undefined || more.length > 0) return undefined
    const prepared = this.#prepare(mail, recipients)
    return 'request' in prepared ? prepared : undefined
  }

  /** Returns the request of a message, or the result of one that the service would refuse. */
  #prepare(mail: OutgoingMail, recipients: Recipients): PreparedMessage | SendResult {
    const given = new Map(mail.envelope.to.map((address) => [address.toLowerCase(), address]))
    const to = [...recipients.to, ...recipients.cc, ...recipients.bcc].map(
      ({ address }) => given.get(address.toLowerCase()) ?? address,
    )
    const key = keyOf([mail.payload.id, to])
    const request = this.#api.request(mail, recipients, key)
    const size = Buffer.byteLength(request.body ?? '')
    const refused = beyondLimits(this.#api.limits, to.length, size)
    if (refused !== undefined) return refused
    return { request, size, key, to }
  }

  async #sendOne({ request, to }: PreparedMessage, signal: AbortSignal): Promise<SendResult> {
    const [result] = await this.#exchange(request, [to], signal, (response) => [
      this.#resultOf(response, this.#api.read(response, fieldsOf(parsed(response.text))), to),
    ])
    return result ?? unanswered('invalid', true, to)
  }

  /**
   * Sends several messages with one request. If the service refuses the request as a whole, nothing was sent: each half is requested
   * by itself then, so that only the message at fault fails.
   */
  async #sendTogether(
    batch: BatchApi,
    messages: readonly PreparedMessage[],
    signal: AbortSignal,
  ): Promise<SendResult[]> {
    const [first, second] = messages
    if (first === undefined) return []
    if (second === undefined) return [await this.#sendOne(first, signal)]
    const request = batch.request(
      messages.map((message) => message.request.message ?? ''),
      keyOf(messages.map(({ key }) => key)),
    )
    const responseLimit = messages.length * RESPONSE_PER_MESSAGE
    const whole = { refused: false }
    const results = await this.#exchange(
      { ...request, responseLimit },
      messages.map(({ to }) => to),
      signal,
      (response) => {
        const body = parsed(response.text)
        const answers = batch.read(response, body)
        const all =
          answers === undefined && saysNothingWasSent(response)
            ? this.#api.read(response, fieldsOf(body))
            : undefined
        const each = answers?.length === messages.length ? answers : []
        const own = messages.map(({ to }, index) => this.#resultOf(response, all ?? each[index], to))
        whole.refused = all !== undefined && own.every(({ outcome }) => outcome.result === 'rejected')
        return own
      },
    )
    if (!whole.refused || signal.aborted) return results
    const middle = Math.ceil(messages.length / 2)
    return [
      ...(await this.#sendTogether(batch, messages.slice(0, middle), signal)),
      ...(await this.#sendTogether(batch, messages.slice(middle), signal)),
    ]
  }

  /** Makes a request, and repeats it if it has no response and the service carries it out once. @param read returns a result for each message */
  async #exchange(
    request: ApiRequest,
    recipients: readonly (readonly string[])[],
    signal: AbortSignal,
    read: (response: ApiResponse) => SendResult[],
  ): Promise<SendResult[]> {
    for (let repeats = 0; ; repeats++) {
      let results: SendResult[]
      try {
        results = read(await callApi(request, signal, this.#config.publicOnly))
      } catch (error) {
        results = recipients.map((to) => this.#results.fromError(error, to))
      }
      const uncertain = results.some(({ outcome }) => outcome.result === 'uncertain')
      const delay = this.#api.idempotent === true ? REPEAT_DELAYS[repeats] : undefined
      if (!uncertain || delay === undefined) return results
      await pause(delay, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return results
    }
  }

  /** @param answer undefined if the response doesn't state whether the message was accepted */
  #resultOf(response: ApiResponse, answer: ApiAnswer | undefined, to: readonly string[]): SendResult {
    if (answer === undefined) return unanswered('invalid', true, to)
    const retryAfter = parseRetryAfter(response.header('retry-after')) ?? answer.retryAfter
    const status = answer.status ?? response.status
    return this.#results.fromResponse(
      { status, text: answer.text, ...(retryAfter === undefined ? {} : { retryAfter }) },
      to,
    )
  }
}

/** Whether a response to a request of several messages means that none was sent: a server may fail in the middle of them. */
function saysNothingWasSent({ status }: ApiResponse): boolean {
  return (status >= 300 && status < 500) || status === 503
}

/** Returns an idempotency key. */
function keyOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
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

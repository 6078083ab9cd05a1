import type { Mailbox } from '../../src/protocol/tasks.js'
import type { ApiRequest, ApiResponse } from './httpClient.js'
import type { ServiceLimits } from './sendResults.js'
import type { OutgoingMail, SendResult } from './transport.js'

/** The recipients of one message, each once. */
export interface Recipients {
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
}

/** The request that sends a message. */
export interface MessageRequest extends ApiRequest {
  /** The message as a request for several contains it; absent if the service has no such request. */
  message?: string
}

/** A response's statement about a message. */
export interface ApiAnswer {
  /** @default that of the response */
  status?: number
  /** The id of the message, or the explanation of an error. */
  text: string
  /** Milliseconds that the service asks to wait, if it says so in another way than with `Retry-After`. */
  retryAfter?: number
}

/** The request of a service that sends several messages, each with its own result. */
export interface BatchApi {
  readonly maxMessages: number
  /** Bytes of the request, at most. */
  readonly maxSize: number
  /** Whether the request can contain the message. @default it can contain every message */
  accepts?(mail: OutgoingMail): boolean
  /** @param key the same for the same messages */
  request(messages: readonly string[], key: string): ApiRequest
  /**
   * @returns an answer for each message; any other number of them means that the response doesn't state which messages were accepted.
   *   Undefined if it is about the request as a whole: if that failed, no message was accepted.
   */
  read(response: ApiResponse, body: unknown): ApiAnswer[] | undefined
}

/** The API of a mail service as it is documented. */
export interface MailServiceApi {
  readonly limits: ServiceLimits
  /** The credentials, which no text may contain. */
  readonly secrets: readonly string[]
  /** Whether it takes finished messages. */
  readonly raw?: true
  /** Whether the recipients are part of an envelope, so that hidden ones need no visible one. */
  readonly envelope?: true
  /**
   * Whether a request with the same key is carried out once, as the documentation guarantees: then a request without a response
   * is repeated.
   */
  readonly idempotent?: true
  readonly batch?: BatchApi
  /** Gets what every request needs, such as an access token. @returns the result of a message if that fails */
  prepare?(signal: AbortSignal): Promise<SendResult | undefined>
  /** @param key the same for the same request */
  request(mail: OutgoingMail, recipients: Recipients, key: string): MessageRequest
  /**
   * @param body the fields of the response
   * @returns undefined if the response doesn't state whether the message was accepted
   */
  read(response: ApiResponse, body: Readonly<Record<string, unknown>>): ApiAnswer | undefined
  /** A request that sends nothing and needs the credentials. */
  verify(): ApiRequest
  /** Whether a response to that request shows that the credentials are valid, though it isn't 2xx. */
  verified?(response: ApiResponse): boolean
}

import type { Delivery } from '../feedback/deliveryStates.js'
import type { Attempt } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { SmtpReply } from '../protocol/outcome.js'
import type { Mailbox } from '../protocol/tasks.js'
import type { MessageEvent } from '../telemetry/events.js'
import type { Validator } from '../validation.js'
import { cleanFields } from './secrets.js'

/**
 * Fields to hide wherever a message is shown: in `find()`, lists, events, the HTTP API, its pages and logs. Data, bodies
 * and the content of attachments never appear there. The mail itself names all recipients: `preview()` returns it to code,
 * and with shortened recipients the dashboard shows it only to users with the scope `manage`.
 */
export interface RedactOptions {
  /**
   * Shortens recipients to `a…@example.com`, also within SMTP replies, and omits their names. Mail still goes to the
   * complete address, and searches find it by that.
   * @default false
   */
  recipients?: boolean
}

export function resolveRedact(check: Validator, value: unknown): Required<RedactOptions> {
  const input = check.object(value, 'redact', ['recipients'])
  return { recipients: check.boolean(input['recipients'] ?? false, 'redact.recipients') }
}

/** Applied to everything about a message that leaves the mailer. */
export interface Redaction {
  readonly options: Required<RedactOptions>
  message(message: Message): Message
  event<E extends MessageEvent>(event: E): E
  /** Returns a copy. */
  attempt(attempt: Attempt): Attempt
  /** For texts of servers, which may name recipients. */
  text(text: string): string
}

const NOTHING_HIDDEN: Redaction = {
  options: { recipients: false },
  message: (message) => message,
  event: (event) => event,
  attempt: (attempt) => structuredClone(attempt),
  text: (text) => text,
}
const RECIPIENTS_SHORTENED: Redaction = {
  options: { recipients: true },
  message: shortenMessage,
  event: shortenEvent,
  attempt: (attempt) => cleanFields(attempt, shortenText) as Attempt,
  text: shortenText,
}

export function redactionOf({ recipients }: Required<RedactOptions>): Redaction {
  return recipients ? RECIPIENTS_SHORTENED : NOTHING_HIDDEN
}

/** Shortens an address to `a…@example.com`. */
function shorten(address: string): string {
  const [first = ''] = address
  return `${first}…${address.slice(address.lastIndexOf('@'))}`
}

/**
 * Matches everything that looks like an address: the local part is quoted or not, and the domain may be an address literal
 * (RFC 5321 section 4.1.2). The look-behind lets an unquoted local part begin only where the one before ends, and the
 * other parts have the length that RFC 5321 allows at most, so that the search takes linear time.
 */
const ADDRESS =
  /(?:"(?:[^"\\]|\\.){0,64}"|(?<![^\s<>"(),:;[\]@…])[^\s<>"(),:;[\]@…]+)@(?:\[[^\]\s]{1,64}\]|[^\s<>"'(),:;[\]@]+)/g

/** Shortens all addresses in a text. */
export function shortenText(text: string): string {
  return text.replace(ADDRESS, shorten)
}

function shortenMessage(message: Message): Message {
  return {
    ...message,
    to: message.to.map(shortenMailbox),
    cc: message.cc.map(shortenMailbox),
    bcc: message.bcc.map(shortenMailbox),
    recipients: message.recipients.map(shortenRecipient),
    attempts: message.attempts.map((attempt) => ({
      ...withShortReply(attempt),
      message: shortenText(attempt.message),
    })),
  }
}

function shortenEvent<E extends MessageEvent>(event: E): E {
  const { recipients, outcome } = event
  return {
    ...event,
    recipients: recipients.map(shortenRecipient),
    ...('recipient' in event && typeof event.recipient === 'string'
      ? { recipient: shorten(event.recipient) }
      : {}),
    ...('delivery' in event ? { delivery: withShortDetail(event.delivery as Delivery) } : {}),
    ...(outcome === undefined
      ? {}
      : { outcome: { ...withShortReply(outcome), message: shortenText(outcome.message) } }),
  }
}

function shortenMailbox({ address }: Mailbox): Mailbox {
  return { address: shorten(address) }
}

function shortenRecipient<R extends { address: string; reply?: SmtpReply; delivery?: Delivery }>(
  recipient: R,
): R {
  const { delivery } = recipient
  return {
    ...withShortReply(recipient),
    address: shorten(recipient.address),
    ...(delivery === undefined ? {} : { delivery: withShortDetail(delivery) }),
  }
}

function withShortDetail(delivery: Delivery): Delivery {
  const { detail } = delivery
  return detail === undefined ? delivery : { ...delivery, detail: shortenText(detail) }
}

function withShortReply<T extends { reply?: SmtpReply }>(holder: T): T {
  const { reply } = holder
  return reply === undefined ? holder : { ...holder, reply: { ...reply, text: shortenText(reply.text) } }
}

import { needsSmtpUtf8, toWireAddress } from '../src/protocol/addressForms.js'
import type { RecipientOutcome } from '../src/protocol/outcome.js'
import type { Mailbox, MessagePayload } from '../src/protocol/tasks.js'

declare const inWireForm: unique symbol

/**
 * A payload whose addresses are all in wire form (`toWireAddress()`). Composers and transports take nothing else, so that no
 * header, command or request can contain a domain that is not an A-label.
 */
export type WirePayload = MessagePayload & { readonly [inWireForm]: true }

export function toWirePayload(payload: MessagePayload): WirePayload {
  const wire: MessagePayload = {
    ...payload,
    from: toWireMailbox(payload.from),
    to: payload.to.map(toWireMailbox),
    cc: payload.cc.map(toWireMailbox),
    bcc: payload.bcc.map(toWireMailbox),
    replyTo: payload.replyTo.map(toWireMailbox),
    envelopeFrom: toWireAddress(payload.envelopeFrom),
  }
  if (payload.sender !== undefined) wire.sender = toWireMailbox(payload.sender)
  return wire as WirePayload
}

function toWireMailbox(mailbox: Mailbox): Mailbox {
  const address = toWireAddress(mailbox.address)
  return address === mailbox.address ? mailbox : { ...mailbox, address }
}

/** Results name each recipient as the message does, not as the server saw it. */
export function withGivenAddresses(
  results: RecipientOutcome[],
  given: readonly string[],
  wire: readonly string[],
): RecipientOutcome[] {
  if (given.every((address, index) => address === wire[index])) return results
  const givenOf = new Map(wire.map((address, index) => [address, given[index] ?? address]))
  return results.map((result) => ({ ...result, address: givenOf.get(result.address) ?? result.address }))
}

/**
 * Whether an address in To or Cc requires SMTPUTF8 while the sender's own addresses don't: a server without it then receives
 * an ASCII version for the other recipients (RFC 6857 section 3.1.8).
 */
export function hasAsciiVersion({ from, sender, replyTo, to, cc }: WirePayload): boolean {
  const needsUtf8 = ({ address }: Mailbox): boolean => needsSmtpUtf8(address)
  return (
    (to.some(needsUtf8) || cc.some(needsUtf8)) &&
    ![from, ...(sender === undefined ? [] : [sender]), ...replyTo].some(needsUtf8)
  )
}

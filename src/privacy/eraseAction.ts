import {
  enter,
  isOpen,
  isSettled,
  type MailJob,
  type MessageState,
  recipientsOf,
} from '../message/messageState.js'
import type { Mailbox } from '../protocol/tasks.js'
import { conflict, type ManualAction } from '../queue/actions.js'
import { unreadable } from '../queue/unreadable.js'
import { type AddressTest, ERASED, replaceAddresses } from './replaceAddresses.js'

/** The result of an action that changed nothing. */
const UNCHANGED = { changes: [], settled: false }

/**
 * Returns the action that erases an address from a message. A settled message loses its content, and the address is replaced by
 * {@link ERASED}. A waiting message loses the recipient; without another one to be sent to, it is cancelled, and erased as a settled one.
 */
export function eraseAction(isErased: AddressTest): ManualAction {
  return (target) => {
    const { id, job, state, now } = target
    if (state.sealed !== undefined) throw unreadable(id)
    const others = state.recipients.filter(({ address }) => !isErased(address))
    const hasOthers = others.some(isOpen)
    // A delivery in progress can't be withdrawn for one of its recipients.
    if (state.status === 'sending' && (hasOthers || !target.cancelDelivery()))
      throw conflict(id, 'is being sent; erase the address again once it is settled')
    if (!recipientsOf(job).some(isErased)) return UNCHANGED
    if (isSettled(state.status)) target.keepsStatus = true
    else if (hasOthers) {
      target.keepsStatus = true
      state.recipients = others
      scrub(state, isErased)
      target.replacement = withoutRecipient(job, isErased)
      return undefined
    } else enter(state, 'cancelled', now)
    scrub(state, isErased)
    delete state.subject
    delete state.loaded
    target.replacement = withoutContent(job, isErased)
    return undefined
  }
}

function withoutRecipient(job: MailJob, isErased: AddressTest): MailJob {
  const kept = <T extends { address: string }>(list: T[]): T[] =>
    list.filter(({ address }) => !isErased(address))
  const { suppressed } = job
  return {
    ...job,
    to: kept(job.to),
    cc: kept(job.cc),
    bcc: kept(job.bcc),
    replyTo: kept(job.replyTo),
    ...(suppressed === undefined ? {} : { suppressed: kept(suppressed) }),
  }
}

/** The other addresses stay: the message is theirs, too. */
function withoutContent(job: MailJob, isErased: AddressTest): MailJob {
  const replaced = (list: Mailbox[]): Mailbox[] =>
    list.map((mailbox) => (isErased(mailbox.address) ? { address: ERASED } : mailbox))
  const { id, messageId, date, transport, templateVersion, priority, group, stream, resendOf } = job
  const { acceptedAt, notBefore, expiresAt, onUncertain, content, from, envelopeFrom } = job
  const optional = { templateVersion, group, stream, resendOf, notBefore }
  const present = Object.entries(optional).filter(([, value]) => value !== undefined)
  return {
    id,
    messageId,
    date,
    from: isErased(from.address) ? { address: ERASED } : from,
    to: replaced(job.to),
    cc: replaced(job.cc),
    bcc: replaced(job.bcc),
    replyTo: [],
    envelopeFrom: isErased(envelopeFrom) ? ERASED : envelopeFrom,
    content: content.kind === 'template' ? content : { kind: 'literal' },
    headers: [],
    references: [],
    attachments: [],
    transport,
    priority,
    acceptedAt,
    expiresAt,
    onUncertain,
    tags: [],
    ...Object.fromEntries(present),
    erased: true,
  }
}

/** Replaces the address in the results of recipients, and where servers quoted it. */
function scrub(state: MessageState, isErased: AddressTest): void {
  state.attempts = replaceAddresses(state.attempts, isErased)
  state.recipients = state.recipients.map(({ address, ...result }) => ({
    address: isErased(address) ? ERASED : address,
    ...replaceAddresses(result, isErased),
  }))
}

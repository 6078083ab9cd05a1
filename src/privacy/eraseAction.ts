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
import { suppressionKey } from '../suppressions/suppression.js'

/** Stands for an address that was erased. No mail can reach it: the top-level domain is reserved (RFC 6761, section 6.4). */
export const ERASED = 'erased@invalid'

/** The result of an action that changed nothing. */
const UNCHANGED = { changes: [], settled: false }

type Test = (address: string) => boolean

/**
 * Returns the action that erases an address from a message. A settled message loses its content, and the address is replaced by
 * {@link ERASED}. A waiting message loses the recipient; without another one to be sent to, it is cancelled, and erased as a settled one.
 * @param key the address as `suppressionKey()` returns it
 */
export function eraseAction(key: string): ManualAction {
  const isErased = (address: string): boolean => suppressionKey(address) === key
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

function withoutRecipient(job: MailJob, isErased: Test): MailJob {
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
function withoutContent(job: MailJob, isErased: Test): MailJob {
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
function scrub(state: MessageState, isErased: Test): void {
  state.attempts = replaceAddresses(state.attempts, isErased)
  state.recipients = state.recipients.map(({ address, ...result }) => ({
    address: isErased(address) ? ERASED : address,
    ...replaceAddresses(result, isErased),
  }))
}

/** Matches a possible address within a text, with what precedes it and may belong to it or not, such as `to=`. Each match reads a bounded length. */
const ADDRESS = /([^\s<>"'(),:;@]{0,64}=)?([^\s<>"'(),:;@=]{1,64}@[^\s<>"'(),:;@=]{1,255})/g

function replaceAddresses<T>(value: T, isErased: Test): T {
  let replaced: unknown = value
  if (typeof value === 'string')
    replaced = value.replace(ADDRESS, (found, before: string | undefined, address: string) => {
      if (isErased(withoutDot(found))) return ERASED
      return isErased(withoutDot(address)) ? `${before ?? ''}${ERASED}` : found
    })
  else if (Array.isArray(value)) replaced = value.map((each: unknown) => replaceAddresses(each, isErased))
  else if (typeof value === 'object' && value !== null)
    replaced = Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, replaceAddresses(each as unknown, isErased)]),
    )
  return replaced as T
}

/** An address at the end of a sentence. */
function withoutDot(address: string): string {
  return address.replace(/\.$/, '')
}

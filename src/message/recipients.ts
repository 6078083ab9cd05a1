import type { Delivery } from '../feedback/deliveryStates.js'
import { addressKey } from '../protocol/addressForms.js'
import type { Outcome, RecipientOutcome, SmtpReply } from '../protocol/outcome.js'
import type { MailJob, MessageState } from './messageState.js'

/** A recipient to whom nothing is sent: see `src/suppressions/`. */
export interface SuppressedRecipient {
  address: string
  reason: 'bounce' | 'complaint' | 'unsubscribe' | 'manual'
  /** Time since which the address is suppressed, ISO 8601. */
  since: string
  /** Absent if the address is suppressed for every stream. */
  stream?: string
}

export interface RecipientState {
  address: string
  /** `cancelled` and `expired`: nothing was sent to the recipient before the message ended in that way. */
  status: 'waiting' | 'deferred' | 'uncertain' | 'sent' | 'failed' | 'cancelled' | 'expired'
  reply?: SmtpReply
  /** The reason, if no server was asked about this recipient: its transport can't reach it. */
  code?: Outcome['code']
  /** Why nothing is sent to the recipient; present with the code `SUPPRESSED`. */
  suppressed?: Omit<SuppressedRecipient, 'address'>
  /** The latest delivery report, after the next server accepted the message. */
  delivery?: Delivery
}

/** The addresses of all recipients, each once: the letter case and the script of a domain make no difference. */
export function recipientsOf(job: Pick<MailJob, 'to' | 'cc' | 'bcc'>): string[] {
  const [only] = job.to
  if (only !== undefined && job.to.length + job.cc.length + job.bcc.length === 1) return [only.address]
  const byKey = new Map<string, string>()
  for (const list of [job.to, job.cc, job.bcc])
    for (const { address } of list) {
      const key = addressKey(address)
      if (!byKey.has(key)) byKey.set(key, address)
    }
  return [...byKey.values()]
}

/** The recipients, with the suppressed ones marked as failed. */
export function withSuppressed(
  recipients: readonly RecipientState[],
  suppressed: readonly SuppressedRecipient[] = [],
): RecipientState[] {
  if (suppressed.length === 0) return [...recipients]
  const byAddress = new Map(suppressed.map(({ address, ...why }) => [address, why]))
  return recipients.map((recipient) => {
    const why = byAddress.get(recipient.address)
    if (why === undefined || !isOpen(recipient)) return recipient
    return { address: recipient.address, status: 'failed', code: 'SUPPRESSED', suppressed: why }
  })
}

/** The recipients of the next attempt. */
export function openRecipients(state: MessageState): string[] {
  return state.recipients.filter(isOpen).map(({ address }) => address)
}

export function isOpen(recipient: RecipientState): boolean {
  return recipient.status !== 'sent' && recipient.status !== 'failed'
}

/** The recipients as they are shown: one to whom nothing was sent ends as its message did. */
export function shownRecipients({ status, recipients }: Readonly<MessageState>): RecipientState[] {
  return recipients.map(({ reply, delivery, ...recipient }) => ({
    ...recipient,
    ...((status === 'cancelled' || status === 'expired') &&
    (recipient.status === 'waiting' || recipient.status === 'deferred')
      ? { status }
      : {}),
    ...(reply === undefined ? {} : { reply: { ...reply } }),
    ...(delivery === undefined ? {} : { delivery: { ...delivery } }),
  }))
}

/** Recipients after an attempt. An outcome without recipients applies to every open recipient. */
export function mergeRecipients(before: readonly RecipientState[], outcome: Outcome): RecipientState[] {
  if (outcome.result === 'withdrawn') return [...before]
  const resultOf = resultsOf(outcome)
  const everyone = outcome.result === 'sent' ? 'accepted' : outcome.result
  return before.map((recipient) => {
    if (!isOpen(recipient)) return recipient
    const { result, reply, code } = resultOf(recipient.address) ?? {
      result: everyone,
      reply: outcome.reply,
      code: undefined,
    }
    const after: RecipientState = { address: recipient.address, status: STATUS_OF[result] }
    if (reply !== undefined) after.reply = reply
    if (code !== undefined) after.code = code
    if (recipient.delivery !== undefined) after.delivery = recipient.delivery
    return after
  })
}

/** Avoids a map for a single recipient, which is the usual case: the map would cost more than everything else here. */
function resultsOf({ recipients }: Outcome): (address: string) => RecipientOutcome | undefined {
  const [first] = recipients
  if (recipients.length < 2) return (address) => (first?.address === address ? first : undefined)
  const results = new Map(recipients.map((recipient) => [recipient.address, recipient]))
  return (address) => results.get(address)
}

const STATUS_OF = {
  accepted: 'sent',
  rejected: 'failed',
  deferred: 'deferred',
  uncertain: 'uncertain',
} as const satisfies Record<RecipientOutcome['result'], RecipientState['status']>

import { enter, isSettled, type MessageState } from '../message/messageState.js'
import { isOpen, type RecipientState } from '../message/recipients.js'
import { suppressionKey } from '../suppressions/suppression.js'
import {
  type Delivery,
  type DeliveryChange,
  joinDelivery,
  type RecipientReport,
  type Reported,
} from './deliveryStates.js'

/**
 * Adds reports to the recipients of a message. A report about a recipient whose result is uncertain proves that the next server
 * accepted the message, so the recipient counts as sent, and is not sent to again.
 * @param now milliseconds since the epoch
 * @returns what is new
 */
export function applyReports(
  state: MessageState,
  reports: readonly RecipientReport[],
  now: number,
): Reported {
  const changes: DeliveryChange[] = []
  const finder = new RecipientFinder(state.recipients)
  for (const report of reports) {
    const { delivery } = report
    const recipient = finder.find(report)
    const joined = recipient && joinDelivery(recipient.delivery, delivery)
    if (recipient === undefined || joined === undefined || !isAbout(recipient, state, delivery)) continue
    recipient.delivery = joined
    if (isOpen(recipient)) recipient.status = 'sent'
    changes.push({ recipient: recipient.address, delivery: joined })
  }
  return { changes, settled: changes.length > 0 && state.uncertain && settleKnown(state, now) }
}

/**
 * Whether a report can be about a recipient: the message was, or may have been, sent to it. What is uncertain can't be settled by
 * an unverified report.
 */
export function isAbout(
  { status, code }: Pick<RecipientState, 'status' | 'code'>,
  { uncertain }: Pick<MessageState, 'uncertain'>,
  { unverified }: Delivery,
): boolean {
  return status === 'sent' || (uncertain && unverified !== true && code !== 'SUPPRESSED')
}

/**
 * Finds the recipients of a message that reports name, as suppressed addresses are compared; by default the only one. Any number of
 * reports takes time that is linear in it and in the number of recipients.
 */
export class RecipientFinder<R extends Pick<RecipientState, 'address'>> {
  readonly #recipients: readonly R[]
  #byAddress: ReadonlyMap<string, R> | undefined
  #byKey: ReadonlyMap<string, R> | undefined

  constructor(recipients: readonly R[]) {
    this.#recipients = recipients
  }

  find({
    recipient: address,
    key,
    orOnly,
  }: Pick<RecipientReport, 'recipient' | 'key' | 'orOnly'>): R | undefined {
    const only = this.#recipients.length === 1 ? this.#recipients[0] : undefined
    if (address === undefined) return only
    this.#byAddress ??= this.#indexed((of) => of)
    const exact = this.#byAddress.get(address)
    if (exact !== undefined) return exact
    this.#byKey ??= this.#indexed(suppressionKey)
    return this.#byKey.get(key ?? suppressionKey(address)) ?? (orOnly === true ? only : undefined)
  }

  /** The first of several recipients counts. */
  #indexed(form: (address: string) => string): Map<string, R> {
    return new Map(
      this.#recipients.map((recipient) => [form(recipient.address), recipient] as const).reverse(),
    )
  }
}

/** Settles a message that waits although nothing is open any more. */
function settleKnown(state: MessageState, now: number): boolean {
  if (isSettled(state.status) || state.recipients.some(isOpen)) return false
  enter(state, state.recipients.every(({ status }) => status === 'sent') ? 'sent' : 'partial', now)
  return true
}
